//! Every kernel of convolutions, products and pools that lowering asks for parses, validates, agrees with its row, and
//! translates to SPIR-V, MSL and HLSL.

mod translate;

use std::collections::BTreeSet;

use tflite_wgpu::{
    kernels,
    ops::{self, LowerCtx},
    plan::step::VariantValue,
    region::{Fused, Region, RegionNode, RegionTensor, Squeeze, Storage, Unary, Whole},
    tuning::{AdapterClass, Tuning},
};
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::*;
use translate::{DIALECTS, Result};

const CLASSES: [AdapterClass; 6] = [
    AdapterClass::Lavapipe,
    AdapterClass::SwiftShader,
    AdapterClass::Discrete,
    AdapterClass::Integrated,
    AdapterClass::Apple,
    AdapterClass::Mobile,
];

/// One node: its first `computed` inputs are computed, the others constants.
struct Case {
    op: Op,
    inputs: Vec<Vec<usize>>,
    computed: Vec<usize>,
    output: Vec<usize>,
    kernel: &'static str,
    whole: Option<Whole>,
}

fn case(op: Op, inputs: &[&[usize]], computed: &[usize], output: &[usize], kernel: &'static str) -> Case {
    let inputs = inputs.iter().map(|dims| dims.to_vec()).collect();
    Case { op, inputs, computed: computed.to_vec(), output: output.to_vec(), kernel, whole: None }
}

fn region(case: &Case, storage: Storage) -> Result<Region> {
    let mut region = Region::default();
    let mut add = |dims: &[usize], constant| {
        let (name, dims) = ("t".to_owned(), dims.to_vec());
        region.add_tensor(RegionTensor { name, dtype: DType::Float32, dims, constant, quant: None, storage })
    };
    let mut inputs = Vec::new();
    for (i, dims) in case.inputs.iter().enumerate() {
        let constant = if case.computed.contains(&i) { None } else { Some(Value::zeros(DType::Float32, dims)?) };
        inputs.push(Some(add(dims, constant.map(Into::into))));
    }
    let output = add(&case.output, None);
    region.nodes.push(RegionNode {
        op: case.op.clone(),
        inputs,
        outputs: vec![Some(output)],
        fused: vec![Fused::Clamp { low: 0.0, high: 6.0 }],
        pad: [0; 4],
        whole: case.whole,
        origin: vec![NodeId(0)],
    });
    region.outputs.push(output);
    Ok(region)
}

/// Lowers every case on every class in both storages, and validates each new text once.
fn validate(cases: &[Case]) -> Result {
    let mut seen = BTreeSet::new();
    for case in cases {
        let shared = Tuning::of(AdapterClass::Lavapipe, false, true).with_subgroups(8, 8).with_wide_words();
        assert_eq!(shared.product.broadcast, 8);
        let quads = Tuning::of(AdapterClass::SwiftShader, false, true).with_subgroups(4, 4);
        assert!(quads.product.has_quads());
        for tuning in CLASSES.map(|class| Tuning::of(class, true, true)).into_iter().chain([shared, quads]) {
            for storage in [Storage::F32, Storage::F16] {
                let class = tuning.class;
                let mut region = region(case, storage)?;
                let node = region.nodes[0].clone();
                let row = ops::row(case.op.builtin()).ok_or_else(|| format!("{:?}: no row", case.op))?;
                let mut ctx = LowerCtx::new(&mut region, &tuning);
                (row.lower)(&mut ctx, &node).map_err(|e| format!("{:?}: {e}", case.op))?;
                let last = ctx.lowered.steps.last().ok_or("no step")?;
                // Wide filters have strips where the class unrolls their taps.
                let taps = case.inputs.get(1).and_then(|dims| dims.get(2)).copied().unwrap_or(1);
                let rolled = case.kernel == "conv_strip" && taps > tuning.conv_strip_taps;
                let kernel = match case.kernel {
                    // Workgroups work together only where the class has a row for that.
                    "gemm_vector" if tuning.split.is_none() => "gemm",
                    "matmul_vector" if tuning.split.is_none() => "matmul",
                    "gemm_staged" if tuning.staged.is_empty() && case.whole.is_some() => "gemm_gated",
                    "gemm_staged" if tuning.staged.is_empty() => "gemm",
                    "conv_staged" if tuning.staged.is_empty() => "conv_general",
                    _ if rolled => "conv_general",
                    "depthwise_strip" if tuning.depthwise_columns != [0, 0] => "depthwise_column",
                    kernel => kernel,
                };
                assert_eq!(last.kernel, kernel, "{:?} {:?}", case.op, case.inputs);
                for step in &ctx.lowered.steps {
                    let row = kernels::row(step.kernel).ok_or("no such kernel")?;
                    for dialect in DIALECTS {
                        let text = kernels::render(row, &step.variant, dialect)?;
                        if seen.insert(text.clone()) {
                            check(&text, step.kernel, step.bindings.len())
                                .map_err(|e| format!("{} {class:?} {dialect:?}: {e}", step.kernel))?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

fn check(text: &str, kernel: &str, bindings: usize) -> Result {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all())
        .validate(&module)
        .map_err(|e| e.emit_to_string(text))?;
    let is_storage = |space| matches!(space, naga::AddressSpace::Storage { .. });
    let storage = module.global_variables.iter().filter(|(_, variable)| is_storage(variable.space)).count();
    assert_eq!(storage, bindings);
    assert!(storage <= 8);
    assert_eq!(module.entry_points.len(), 1);
    assert_eq!(module.entry_points[0].name, kernel);
    // Subgroup operations are SPIR-V 1.3's.
    let options = naga::back::spv::Options { lang_version: (1, 3), ..Default::default() };
    naga::back::spv::write_vec(&module, &info, &options, None)?;
    let options = naga::back::msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
    naga::back::msl::write_string(&module, &info, &options, &naga::back::msl::PipelineOptions::default())?;
    let options = naga::back::hlsl::Options {
        fake_missing_bindings: true,
        shader_model: naga::back::hlsl::ShaderModel::V6_2,
        ..Default::default()
    };
    let mut hlsl = String::new();
    naga::back::hlsl::Writer::new(&mut hlsl, &options, &naga::back::hlsl::PipelineOptions::default())
        .write(&module, &info, None)?;
    Ok(())
}

fn conv(stride: i32, dilation: i32) -> Op {
    Op::Conv2d(Conv2DOptions {
        stride_w: stride,
        stride_h: stride,
        dilation_wfactor: dilation,
        dilation_hfactor: dilation,
        ..Default::default()
    })
}

fn depthwise(stride: i32, dilation: i32) -> Op {
    Op::DepthwiseConv2d(DepthwiseConv2DOptions {
        stride_w: stride,
        stride_h: stride,
        dilation_wfactor: dilation,
        dilation_hfactor: dilation,
        ..Default::default()
    })
}

#[test]
fn convolutions_validate() -> Result {
    validate(&[
        case(conv(1, 1), &[&[1, 28, 28, 8], &[20, 1, 1, 8], &[20]], &[0], &[1, 28, 28, 20], "gemm"),
        case(conv(1, 1), &[&[1, 7, 7, 8], &[40, 1, 1, 8], &[40]], &[0], &[1, 7, 7, 40], "gemm"),
        case(conv(2, 1), &[&[1, 8, 8, 8], &[20, 1, 1, 8], &[20]], &[0], &[1, 4, 4, 20], "conv_general"),
        case(conv(1, 1), &[&[2, 9, 32, 3], &[8, 3, 3, 3], &[8]], &[0], &[2, 9, 32, 8], "conv_strip"),
        case(conv(2, 1), &[&[2, 9, 14, 3], &[8, 3, 3, 3]], &[0], &[2, 5, 7, 8], "conv_strip"),
        case(conv(1, 1), &[&[2, 9, 14, 3], &[8, 5, 5, 3]], &[0], &[2, 9, 14, 8], "conv_strip"),
        case(conv(2, 1), &[&[1, 224, 224, 3], &[8, 7, 7, 3]], &[0], &[1, 112, 112, 8], "conv_strip"),
        case(conv(3, 1), &[&[1, 9, 9, 3], &[8, 3, 3, 3]], &[0], &[1, 3, 3, 8], "conv_general"),
        case(conv(1, 2), &[&[1, 64, 64, 3], &[8, 3, 3, 3]], &[0], &[1, 64, 64, 8], "conv_general"),
        case(conv(1, 1), &[&[1, 9, 9, 16], &[8, 3, 3, 8]], &[0], &[1, 9, 9, 8], "conv_general"),
        case(conv(1, 1), &[&[1, 9, 9, 4], &[6, 3, 3, 2]], &[0], &[1, 9, 9, 6], "conv_grouped"),
    ])
}

#[test]
fn gates_validate() -> Result {
    let dense = || Op::FullyConnected(FullyConnectedOptions::default());
    let mut cases = Vec::new();
    for (size, kernel) in [(7, "gemm_gated"), (112, "gemm_staged")] {
        let channels = if size == 7 { 12 } else { 64 };
        let image = [1, size, size, channels];
        let inputs: [&[usize]; 4] = [&image, &[64, 1, 1, channels], &[64], &[1, 1, 1, channels]];
        let gated = case(conv(1, 1), &inputs, &[0, 3], &[1, size, size, 64], kernel);
        cases.push(Case { whole: Some(Whole::Gated), ..gated });
    }
    for unary in [None, Some(Unary::Swish), Some(Unary::HardSwish)] {
        let squeeze = Some(Whole::Squeeze(Squeeze { unary, low: 0.0, high: 6.0 }));
        let inputs: [&[usize]; 5] = [&[2, 9, 7, 20], &[20, 1, 1, 6], &[20], &[6, 1, 1, 20], &[6]];
        cases.push(Case { whole: squeeze, ..case(conv(1, 1), &inputs, &[0], &[2, 1, 1, 20], "squeeze") });
        let inputs: [&[usize]; 4] = [&[1, 64, 96, 20], &[18, 6], &[18], &[6, 20]];
        cases.push(Case { whole: squeeze, ..case(dense(), &inputs, &[0], &[1, 18], "squeeze") });
    }
    validate(&cases)
}

/// One for each of the staged tiles: 64 by 16 and 32 by 8 texels.
#[test]
fn staged_products_validate() -> Result {
    let mut cases = Vec::new();
    for size in [112, 40] {
        let (input, output) = ([1, size, size, 64], [1, size, size, 64]);
        cases.push(case(conv(1, 1), &[&input, &[64, 1, 1, 64], &[64]], &[0], &output, "gemm_staged"));
        let input = [1, size, size, 4];
        cases.push(case(conv(1, 1), &[&input, &[64, 4, 4, 4], &[64]], &[0], &output, "conv_staged"));
    }
    let discrete = Tuning::of(AdapterClass::Discrete, true, true);
    let tiles: BTreeSet<_> = cases.iter().map(|case| staged(case, &discrete)).collect::<Result<_>>()?;
    assert_eq!(tiles, BTreeSet::from([(8, 2), (4, 1)]));
    validate(&cases)
}

/// Rows and texels of an invocation.
fn staged(case: &Case, tuning: &Tuning) -> Result<(i64, i64)> {
    let mut region = region(case, Storage::F16)?;
    let node = region.nodes[0].clone();
    let row = ops::row(case.op.builtin()).ok_or("no row")?;
    let mut ctx = LowerCtx::new(&mut region, tuning);
    (row.lower)(&mut ctx, &node)?;
    let step = ctx.lowered.steps.last().ok_or("no step")?;
    let value = |wanted: &str| match step.variant.values.iter().find(|(name, _)| *name == wanted) {
        Some((_, VariantValue::Int(value))) => Ok(*value),
        _ => Err(format!("no {wanted}")),
    };
    Ok((value("pixels")?, value("texels")?))
}

#[test]
fn depthwise_convolutions_validate() -> Result {
    validate(&[
        case(depthwise(1, 1), &[&[1, 9, 14, 8], &[1, 3, 3, 8], &[8]], &[0], &[1, 9, 14, 8], "depthwise_strip"),
        case(depthwise(2, 1), &[&[1, 9, 14, 8], &[1, 3, 3, 8], &[8]], &[0], &[1, 5, 7, 8], "depthwise_strip"),
        case(depthwise(1, 1), &[&[1, 9, 16, 8], &[1, 5, 5, 8], &[8]], &[0], &[1, 9, 16, 8], "depthwise_strip"),
        case(depthwise(2, 1), &[&[1, 9, 16, 8], &[1, 5, 5, 8], &[8]], &[0], &[1, 5, 8, 8], "depthwise_strip"),
        case(depthwise(1, 2), &[&[1, 9, 16, 8], &[1, 3, 3, 8]], &[0], &[1, 9, 16, 8], "depthwise_strip"),
        case(depthwise(1, 1), &[&[1, 9, 16, 8], &[1, 7, 7, 8]], &[0], &[1, 9, 16, 8], "depthwise_general"),
        case(depthwise(1, 1), &[&[1, 9, 16, 3], &[1, 3, 3, 6]], &[0], &[1, 9, 16, 6], "depthwise_scalar"),
        case(depthwise(1, 1), &[&[1, 9, 16, 1], &[1, 3, 3, 6]], &[0], &[1, 9, 16, 6], "conv_strip"),
    ])
}

#[test]
fn transposed_convolutions_validate() -> Result {
    let op = Op::TransposeConv(TransposeConvOptions { stride_w: 2, stride_h: 2, ..Default::default() });
    let inputs: [&[usize]; 4] = [&[4], &[5, 3, 3, 6], &[1, 4, 7, 6], &[5]];
    validate(&[
        case(op.clone(), &inputs, &[2], &[1, 8, 14, 5], "transpose_conv"),
        case(op, &[&[4], &[5, 3, 3, 6], &[1, 32, 32, 6]], &[2], &[1, 64, 64, 5], "transpose_conv"),
    ])
}

#[test]
fn products_validate() -> Result {
    let dense = || Op::FullyConnected(FullyConnectedOptions::default());
    let matmul = |adj_x, adj_y| Op::BatchMatmul(BatchMatMulOptions { adj_x, adj_y, asymmetric_quantize_inputs: false });
    let mut cases = vec![
        case(dense(), &[&[1, 12], &[10, 12], &[10]], &[0], &[1, 10], "gemm"),
        case(dense(), &[&[9, 12], &[10, 12]], &[0], &[9, 10], "gemm"),
        case(dense(), &[&[1, 7, 7, 3], &[10, 147]], &[0], &[1, 10], "gemm_vector"),
        case(dense(), &[&[1, 512], &[40, 512], &[40]], &[0], &[1, 40], "gemm_vector"),
        case(dense(), &[&[3, 4], &[10, 6]], &[0], &[2, 10], "gemm"),
        case(dense(), &[&[9, 12], &[10, 12], &[10]], &[0, 1], &[9, 10], "matmul"),
        case(dense(), &[&[3, 4], &[10, 6], &[10]], &[0, 1, 2], &[2, 10], "matmul"),
        case(matmul(false, false), &[&[2, 9, 6], &[6, 10]], &[0], &[2, 9, 10], "gemm"),
        case(matmul(false, true), &[&[2, 9, 6], &[1, 10, 6]], &[0], &[2, 9, 10], "gemm"),
        case(matmul(false, true), &[&[2, 9, 6], &[2, 10, 6]], &[0], &[2, 9, 10], "matmul"),
    ];
    for adj_x in [false, true] {
        for adj_y in [false, true] {
            for rows in [1, 9, 450] {
                let x = if adj_x { [2, 6, rows] } else { [2, rows, 6] };
                let y: &[usize] = if adj_y { &[10, 6] } else { &[6, 10] };
                cases.push(case(matmul(adj_x, adj_y), &[&x, y], &[0, 1], &[2, rows, 10], "matmul"));
            }
            let x = if adj_x { [2, 150, 1] } else { [2, 1, 150] };
            let y: &[usize] = if adj_y { &[10, 150] } else { &[150, 10] };
            cases.push(case(matmul(adj_x, adj_y), &[&x, y], &[0, 1], &[2, 1, 10], "matmul_vector"));
        }
    }
    validate(&cases)
}

#[test]
fn pools_validate() -> Result {
    let mut cases = Vec::new();
    for (taps, stride) in [(2, 2), (3, 1), (3, 2), (7, 1)] {
        let options = Pool2DOptions {
            stride_w: stride,
            stride_h: stride,
            filter_width: taps,
            filter_height: taps,
            ..Default::default()
        };
        let size = 14usize.div_ceil(stride as usize);
        for op in [Op::AveragePool2d(options.clone()), Op::MaxPool2d(options.clone()), Op::L2Pool2d(options)] {
            cases.push(case(op, &[&[2, 14, 14, 5]], &[0], &[2, size, size, 5], "pool"));
        }
    }
    validate(&cases)
}
