//! Plans of whole networks as text: the kernels in order, what is fused behind them, and the file's nodes that each
//! stands for. `INSTA_UPDATE=always cargo test --test plans_networks` accepts what changed.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use tflite_wgpu::{
    DelegateOptions, Model,
    plan::{
        Plan,
        step::{EpilogueStep, Operand, Step},
    },
    preview,
    tuning::{AdapterClass, Tuning},
};

type Res<T = ()> = Result<T, Box<dyn Error>>;

/// All partitions of a model for an integrated adapter.
fn text(model: &Model, precision: &str) -> Res<String> {
    let tuning = Tuning::of(AdapterClass::Integrated, true, true);
    let options = DelegateOptions::parse([precision])?;
    let mut text = String::new();
    for partition in preview(model, &options, &tuning) {
        let plan = partition.plan?;
        let (nodes, pipelines) = (partition.nodes.len(), plan.pipeline_count());
        writeln!(text, "{nodes} nodes, {} dispatches, {pipelines} pipelines", plan.steps.len())?;
        writeln!(text, "alive {} bytes", plan.live_bytes)?;
        for step in &plan.steps {
            writeln!(text, "{}", line(&plan, step))?;
        }
    }
    Ok(text)
}

/// `kernel [nodes] then fused -> shape storage`, the last operand of the kernel's own being the result.
fn line(plan: &Plan, step: &Step) -> String {
    let nodes: Vec<String> = step.nodes.iter().map(ToString::to_string).collect();
    let fused: String = step.variant.epilogue.iter().map(|kind| format!(" then {}", name(kind))).collect();
    let own = step.variant.storage.len();
    let result = step.bindings.iter().take(own).rev().find_map(|operand| match operand {
        Operand::Tensor(id) => Some(plan.tensor(*id)),
        Operand::Weights(_) => None,
    });
    let result = result.map_or_else(String::new, |t| format!("{:?} {}", t.dims, t.storage.name()));
    format!("{} [{}]{fused} -> {result}", step.kernel, nodes.join(" "))
}

fn name(step: &EpilogueStep) -> String {
    match step {
        EpilogueStep::Binary { op, .. } => format!("{op:?}"),
        EpilogueStep::Unary(unary) => format!("{unary:?}"),
        EpilogueStep::Prelu { .. } => "Prelu".to_owned(),
        other => format!("{other:?}"),
    }
}

fn network(test: &str, name: &str) -> Res<Option<Model>> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    let folder = env::var_os("TFLITE_WGPU_MODELS").map_or_else(default, PathBuf::from);
    let file = folder.join(format!("{name}.tflite"));
    if !file.is_file() {
        println!("SKIPPED {test}: no models at {}; set TFLITE_WGPU_MODELS to their folder", folder.display());
        return Ok(None);
    }
    Ok(Some(Model::read(fs::read(file)?)?))
}

#[test]
fn digits() -> Res {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/digits_f16.tflite");
    insta::assert_snapshot!(text(&Model::open(file)?, "precision=f16")?);
    Ok(())
}

#[test]
fn resnet8() -> Res {
    let Some(model) = network("resnet8", "mlperf_tiny/resnet8_cifar10_float")? else { return Ok(()) };
    insta::assert_snapshot!(text(&model, "precision=f16")?);
    Ok(())
}

#[test]
fn mobilenet_v1() -> Res {
    let Some(model) = network("mobilenet_v1", "classify/mobilenet_v1_0.25_224_float")? else { return Ok(()) };
    insta::assert_snapshot!(text(&model, "precision=f32")?);
    Ok(())
}
