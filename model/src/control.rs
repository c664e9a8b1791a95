//! Which operators run subgraphs, which keep a state, and which end in an activation.

use crate::{ActivationFunctionType, BuiltinOperator, Data, Graph, Op};

impl Op {
    /// Subgraphs that the operator runs, as the file's indices (not checked); empty for most operators.
    pub fn called_subgraphs(&self) -> Vec<i64> {
        match self {
            Self::If(o) => vec![o.then_subgraph_index.into(), o.else_subgraph_index.into()],
            Self::While(o) => vec![o.cond_subgraph_index.into(), o.body_subgraph_index.into()],
            Self::StablehloWhile(o) => vec![o.cond_subgraph_index.into(), o.body_subgraph_index.into()],
            Self::Call(o) => vec![o.subgraph.into()],
            Self::CallOnce(o) => vec![o.init_subgraph_index.into()],
            Self::StablehloComposite(o) => vec![o.decomposition_subgraph_index.into()],
            Self::StablehloReduce(o) => vec![o.body_subgraph_index.into()],
            Self::StablehloReduceWindow(o) => vec![o.body_subgraph_index.into()],
            Self::StablehloSort(o) => vec![o.comparator_subgraph_index.into()],
            Self::StablehloScatter(o) => vec![o.update_computation_subgraph_index.into()],
            Self::StablehloCase(o) => o.branch_subgraph_indices.iter().map(|&i| i.into()).collect(),
            Self::StablehloCustomCall(o) => o.called_computations.iter().map(|&i| i.into()).collect(),
            _ => Vec::new(),
        }
    }

    /// The activation that the operator's attributes fuse into it; `None` for recurrent operators, whose activation
    /// belongs to their gates, and for operators without one.
    pub fn fused_activation(&self) -> Option<ActivationFunctionType> {
        Some(match self {
            Self::Add(o) => o.fused_activation_function,
            Self::Sub(o) => o.fused_activation_function,
            Self::Mul(o) => o.fused_activation_function,
            Self::Div(o) => o.fused_activation_function,
            Self::Conv2d(o) => o.fused_activation_function,
            Self::DepthwiseConv2d(o) => o.fused_activation_function,
            Self::TransposeConv(o) => o.fused_activation_function,
            Self::Conv3d(o) | Self::Conv3dTranspose(o) => o.fused_activation_function,
            Self::FullyConnected(o) => o.fused_activation_function,
            Self::AveragePool2d(o) | Self::MaxPool2d(o) | Self::L2Pool2d(o) => o.fused_activation_function,
            Self::L2Normalization(o) => o.fused_activation_function,
            Self::Concatenation(o) => o.fused_activation_function,
            _ => return None,
        })
    }
}

impl Graph {
    /// Whether an invoke leaves something behind for the next: variable tensors, resource variables, hash tables.
    /// Subgraphs that its nodes call are not looked at.
    pub fn is_stateful(&self) -> bool {
        let keeps = |op: &Op| {
            use BuiltinOperator::{AssignVariable, CallOnce, HashtableImport, VarHandle};
            matches!(op.builtin(), AssignVariable | CallOnce | HashtableImport | VarHandle)
        };
        self.tensors.iter().any(|t| t.data == Data::Variable) || self.nodes.iter().any(|n| keeps(&n.op))
    }
}
