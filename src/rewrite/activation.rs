//! `activation_attributes`: a node's fused activation becomes the first entry of `fused`.

use tflite_wgpu_model::ActivationFunctionType;

use crate::region::{Fused, Region, Unary};

pub fn rewrite(region: &mut Region) -> usize {
    let mut touched = 0;
    for node in &mut region.nodes {
        if let Some(fused) = node.op.fused_activation().and_then(fused) {
            node.fused.insert(0, fused);
            touched += 1;
        }
    }
    touched
}

/// The fused step of an activation; `None` for NONE.
pub fn fused(activation: ActivationFunctionType) -> Option<Fused> {
    Some(match activation {
        ActivationFunctionType::None => return None,
        ActivationFunctionType::Relu => Fused::Clamp { low: 0.0, high: f32::INFINITY },
        ActivationFunctionType::ReluN1To1 => Fused::Clamp { low: -1.0, high: 1.0 },
        ActivationFunctionType::Relu6 => Fused::Clamp { low: 0.0, high: 6.0 },
        ActivationFunctionType::Tanh => Fused::Unary(Unary::Tanh),
        ActivationFunctionType::SignBit => Fused::Unary(Unary::Sign),
    })
}
