//! Which legs a test run has: the same tests under another adapter, limit or absence.

use std::ffi::OsString;
use std::path::PathBuf;

/// Test targets that use an adapter and must give the same results on each.
const ADAPTER_TESTS: [&str; 3] = ["ops", "models", "adapters"];

/// Environment variables that a leg sets or clears, so that the caller's never leak into one.
pub const CONTROLLED: [&str; 5] =
    ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "TFLITE_WGPU_LIMITS", "TFLITE_WGPU_REDUCED", "TFLITE_WGPU_REQUIRE_GPU"];

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
    /// Whether the workspace has a test target of this name.
    pub has_test: &'a dyn Fn(&str) -> bool,
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
    let (name, left_out) = match &facts.lavapipe {
        Ok(icd) => {
            run.set("VK_DRIVER_FILES", icd);
            ("lavapipe", None)
        }
        Err(_) => ("workspace", Some("lavapipe: it is not installed")),
    };
    Leg { name, run: Ok(run), left_out }
}

/// The adapter tests on SwiftShader.
fn swiftshader(facts: &Facts) -> Leg {
    let run = facts.swiftshader.clone().and_then(|icd| {
        let mut run = Run::of(&ADAPTER_TESTS, facts)?;
        run.require_adapter(facts);
        run.set("VK_DRIVER_FILES", icd);
        if !facts.full {
            run.set("TFLITE_WGPU_REDUCED", "1");
        }
        Ok(run)
    });
    let reduced = run.is_ok() && !facts.full;
    Leg { name: "swiftshader", run, left_out: reduced.then_some("cases beyond the reduced set") }
}

/// The operators with no more than WebGPU's default limits.
fn webgpu_limits(facts: &Facts) -> Leg {
    let run = facts.lavapipe.clone().and_then(|icd| {
        let mut run = Run::of(&["ops"], facts)?;
        run.require_adapter(facts);
        run.set("VK_DRIVER_FILES", icd);
        run.set("TFLITE_WGPU_LIMITS", "webgpu-default");
        Ok(run)
    });
    Leg { name: "webgpu-limits", run, left_out: None }
}

/// A machine without any adapter.
fn no_adapter(facts: &Facts) -> Leg {
    let mut run = Run::of(&["no_adapter"], facts);
    if let Ok(run) = &mut run {
        run.set("VK_DRIVER_FILES", "/nonexistent");
    }
    Leg { name: "no-adapter", run, left_out: None }
}

impl Run {
    /// Those of `tests` that the workspace has; an error when it has none.
    fn of(tests: &[&str], facts: &Facts) -> Result<Self, String> {
        let mut run = Self::default();
        for test in tests.iter().filter(|test| (facts.has_test)(test)) {
            run.arguments.extend(["--test".to_owned(), (*test).to_owned()]);
        }
        if run.arguments.is_empty() {
            return Err(format!("there is no test target {}", tests.join(" or ")));
        }
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

    fn facts(has_test: &dyn Fn(&str) -> bool) -> Facts<'_> {
        Facts {
            full: false,
            require_adapter: false,
            lavapipe: Ok("/lvp.json".into()),
            swiftshader: Ok("/ss.json".into()),
            has_test,
        }
    }

    fn variable(leg: &Leg, name: &str) -> Option<OsString> {
        let variables = &leg.run.as_ref().ok()?.variables;
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.clone())
    }

    #[test]
    fn every_leg_has_its_own_driver() {
        let legs = choose(&facts(&|_| true));
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
    fn absent_test_targets_are_not_asked_for() {
        let legs = choose(&facts(&|name| name == "models"));
        let arguments = legs.iter().map(|leg| match &leg.run {
            Ok(run) => run.arguments.join(" "),
            Err(reason) => reason.clone(),
        });
        let expected = ["", "--test models", "there is no test target ops", "there is no test target no_adapter"];
        assert!(arguments.eq(expected));
    }

    #[test]
    fn only_full_runs_leave_nothing_out() {
        let mut facts = facts(&|_| true);
        let reduced = choose(&facts);
        assert!(variable(&reduced[1], "TFLITE_WGPU_REDUCED").is_some());
        assert!(reduced[1].left_out.is_some());
        facts.full = true;
        let full = choose(&facts);
        assert_eq!(variable(&full[1], "TFLITE_WGPU_REDUCED"), None);
        assert!(full.iter().all(|leg| leg.left_out.is_none()));
    }

    #[test]
    fn without_drivers_only_what_needs_none_runs() {
        let mut facts = facts(&|_| true);
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
        let mut facts = facts(&|_| true);
        facts.require_adapter = true;
        let required: Vec<_> = choose(&facts).iter().map(|leg| variable(leg, "TFLITE_WGPU_REQUIRE_GPU")).collect();
        let one = Some(OsString::from("1"));
        assert_eq!(required, [one.clone(), one.clone(), one, None]);
    }
}
