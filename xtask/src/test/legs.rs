//! Which legs a test run has: the same tests under another adapter, limit or absence.

use std::ffi::OsString;
use std::path::PathBuf;

/// Beginnings of the names of test targets that look at no adapter; all others must give the same results on each.
const PURE_TESTS: [&str; 4] = ["shaders", "variants", "plans", "properties"];
/// The test target about a machine without adapters; it looks at nothing else.
const NO_ADAPTER: &str = "no_adapter";

/// Environment variables that a leg sets or clears, so that the caller's never leak into one.
pub const CONTROLLED: [&str; 6] = [
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "TFLITE_WGPU_LIMITS",
    "TFLITE_WGPU_REDUCED",
    "TFLITE_WGPU_FULL",
    "TFLITE_WGPU_REQUIRE_GPU",
];

/// A driver's ICD file, or one line why there is none.
pub type Driver = Result<PathBuf, String>;

/// What the choice of legs depends on.
pub struct Facts<'a> {
    /// Leave nothing out.
    pub full: bool,
    /// An absent adapter is a failure, except where the leg is about its absence.
    pub require_adapter: bool,
    /// Mesa's software adapter.
    pub lavapipe: Driver,
    /// Chromium's software adapter.
    pub swiftshader: Driver,
    /// Test targets of the package that uses adapters.
    pub tests: Vec<&'a str>,
}

/// One run of `cargo test`, or the reason why it does not take place.
#[derive(Debug, PartialEq, Eq)]
pub struct Leg {
    /// Name in the report.
    pub name: &'static str,
    /// Arguments after `cargo test --workspace`, and variables beyond [`CONTROLLED`]'s absence.
    pub run: Result<Run, String>,
    /// What this leg does not cover although it could.
    pub left_out: Option<&'static str>,
}

/// How a leg runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Arguments that select test targets; none for all.
    pub arguments: Vec<String>,
    /// Environment variables.
    pub variables: Vec<(&'static str, OsString)>,
}

/// All legs, in the order in which they run.
pub fn choose(facts: &Facts) -> Vec<Leg> {
    vec![workspace(facts), swiftshader(facts), webgpu_limits(facts), no_adapter(facts)]
}

/// Everything, on lavapipe where there is one, else on whatever adapter the machine has.
fn workspace(facts: &Facts) -> Leg {
    let mut run = Run::default();
    run.require_adapter(facts);
    if facts.full {
        run.set("TFLITE_WGPU_FULL", "1");
    }
    let (name, left_out) = match &facts.lavapipe {
        Ok(icd) => {
            run.set("VK_DRIVER_FILES", icd);
            ("lavapipe", (!facts.full).then_some("kernels' variants of four classes of adapters"))
        }
        Err(_) => ("workspace", Some("lavapipe: it is not installed")),
    };
    Leg { name, run: Ok(run), left_out }
}

/// The adapter tests on SwiftShader.
fn swiftshader(facts: &Facts) -> Leg {
    let run = facts.swiftshader.clone().and_then(|icd| {
        let mut run = Run::on_adapter(facts)?;
        run.set("VK_DRIVER_FILES", icd);
        if !facts.full {
            run.set("TFLITE_WGPU_REDUCED", "1");
        }
        Ok(run)
    });
    let reduced = run.is_ok() && !facts.full;
    Leg { name: "swiftshader", run, left_out: reduced.then_some("cases beyond the reduced set") }
}

/// The adapter tests with no more than WebGPU's default limits.
fn webgpu_limits(facts: &Facts) -> Leg {
    let run = facts.lavapipe.clone().and_then(|icd| {
        let mut run = Run::on_adapter(facts)?;
        run.set("VK_DRIVER_FILES", icd);
        run.set("TFLITE_WGPU_LIMITS", "webgpu-default");
        if !facts.full {
            run.set("TFLITE_WGPU_REDUCED", "1");
        }
        Ok(run)
    });
    let reduced = run.is_ok() && !facts.full;
    Leg { name: "webgpu-limits", run, left_out: reduced.then_some("cases beyond the reduced set") }
}

/// A machine without any adapter.
fn no_adapter(facts: &Facts) -> Leg {
    let mut run = Run::default();
    run.arguments.extend(["--example", "classify"].map(str::to_owned));
    if facts.tests.contains(&NO_ADAPTER) {
        run.arguments.extend(["--test", NO_ADAPTER].map(str::to_owned));
    }
    run.set("VK_DRIVER_FILES", "/nonexistent");
    Leg { name: "no-adapter", run: Ok(run), left_out: None }
}

impl Run {
    /// The tests that use an adapter; an error when there are none.
    fn on_adapter(facts: &Facts) -> Result<Self, String> {
        let mut run = Self::default();
        let is_pure = |test: &str| PURE_TESTS.iter().any(|pure| test.starts_with(pure));
        for test in facts.tests.iter().filter(|test| **test != NO_ADAPTER && !is_pure(test)) {
            run.arguments.extend(["--test".to_owned(), (*test).to_owned()]);
        }
        if run.arguments.is_empty() {
            return Err("no test target uses an adapter".to_owned());
        }
        run.require_adapter(facts);
        Ok(run)
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, value.into()));
    }

    fn require_adapter(&mut self, facts: &Facts) {
        if facts.require_adapter {
            self.set("TFLITE_WGPU_REQUIRE_GPU", "1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            full: false,
            require_adapter: false,
            lavapipe: Ok("/lvp.json".into()),
            swiftshader: Ok("/ss.json".into()),
            tests: vec!["models", "no_adapter", "plans", "rows", "shaders_products"],
        }
    }

    fn variable(leg: &Leg, name: &str) -> Option<OsString> {
        let variables = &leg.run.as_ref().ok()?.variables;
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.clone())
    }

    #[test]
    fn every_leg_has_its_own_driver() {
        let legs = choose(&facts());
        let drivers: Vec<_> = legs.iter().map(|leg| (leg.name, variable(leg, "VK_DRIVER_FILES"))).collect();
        let expected = [
            ("lavapipe", "/lvp.json"),
            ("swiftshader", "/ss.json"),
            ("webgpu-limits", "/lvp.json"),
            ("no-adapter", "/nonexistent"),
        ];
        assert_eq!(drivers, expected.map(|(leg, icd)| (leg, Some(OsString::from(icd)))));
    }

    #[test]
    fn legs_run_what_depends_on_the_adapter() {
        let arguments = |facts: &Facts| {
            let text = |leg: &Leg| leg.run.as_ref().map_or_else(Clone::clone, |run| run.arguments.join(" "));
            choose(facts).iter().map(text).collect::<Vec<_>>()
        };
        let (adapter, none) = ("--test models --test rows", "--example classify --test no_adapter");
        assert_eq!(arguments(&facts()), ["", adapter, adapter, none]);
        let without = Facts { tests: vec!["shaders"], ..facts() };
        let reason = "no test target uses an adapter";
        assert_eq!(arguments(&without), ["", reason, reason, "--example classify"]);
    }

    #[test]
    fn only_full_runs_leave_nothing_out() {
        let mut facts = facts();
        let reduced = choose(&facts);
        for leg in &reduced[1..3] {
            assert!(variable(leg, "TFLITE_WGPU_REDUCED").is_some() && leg.left_out.is_some());
        }
        facts.full = true;
        let full = choose(&facts);
        assert!(full.iter().all(|leg| variable(leg, "TFLITE_WGPU_REDUCED").is_none()));
        assert!(full.iter().all(|leg| leg.left_out.is_none()));
        assert!(
            variable(&full[0], "TFLITE_WGPU_FULL").is_some() && variable(&reduced[0], "TFLITE_WGPU_FULL").is_none()
        );
    }

    #[test]
    fn without_drivers_only_what_needs_none_runs() {
        let mut facts = facts();
        facts.lavapipe = Err("no lavapipe".to_owned());
        facts.swiftshader = Err("no SwiftShader".to_owned());
        let legs = choose(&facts);
        assert_eq!(legs[0].name, "workspace");
        assert_eq!(variable(&legs[0], "VK_DRIVER_FILES"), None);
        assert!(legs[0].left_out.is_some());
        assert_eq!(legs[1].run, Err("no SwiftShader".to_owned()));
        assert_eq!(legs[2].run, Err("no lavapipe".to_owned()));
        assert!(legs[3].run.is_ok());
    }

    #[test]
    fn adapter_is_required_except_where_there_is_none() {
        let mut facts = facts();
        facts.require_adapter = true;
        let required: Vec<_> = choose(&facts).iter().map(|leg| variable(leg, "TFLITE_WGPU_REQUIRE_GPU")).collect();
        let one = Some(OsString::from("1"));
        assert_eq!(required, [one.clone(), one.clone(), one, None]);
    }
}
