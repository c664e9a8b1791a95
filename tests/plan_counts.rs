//! Dispatches and pipelines of whole networks, which may not grow: `tests/plan_counts.toml` has the most that each may
//! need, by class of adapters. `LOWER=1 cargo test --test plan_counts` takes what became fewer into the table.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use tflite_wgpu::{
    DelegateOptions, Model, preview,
    tuning::{AdapterClass, Tuning},
};

type Res<T = ()> = Result<T, Box<dyn Error>>;

/// Dispatches and pipelines, by name of the adapters.
type Row = BTreeMap<String, [usize; 2]>;
/// Rows by network.
type Table = BTreeMap<String, Row>;

/// Adapters of the table: a name, what they are, and the precision that suits them.
fn adapters() -> [(&'static str, Tuning, &'static str); 3] {
    let lavapipe = Tuning::of(AdapterClass::Lavapipe, true, true).with_subgroups(8, 8).with_wide_words();
    [
        ("lavapipe", lavapipe, "precision=f16"),
        ("swiftshader", Tuning::of(AdapterClass::SwiftShader, false, true), "precision=f32"),
        ("discrete", Tuning::of(AdapterClass::Discrete, true, true), "precision=f16"),
    ]
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan_counts.toml")
}

/// What a network's plans need. A pipeline that several partitions use counts once.
fn count(model: &Model) -> Res<Row> {
    let mut row = Row::new();
    for (name, tuning, precision) in adapters() {
        let options = DelegateOptions::parse([precision])?;
        let plans = preview(model, &options, &tuning).into_iter().filter_map(|partition| partition.plan.ok());
        let plans: Vec<_> = plans.collect();
        let steps = || plans.iter().flat_map(|plan| &plan.steps);
        let mut pipelines: Vec<_> = steps().map(|step| (step.kernel, &step.variant)).collect();
        pipelines.sort();
        pipelines.dedup();
        row.insert(name.to_owned(), [steps().count(), pipelines.len()]);
    }
    Ok(row)
}

/// What is more than the table has, and adapters that it does not have.
fn grown(network: &str, most: &Row, found: &Row) -> Vec<String> {
    let mut grown = Vec::new();
    for (adapter, found) in found {
        let Some(most) = most.get(adapter) else {
            grown.push(format!("{network}: no row for {adapter}"));
            continue;
        };
        for (what, (most, found)) in ["dispatches", "pipelines"].iter().zip(most.iter().zip(found)) {
            if found > most {
                grown.push(format!("{network}, {adapter}: {found} {what}, at most {most} are expected"));
            }
        }
    }
    grown
}

/// The least of both.
fn lowered(most: &Row, found: &Row) -> Row {
    let least = |(adapter, found): (&String, &[usize; 2])| {
        let [dispatches, pipelines] = *most.get(adapter).unwrap_or(found);
        (adapter.clone(), [dispatches.min(found[0]), pipelines.min(found[1])])
    };
    found.iter().map(least).collect()
}

/// The table as the file has it, behind the head that the file begins with.
fn write(table: &Table) -> Res {
    let old = fs::read_to_string(path())?;
    let head: String = old.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let mut text = head;
    for (network, row) in table {
        text.push_str(&format!("\n[\"{network}\"]\n"));
        row.iter().for_each(|(adapter, [d, p])| text.push_str(&format!("{adapter} = [{d}, {p}]\n")));
    }
    Ok(fs::write(path(), text)?)
}

#[test]
fn dispatches_and_pipelines_do_not_grow() -> Res {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    let folder = env::var_os("TFLITE_WGPU_MODELS").map_or_else(default, PathBuf::from);
    if !folder.is_dir() {
        println!("SKIPPED plan_counts: no models at {}; set TFLITE_WGPU_MODELS to their folder", folder.display());
        return Ok(());
    }
    let bench = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench_models");
    let bench = env::var_os("TFLITE_WGPU_BENCH_MODELS").map_or_else(bench, PathBuf::from);
    let mut table: Table = toml::from_str(&fs::read_to_string(path())?)?;
    let mut wrong = Vec::new();
    for (network, most) in &mut table {
        let path = match network.strip_prefix("bench/") {
            Some(name) => bench.join(format!("{name}.tflite")),
            None => folder.join(format!("{network}.tflite")),
        };
        if network.starts_with("bench/") && !path.is_file() {
            println!("SKIPPED plan_counts {network}: no {}; tools/make_bench_models.py writes it", path.display());
            continue;
        }
        let model = Model::open(path)?;
        let found = count(&model)?;
        if env::var_os("LOWER").is_some() {
            *most = lowered(most, &found);
        }
        wrong.extend(grown(network, most, &found));
    }
    assert!(!table.is_empty(), "the table has no network");
    if env::var_os("LOWER").is_some() {
        write(&table)?;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn growth_is_found() {
    let row = |dispatches, pipelines| Row::from([("lavapipe".to_owned(), [dispatches, pipelines])]);
    assert!(grown("n", &row(5, 3), &row(5, 3)).is_empty() && grown("n", &row(5, 3), &row(4, 3)).is_empty());
    assert_eq!(grown("n", &row(5, 3), &row(6, 3)), ["n, lavapipe: 6 dispatches, at most 5 are expected"]);
    assert_eq!(grown("n", &row(5, 3), &row(4, 4)), ["n, lavapipe: 4 pipelines, at most 3 are expected"]);
    assert_eq!(grown("n", &Row::new(), &row(1, 1)), ["n: no row for lavapipe"]);
    assert_eq!(lowered(&row(5, 3), &row(4, 4)), row(4, 3));
}
