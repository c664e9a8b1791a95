//! Rewrites inside regions: the result stays, the dispatches fall.

mod common;

use common::{TestResult, random, run_both};
use tflite_wgpu::compare;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::*;

const F: DType = DType::Float32;

/// An atrous convolution as TensorFlow exports it: sizes of image and block, borders, and whether one step is left.
struct Atrous {
    image: [usize; 4],
    block: [i32; 2],
    paddings: [i32; 4],
    crops: [i32; 4],
    padding: Padding,
    merged: bool,
}

fn program(case: &Atrous, depthwise: bool) -> Program {
    let Atrous { image: [batch, height, width, channels], block, paddings, crops, padding, .. } = *case;
    let (bh, bw) = (block[0] as usize, block[1] as usize);
    let (ph, pw) = ((paddings[0] + paddings[1]) as usize, (paddings[2] + paddings[3]) as usize);
    let split = [batch * bh * bw, (height + ph) / bh, (width + pw) / bw, channels];
    let lost = if padding == Padding::Valid { 2 } else { 0 };
    let conv = [split[0], split[1] - lost, split[2] - lost, channels];
    let (ch, cw) = ((crops[0] + crops[1]) as usize, (crops[2] + crops[3]) as usize);
    let joined = [batch, conv[1] * bh - ch, conv[2] * bw - cw, channels];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &case.image);
    let block = graph.constant_i32("block", &[2], &block);
    let paddings = graph.constant_i32("paddings", &[2, 2], &paddings);
    let crops = graph.constant_i32("crops", &[2, 2], &crops);
    let filter_dims = if depthwise { [1, 3, 3, channels] } else { [channels, 3, 3, channels] };
    let filter = graph.constant_f32("filter", &filter_dims, &common::floats(7, filter_dims.iter().product()));
    let bias = graph.constant_f32("bias", &[channels], &common::floats(8, channels));
    let relu = ActivationFunctionType::Relu;
    let op = if depthwise {
        let options = DepthwiseConv2DOptions {
            padding,
            stride_h: 1,
            stride_w: 1,
            depth_multiplier: 1,
            fused_activation_function: relu,
            ..DepthwiseConv2DOptions::default()
        };
        Op::DepthwiseConv2d(options)
    } else {
        let options = Conv2DOptions {
            padding,
            stride_h: 1,
            stride_w: 1,
            fused_activation_function: relu,
            ..Conv2DOptions::default()
        };
        Op::Conv2d(options)
    };
    let a = graph.op(Op::SpaceToBatchNd, &[Some(x), Some(block), Some(paddings)], &[("a", F, &split)]);
    let b = graph.op(op, &[Some(a), Some(filter), Some(bias)], &[("b", F, &conv)]);
    let c = graph.op(Op::BatchToSpaceNd, &[Some(b), Some(block), Some(crops)], &[("c", F, &joined)]);
    graph.output(c);
    ModelBuilder::new().subgraph(graph).program()
}

#[test]
fn atrous_convolutions_are_one_step() -> TestResult {
    let cases = [
        // As TensorFlow writes SAME: zeros all around, those that fill up the block are cropped again.
        Atrous {
            image: [1, 9, 12, 4],
            block: [2, 2],
            paddings: [2, 3, 2, 2],
            crops: [0, 1, 0, 0],
            padding: Padding::Valid,
            merged: true,
        },
        Atrous {
            image: [2, 8, 8, 5],
            block: [4, 2],
            paddings: [0, 0, 0, 0],
            crops: [0, 0, 0, 0],
            padding: Padding::Same,
            merged: true,
        },
        Atrous {
            image: [1, 7, 6, 3],
            block: [3, 2],
            paddings: [4, 4, 3, 3],
            crops: [1, 0, 0, 1],
            padding: Padding::Valid,
            merged: true,
        },
        // More cropped than was padded: not a convolution's border.
        Atrous {
            image: [1, 8, 8, 4],
            block: [2, 2],
            paddings: [0, 0, 0, 0],
            crops: [1, 0, 0, 0],
            padding: Padding::Valid,
            merged: false,
        },
    ];
    for (i, case) in cases.iter().enumerate() {
        for (depthwise, precision) in
            [(false, "precision=f32"), (true, "precision=f32"), (false, "precision=f16"), (true, "precision=f16")]
        {
            let tolerance = if precision == "precision=f32" { compare::F32 } else { compare::F16_OPERATOR };
            let program = program(case, depthwise);
            let Some(both) = run_both(&program, &[random(5, &case.image)?], &[precision])? else { return Ok(()) };
            for (cpu, gpu) in both.cpu.iter().zip(&both.gpu) {
                compare::compare(cpu, gpu, &tolerance).map_err(|e| format!("case {i}, depthwise {depthwise}: {e}"))?;
            }
            assert_eq!(both.report.gpu_nodes(), 3, "case {i}");
            let nodes: Vec<usize> = both.report.partitions.iter().map(|partition| partition.steps.len()).collect();
            // One step, and one each for the way in and out.
            assert_eq!(nodes == [3], case.merged, "case {i}: {nodes:?} dispatches");
        }
    }
    Ok(())
}

/// RELU leaves infinity alone, whether it is an attribute or a node that joins its producer.
#[test]
fn infinity_passes_a_fused_relu() -> TestResult {
    let relu = ActivationFunctionType::Relu;
    for activation in [relu, ActivationFunctionType::None] {
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", F, &[8]);
        let one = graph.constant_f32("one", &[8], &[1.0; 8]);
        let options = AddOptions { fused_activation_function: activation, ..AddOptions::default() };
        let sum = graph.op(Op::Add(options), &[Some(x), Some(one)], &[("sum", F, &[8])]);
        let out = graph.op(Op::Relu, &[Some(sum)], &[("out", F, &[8])]);
        graph.output(out);
        let program = ModelBuilder::new().subgraph(graph).program();
        let values = [f32::INFINITY, -5.0, 0.0, 2.0, f32::NEG_INFINITY, 7.0, -1.0, -0.5];
        let input = Value::from_slice(F, &[8], &values)?;
        let wanted = [f32::INFINITY, 0.0, 1.0, 3.0, 0.0, 8.0, 0.0, 0.5];
        // Only in f32: what is stored in halves ends at 65504.
        let Some(both) = run_both(&program, std::slice::from_ref(&input), &["precision=f32"])? else { return Ok(()) };
        assert_eq!(both.gpu[0].as_slice::<f32>()?, wanted, "{activation:?}");
        assert_eq!(both.cpu[0].as_slice::<f32>()?, wanted, "{activation:?}");
        assert_eq!(both.report.gpu_nodes(), 2);
    }
    Ok(())
}
