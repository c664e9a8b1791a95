//! `activation_attributes`: a node's fused activation becomes the first entry of `fused`.

use tflite_wgpu_model::{ActivationFunctionType, Op};

use crate::region::{Fused, Region, Unary};

pub fn rewrite(region: &mut Region) -> usize {
    let mut touched = 0;
    for node in &mut region.nodes {
        if let Some(fused) = attribute(&node.op).and_then(fused) {
            node.fused.insert(0, fused);
            touched += 1;
        }
    }
    touched
}

/// The fused activation that an operator's attributes name.
pub fn attribute(op: &Op) -> Option<ActivationFunctionType> {
    Some(match op {
        Op::Add(o) => o.fused_activation_function,
        Op::Sub(o) => o.fused_activation_function,
        Op::Mul(o) => o.fused_activation_function,
        Op::Div(o) => o.fused_activation_function,
        Op::Conv2d(o) => o.fused_activation_function,
        Op::DepthwiseConv2d(o) => o.fused_activation_function,
        Op::TransposeConv(o) => o.fused_activation_function,
        Op::FullyConnected(o) => o.fused_activation_function,
        Op::AveragePool2d(o) | Op::MaxPool2d(o) | Op::L2Pool2d(o) => o.fused_activation_function,
        Op::L2Normalization(o) => o.fused_activation_function,
        Op::Concatenation(o) => o.fused_activation_function,
        _ => return None,
    })
}

/// The fused step of an activation; `None` for NONE.
pub fn fused(activation: ActivationFunctionType) -> Option<Fused> {
    Some(match activation {
        ActivationFunctionType::None => return None,
        ActivationFunctionType::Relu => Fused::Clamp { low: 0.0, high: f32::MAX },
        ActivationFunctionType::ReluN1To1 => Fused::Clamp { low: -1.0, high: 1.0 },
        ActivationFunctionType::Relu6 => Fused::Clamp { low: 0.0, high: 6.0 },
        ActivationFunctionType::Tanh => Fused::Unary(Unary::Tanh),
        ActivationFunctionType::SignBit => Fused::Unary(Unary::Sign),
    })
}

/// The fused step that a whole node without attributes of its own stands for.
pub fn of_node(op: &Op) -> Option<Fused> {
    Some(match op {
        Op::Relu => Fused::Clamp { low: 0.0, high: f32::MAX },
        Op::Relu6 => Fused::Clamp { low: 0.0, high: 6.0 },
        Op::ReluN1To1 => Fused::Clamp { low: -1.0, high: 1.0 },
        Op::Relu0To1 => Fused::Clamp { low: 0.0, high: 1.0 },
        Op::LeakyRelu(o) => Fused::LeakyRelu { alpha: o.alpha },
        Op::Abs => Fused::Unary(Unary::Abs),
        Op::Ceil => Fused::Unary(Unary::Ceil),
        Op::Cos => Fused::Unary(Unary::Cos),
        Op::Elu => Fused::Unary(Unary::Elu),
        Op::Exp => Fused::Unary(Unary::Exp),
        Op::Floor => Fused::Unary(Unary::Floor),
        Op::Gelu(o) => Fused::Unary(if o.approximate { Unary::GeluTanh } else { Unary::Gelu }),
        Op::HardSwish => Fused::Unary(Unary::HardSwish),
        Op::Log => Fused::Unary(Unary::Log),
        Op::Logistic => Fused::Unary(Unary::Logistic),
        Op::Neg => Fused::Unary(Unary::Neg),
        Op::Round => Fused::Unary(Unary::Round),
        Op::Rsqrt => Fused::Unary(Unary::Rsqrt),
        Op::Sign => Fused::Unary(Unary::Sign),
        Op::Sin => Fused::Unary(Unary::Sin),
        Op::Sqrt => Fused::Unary(Unary::Sqrt),
        Op::Square => Fused::Unary(Unary::Square),
        Op::Tanh => Fused::Unary(Unary::Tanh),
        _ => return None,
    })
}
