//! An operator of one's own, on the CPU and on the GPU: `SoftClip`, whose limits come as a second input and whose
//! sharpness is an option in the file.
//!
//! ```text
//! cargo run --example custom_operator
//! ```

use std::{error::Error, process::ExitCode, sync::Arc};

use tflite_wgpu::{
    CustomNode, CustomOperator, DelegateOptions, Dispatch, EvalCtx, GpuDelegate, GpuKernel, GpuNode, Interpreter,
    KernelError, Model, Value,
    gpu::{DeviceOptions, GpuDevice},
    kernels::ParamType,
    model::{DType, GraphBuilder, ModelBuilder, Op},
    verify::{Call, Verification, verify},
};

type Res<T> = Result<T, Box<dyn Error>>;

/// One invocation per texel (four channels). `load_src`, `load_limits`, `emit` and `params` are declared by the library.
const WGSL: &str = "
@compute @workgroup_size(64)
fn soft_clip(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let texel = linear_index(id, groups, 64u);
    if (texel >= params.texels) { return; }
    let column = texel % params.width;
    let x = load_src(texel);
    emit(texel, column, x / (vec4<f32>(1.0) + abs(x) / (load_limits(column) * params.sharpness)));
}
";

/// The operator's option: one little-endian FLOAT32.
fn sharpness(options: &[u8]) -> Option<f32> {
    options.try_into().ok().map(f32::from_le_bytes)
}

/// The reference: `x / (1 + |x| / (limit · sharpness))`, a limit per channel.
fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = match &ctx.node.op {
        Op::Custom { options, .. } => sharpness(options),
        _ => None,
    };
    let sharpness = options.ok_or_else(|| unsupported("options", "other bytes", "one FLOAT32"))?;
    let (x, limits) = (ctx.slice::<f32>(0)?, ctx.slice::<f32>(1)?);
    let y = ctx.output::<f32>(0)?;
    for ((y, x), limit) in y.iter_mut().zip(x).zip(limits.iter().cycle()) {
        *y = x / (1.0 + x.abs() / (limit * sharpness));
    }
    Ok(())
}

/// The result has the shape of input 0, whose channels have a limit each.
fn shapes(node: &CustomNode<'_>) -> Result<Vec<Vec<usize>>, KernelError> {
    let (x, limits) = (node.shape(0)?, node.shape(1)?);
    if limits.len() != 1 || x.last() != limits.last() {
        return Err(unsupported("shape of input 1", &format!("{limits:?}"), "one limit per channel"));
    }
    Ok(vec![x.to_vec()])
}

fn unsupported(what: &str, found: &str, expected: &str) -> KernelError {
    KernelError::Unsupported { what: what.to_owned(), found: found.to_owned(), expected: expected.to_owned() }
}

/// How often the kernel runs for a node, or why the CPU must run it.
fn plan(node: &GpuNode<'_>) -> Result<Dispatch, String> {
    let sharpness = sharpness(node.options).ok_or("its options are no FLOAT32")?;
    Ok(Dispatch::per_texel().f32("sharpness", sharpness))
}

/// The operator with the kernel `name` in this text.
fn operator(name: &str, wgsl: &str) -> Res<CustomOperator> {
    let kernel = GpuKernel::builder(name, wgsl).input("src").input("limits").param("sharpness", ParamType::F32);
    Ok(kernel.build(plan)?.attach(CustomOperator::new(eval).with_shapes(shapes)))
}

/// `SoftClip(x + x) + x`, as a file would have it.
fn file() -> Res<Vec<u8>> {
    let shape = [3, 5];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", DType::Float32, &shape);
    let limits = graph.constant_f32("limits", &[5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    let doubled = graph.op(Op::Add(Default::default()), &[Some(x), Some(x)], &[("doubled", DType::Float32, &shape)]);
    let soft_clip = Op::Custom { name: "SoftClip".to_owned(), options: 0.5f32.to_le_bytes().to_vec().into() };
    let clipped = graph.op(soft_clip, &[Some(doubled), Some(limits)], &[("clipped", DType::Float32, &shape)]);
    let y = graph.op(Op::Add(Default::default()), &[Some(clipped), Some(x)], &[("y", DType::Float32, &shape)]);
    graph.output(y);
    Ok(ModelBuilder::new().subgraph(graph).finish()?)
}

/// The model, whose operator everything that takes the model knows.
fn model(operator: CustomOperator) -> Res<Model> {
    Ok(Model::read(file()?)?.with_custom_operator("SoftClip", operator))
}

fn input() -> Res<Value> {
    let values: Vec<f32> = (0..15).map(|i| i as f32 - 7.0).collect();
    Ok(Value::f32(&[3, 5], &values)?)
}

/// The model's output, and the nodes that ran on the adapter.
fn run(model: &Model, device: Option<&Arc<GpuDevice>>, options: &[&str]) -> Res<(Vec<f32>, usize)> {
    let mut builder = Interpreter::builder(model);
    let mut report = None;
    if let Some(device) = device {
        let options = DelegateOptions::parse(options.iter().copied().chain(["device=gpu"]))?;
        let delegate = GpuDelegate::with_device(Arc::clone(device), options);
        report = Some(delegate.report());
        builder = builder.delegate(Box::new(delegate));
    }
    let mut interpreter = builder.build()?;
    interpreter.set_input(0, input()?)?;
    interpreter.invoke()?;
    let nodes = report.map_or(0, |report| report.lock().map_or(0, |report| report.gpu_nodes()));
    Ok((interpreter.output(0)?.as_slice::<f32>()?.to_vec(), nodes))
}

/// Compares the adapter with the reference, end to end and step by step.
fn check(model: &Model, device: &Arc<GpuDevice>, options: &[&str]) -> Res<Verification> {
    let options = DelegateOptions::parse(options.iter().copied().chain(["device=gpu"]))?;
    let call = Call { signature: None, inputs: &[input()?] };
    Ok(verify(model, device, &options, |builder| builder, &call, |_, _| {})?)
}

fn show() -> Res<()> {
    let model = model(operator("soft_clip", WGSL)?)?;
    println!("CPU: {:.3?}", run(&model, None, &[])?.0);
    let device = match pollster::block_on(GpuDevice::open(&DeviceOptions::default())) {
        Ok(device) => device,
        Err(error) => {
            println!("no adapter: {error}");
            return Ok(());
        }
    };
    let (result, nodes) = run(&model, Some(&device), &["precision=f16"])?;
    println!("GPU: {result:.3?}, {nodes} of 3 nodes on the adapter");
    let verification = check(&model, &device, &["precision=f16"])?;
    println!("verified: {}, {} steps", verification.passed() && verification.compared(), verification.steps.len());
    Ok(())
}

fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[path = "custom_operator/tests.rs"]
mod tests;
