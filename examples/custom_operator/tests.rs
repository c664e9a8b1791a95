//! What a user of the registry relies on.

use tflite_wgpu::{Kernels, Reason};

use super::*;

type Outcome = Res<()>;

/// The adapter; `None`, after a line that the test report counts, where there is none.
fn device() -> Res<Option<Arc<GpuDevice>>> {
    match pollster::block_on(GpuDevice::open(&DeviceOptions::default())) {
        Ok(device) => Ok(Some(device)),
        Err(error) if std::env::var("TFLITE_WGPU_REQUIRE_GPU").as_deref() == Ok("1") => Err(error.into()),
        Err(error) => {
            println!("SKIPPED {}: {error}", std::thread::current().name().unwrap_or("a test"));
            Ok(None)
        }
    }
}

fn expected() -> Vec<f32> {
    let one = |i: usize| {
        let (x, limit) = (i as f32 - 7.0, 0.5 * (i % 5 + 1) as f32);
        2.0 * x / (1.0 + (2.0 * x).abs() / limit) + x
    };
    (0..15).map(one).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_cpu_runs_it() -> Outcome {
    let model = model(operator("soft_clip", WGSL)?)?;
    assert!(largest_difference(&run(&model, None, &[])?.0, &expected()) < 1e-6);
    let mut interpreter = Interpreter::builder(&model).kernels(Kernels::Plain).build()?;
    interpreter.resize_input(0, &[2, 5])?;
    interpreter.allocate_tensors()?;
    let shapes: Vec<_> = interpreter.outputs().iter().map(|output| output.shape.dims()).collect();
    assert_eq!(shapes, [Some(vec![2, 5])]);
    Ok(())
}

#[test]
fn the_adapter_runs_it_in_both_precisions() -> Outcome {
    let Some(device) = device()? else { return Ok(()) };
    let model = model(operator("soft_clip", WGSL)?)?;
    for (options, tolerance) in [(["precision=f32"], 1e-5), (["precision=f16"], 0.02)] {
        let (found, nodes) = run(&model, Some(&device), &options)?;
        assert_eq!(nodes, 3, "{options:?}");
        let difference = largest_difference(&found, &expected());
        assert!(difference < tolerance, "{options:?}: {difference}");
        let verification = check(&model, &device, &options)?;
        assert!(verification.passed() && verification.compared(), "{options:?}: {verification:?}");
        assert!(verification.steps.iter().any(|step| step.kernel == "soft_clip"), "{:?}", verification.steps);
    }
    Ok(())
}

#[test]
fn verification_finds_a_wrong_kernel() -> Outcome {
    let Some(device) = device()? else { return Ok(()) };
    let wrong = WGSL.replace("soft_clip", "soft_clip_wrong").replace("vec4<f32>(1.0) +", "vec4<f32>(1.1) +");
    let model = model(operator("soft_clip_wrong", &wrong)?)?;
    let verification = check(&model, &device, &["precision=f32"])?;
    assert!(!verification.passed());
    assert_eq!(verification.first_off().map(|step| step.kernel), Some("soft_clip_wrong"));
    Ok(())
}

#[test]
fn what_the_plan_refuses_runs_on_the_cpu() -> Outcome {
    let Some(device) = device()? else { return Ok(()) };
    let kernel = GpuKernel::builder("soft_clip", WGSL).input("src").input("limits").param("sharpness", ParamType::F32);
    let kernel = kernel.build(|_| Err("not today".to_owned()))?;
    let model = model(kernel.attach(CustomOperator::new(eval).with_shapes(shapes)))?;
    let options = DelegateOptions::parse(["device=gpu"])?;
    let delegate = GpuDelegate::with_device(device, options);
    let report = delegate.report();
    let mut interpreter = Interpreter::builder(&model).delegate(Box::new(delegate)).build()?;
    interpreter.set_input(0, input()?)?;
    interpreter.invoke()?;
    assert!(largest_difference(interpreter.output(0)?.as_slice::<f32>()?, &expected()) < 0.02);
    let report = report.lock().map_err(|_| "the report is poisoned")?;
    let reasons: Vec<_> = report.subgraphs.iter().flat_map(|subgraph| subgraph.reasons.values()).collect();
    assert_eq!(reasons, [&Reason::Custom("not today".to_owned())]);
    Ok(())
}

#[test]
fn threads_may_register_the_same_kernel_at_once() {
    let wgsl = WGSL.replace("soft_clip", "soft_clip_at_once");
    let register = || operator("soft_clip_at_once", &wgsl).map(drop).map_err(|error| error.to_string());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(register)).collect();
        assert!(threads.into_iter().all(|thread| matches!(thread.join(), Ok(Ok(())))));
    });
}

#[test]
fn errors_say_what_is_wrong() -> Outcome {
    let refusal = |name: &str, wgsl: &str| operator(name, wgsl).err().map_or_else(String::new, |e| e.to_string());
    let cases = [
        ("soft-clip", WGSL.to_owned(), "kernel soft-clip: kernel \"soft-clip\" is no identifier"),
        ("unary", WGSL.to_owned(), "kernel unary: the name is taken by a kernel of this library"),
        ("broken_one", WGSL.replace("let x = load_src", "let x == load_src"), "kernel broken_one, line 7: "),
        ("broken_two", WGSL.replace("texel % params.width", "texel % 1.5"), "kernel broken_two, line 6: "),
        ("broken_three", WGSL.to_owned(), "kernel broken_three: the text has the entry points [\"soft_clip\"]"),
        (
            "broken_four",
            format!("@group(1) @binding(0) var<storage> own: array<f32>;{}", WGSL.replace("soft_clip", "broken_four")),
            "kernel broken_four: \"own\" is bound to a resource",
        ),
        (
            "broken_five",
            WGSL.replace("soft_clip", "broken_five").replace("workgroup_size(64)", "workgroup_size(64, 8)"),
            "kernel broken_five: the workgroup is [64, 8, 1]",
        ),
    ];
    for (name, wgsl, expected) in cases {
        let found = refusal(name, &wgsl);
        assert!(found.starts_with(expected), "{found:?}, expected {expected:?}");
    }
    operator("soft_clip", WGSL)?;
    assert!(refusal("soft_clip", &format!("{WGSL}// another")).contains("taken by a kernel with another text"));
    let unknown = Interpreter::builder(&Model::read(file()?)?).build().err().map(|error| error.to_string());
    assert_eq!(unknown.as_deref(), Some("node 1 SoftClip: the CPU has no kernel for this operator"));
    Ok(())
}
