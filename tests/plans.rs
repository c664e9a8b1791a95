//! Plans of small graphs as text: which kernels run for which nodes, and where their tensors lie. Kernel variants and
//! tiles are left out, as they are tuned per adapter.

use std::fmt::Write;

use tflite_wgpu::{
    plan::{self, Border, Plan, Space, step::Operand},
    region::{Region, RegionNode, RegionTensor, Storage},
    rewrite,
    tuning::{AdapterClass, Tuning},
};
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{
    ActivationFunctionType, AddOptions, Conv2DOptions, DType, Data, Graph, GraphBuilder, MulOptions, NodeId, Op,
    Padding, ReshapeOptions, TensorId,
};

type Res<T = ()> = Result<T, Box<dyn std::error::Error>>;

const F: DType = DType::Float32;

/// The whole graph as a region, all floats in halves.
fn region(graph: &Graph) -> Res<Region> {
    let mut region = Region { inputs: graph.inputs.clone(), outputs: graph.outputs.clone(), ..Region::default() };
    for tensor in &graph.tensors {
        let constant = match &tensor.data {
            Data::Constant(bytes) => Some(Value::from_constant(tensor.dtype, &tensor.dims, bytes)?.into()),
            _ => None,
        };
        region.add_tensor(RegionTensor {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            dims: tensor.dims.clone(),
            constant,
            quant: None,
            storage: if tensor.dtype == F { Storage::F16 } else { Storage::I32 },
        });
    }
    for (node, id) in graph.nodes.iter().zip(0..) {
        region.nodes.push(RegionNode {
            op: node.op.clone(),
            inputs: node.inputs.clone(),
            outputs: node.outputs.clone(),
            fused: Vec::new(),
            pad: [0; 4],
            whole: None,
            origin: vec![NodeId(id)],
        });
    }
    rewrite::rewrite(&mut region);
    Ok(region)
}

fn planned(graph: GraphBuilder, border: Option<Border>) -> Res<Plan> {
    let region = region(&graph.finish())?;
    let border = border.unwrap_or_else(|| Border { host_outputs: region.outputs.clone(), ..Border::default() });
    Ok(plan::plan(region, &border, &Tuning::of(AdapterClass::Integrated, true, true))?)
}

/// One line per dispatch.
fn text(plan: &Plan) -> Res<String> {
    let mut text = format!("arena {} bytes, alive {} bytes\n", plan.arena_bytes, plan.live_bytes);
    for step in &plan.steps {
        let nodes: Vec<String> = step.nodes.iter().map(ToString::to_string).collect();
        let epilogue: Vec<String> = step.variant.epilogue.iter().map(|kind| format!("{kind:?}")).collect();
        write!(text, "{} [{}]", step.kernel, nodes.join(" "))?;
        if !epilogue.is_empty() {
            write!(text, " then {}", epilogue.join(", "))?;
        }
        text.push('\n');
        for operand in &step.bindings {
            match operand {
                Operand::Weights(id) => writeln!(text, "    constants {}", plan.weights[id.0].key)?,
                Operand::Tensor(id) => {
                    let slot = plan.slots.get(id).ok_or("a bound tensor without a slot")?;
                    let place = match slot.space {
                        Space::Arena => format!("arena {}..{}", slot.offset, slot.offset + slot.bytes),
                        Space::Constant => "constant".to_owned(),
                        Space::Border => format!("border of \"{}\"", plan.tensor(slot.root).name),
                    };
                    writeln!(text, "    {} {place}", plan.tensor(*id).name)?;
                }
            }
        }
    }
    for (what, list) in [("upload", &plan.uploads), ("download", &plan.downloads)] {
        for transfer in list {
            writeln!(text, "{what} {}", plan.tensor(transfer.tensor).name)?;
        }
    }
    Ok(text)
}

fn add(graph: &mut GraphBuilder, a: TensorId, b: TensorId, name: &str, dims: &[usize]) -> TensorId {
    graph.op(Op::Add(AddOptions::default()), &[Some(a), Some(b)], &[(name, F, dims)])
}

#[test]
fn a_residual_block() -> Res {
    let dims = [1, 8, 8, 16];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &dims);
    let weights = graph.constant_f32("weights", &[16, 1, 1, 16], &[0.5; 256]);
    let bias = graph.constant_f32("bias", &[16], &[0.0; 16]);
    let conv = Conv2DOptions {
        padding: Padding::Same,
        stride_w: 1,
        stride_h: 1,
        dilation_wfactor: 1,
        dilation_hfactor: 1,
        fused_activation_function: ActivationFunctionType::Relu6,
        ..Conv2DOptions::default()
    };
    let inner = graph.op(Op::Conv2d(conv), &[Some(x), Some(weights), Some(bias)], &[("inner", F, &dims)]);
    let sum = add(&mut graph, inner, x, "sum", &dims);
    graph.output(sum);
    insta::assert_snapshot!(text(&planned(graph, None)?)?);
    Ok(())
}

#[test]
fn a_chain_with_a_reshape() -> Res {
    let mut graph = GraphBuilder::new();
    let (a, b) = (graph.input("a", F, &[2, 3, 4]), graph.input("b", F, &[2, 3, 4]));
    let product = graph.op(Op::Mul(MulOptions::default()), &[Some(a), Some(b)], &[("product", F, &[2, 3, 4])]);
    let shape = graph.constant_i32("shape", &[2], &[6, 4]);
    let flat = graph.op(Op::Reshape(ReshapeOptions::default()), &[Some(product), Some(shape)], &[("flat", F, &[6, 4])]);
    let result = graph.op(Op::Tanh, &[Some(flat)], &[("result", F, &[6, 4])]);
    graph.output(result);
    insta::assert_snapshot!(text(&planned(graph, None)?)?);
    Ok(())
}

#[test]
fn an_operand_that_is_read_twice_is_copied() -> Res {
    let dims = [5, 7];
    let mut graph = GraphBuilder::new();
    let x = graph.input("x", F, &dims);
    let double = add(&mut graph, x, x, "double", &dims);
    graph.output(double);
    let plan = planned(graph, None)?;
    for step in &plan.steps {
        let mut offsets: Vec<usize> = step
            .bindings
            .iter()
            .filter_map(|operand| match operand {
                Operand::Tensor(id) => plan.slots.get(id).filter(|s| s.space == Space::Arena).map(|s| s.offset),
                Operand::Weights(_) => None,
            })
            .collect();
        let bound = offsets.len();
        offsets.sort_unstable();
        offsets.dedup();
        assert_eq!(offsets.len(), bound, "{} binds the same memory twice", step.kernel);
    }
    insta::assert_snapshot!(text(&plan)?);
    Ok(())
}

#[test]
fn values_of_other_partitions_stay_on_the_device() -> Res {
    let dims = [4, 4];
    let mut graph = GraphBuilder::new();
    let (a, b) = (graph.input("a", F, &dims), graph.input("b", F, &dims));
    let sum = add(&mut graph, a, b, "sum", &dims);
    let result = graph.op(Op::Exp, &[Some(sum)], &[("result", F, &dims)]);
    graph.output(sum);
    graph.output(result);
    let border = Border { device_inputs: vec![a], device_outputs: vec![sum], host_outputs: vec![sum, result] };
    insta::assert_snapshot!(text(&planned(graph, Some(border))?)?);
    Ok(())
}

#[test]
fn an_input_that_is_an_output_gets_a_buffer_of_its_own() -> Res {
    let dims = [3];
    let mut graph = GraphBuilder::new();
    let a = graph.input("a", F, &dims);
    graph.output(a);
    let border = Border { device_inputs: vec![a], device_outputs: vec![a], host_outputs: vec![a] };
    insta::assert_snapshot!(text(&planned(graph, Some(border))?)?);
    Ok(())
}
