//! Nodes that run other subgraphs.

use tflite_wgpu_model::{DType, Node, NodeId, Op, SubgraphId};

use super::{Executor, Scope};
use crate::{content::Content, error::Error, value::ValueError};

impl Executor {
    /// IF, STABLEHLO_CASE, CALL, STABLEHLO_COMPOSITE, CALL_ONCE: at most one subgraph runs, once.
    pub(super) async fn branch(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node) -> Result<(), Error> {
        let (index, skip) = match &node.op {
            Op::If(o) => match self.condition(scope, id, node).await? {
                true => (i64::from(o.then_subgraph_index), 1),
                false => (i64::from(o.else_subgraph_index), 1),
            },
            Op::StablehloCase(o) => {
                let chosen = self.integer(scope, id, node).await?;
                // An index beyond the branches chooses the last, as StableHLO says.
                let chosen = usize::try_from(chosen).ok().and_then(|i| o.branch_subgraph_indices.get(i));
                let last = chosen.or(o.branch_subgraph_indices.last());
                let none = || Error::program(scope.at(id), "no branch", "at least one");
                (i64::from(*last.ok_or_else(none)?), 1)
            }
            Op::Call(o) => (i64::from(o.subgraph), 0),
            Op::StablehloComposite(o) => (i64::from(o.decomposition_subgraph_index), 0),
            Op::CallOnce(o) => {
                if !self.resources.first_call(o.init_subgraph_index) {
                    return Ok(());
                }
                (i64::from(o.init_subgraph_index), 0)
            }
            _ => return Ok(()),
        };
        let inputs = self.arguments(scope, id, node, skip)?;
        let results = self.call(called(scope, id, index)?, inputs).await;
        if let (Err(_), Op::CallOnce(o)) = (&results, &node.op) {
            self.resources.forget_call(o.init_subgraph_index);
        }
        self.write_results(scope, id, node, results?)
    }

    /// WHILE: the body's results become the next round's values all at once.
    pub(super) async fn repeat(
        &mut self,
        scope: &mut Scope<'_>,
        id: NodeId,
        node: &Node,
        condition: i32,
        body: i32,
    ) -> Result<(), Error> {
        let (condition, body) = (called(scope, id, condition.into())?, called(scope, id, body.into())?);
        let mut values = self.arguments(scope, id, node, 0)?;
        let limit = self.options.max_loop_iterations;
        let mut rounds = 0u64;
        loop {
            let results = self.call(condition, values.clone()).await?;
            self.bring(&results).await?;
            let goes_on = results.first().and_then(Content::host).and_then(|result| truth(result.value()));
            let unclear = || Error::program(scope.at(id), "a condition that is not one BOOL", "one BOOL");
            if !goes_on.ok_or_else(unclear)? {
                break;
            }
            if rounds == limit {
                return Err(Error::Loop { at: scope.at(id), limit });
            }
            rounds += 1;
            values = self.call(body, values).await?;
        }
        self.write_results(scope, id, node, values)
    }

    /// Values of a node's inputs from `skip` on, wherever they are.
    fn arguments(
        &mut self,
        scope: &mut Scope<'_>,
        id: NodeId,
        node: &Node,
        skip: usize,
    ) -> Result<Vec<Content>, Error> {
        let mut arguments = Vec::with_capacity(node.inputs.len());
        for (i, input) in node.inputs.iter().enumerate().skip(skip) {
            let tensor = input.ok_or_else(|| Error::MissingInput { at: scope.at(id), input: i })?;
            arguments.push(self.read(scope, tensor)?);
        }
        Ok(arguments)
    }

    async fn condition(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node) -> Result<bool, Error> {
        let shared = self.host_input(scope, id, node, 0).await?;
        truth(shared.value()).ok_or_else(|| self.not_one(scope, id, node, shared.value(), DType::Bool))
    }

    async fn integer(&mut self, scope: &mut Scope<'_>, id: NodeId, node: &Node) -> Result<i64, Error> {
        let shared = self.host_input(scope, id, node, 0).await?;
        let value = shared.value();
        let first = if value.len() == 1 { value.to_ints().and_then(|ints| ints.first().copied()) } else { None };
        first.ok_or_else(|| self.not_one(scope, id, node, value, DType::Int32))
    }

    fn not_one(
        &self,
        scope: &Scope<'_>,
        id: NodeId,
        node: &Node,
        value: &crate::value::Value,
        expected: DType,
    ) -> Error {
        let error = match value.dtype() == expected {
            true => ValueError::Size { found: value.bytes().len(), expected: expected.size().unwrap_or(1) },
            false => ValueError::Type { found: value.dtype(), expected },
        };
        Error::Operand { at: scope.at(id), operand: scope.input_operand(node, 0), error }
    }
}

/// The one element of a BOOL value.
fn truth(value: &crate::value::Value) -> Option<bool> {
    match (value.dtype(), value.bytes()) {
        (DType::Bool, [byte]) => Some(*byte != 0),
        _ => None,
    }
}

fn called(scope: &Scope<'_>, id: NodeId, index: i64) -> Result<SubgraphId, Error> {
    let found = || Error::program(scope.at(id), format!("subgraph {index}"), "one of the program's");
    u32::try_from(index).map(SubgraphId).map_err(|_| found())
}
