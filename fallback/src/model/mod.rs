//! A checked program with its constants, shared by interpreters.

mod calls;
mod check;
mod folded;
mod quant;
mod sparse;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use tflite_wgpu_model::{Bytes, DType, Graph, NodeId, Op, Program, SubgraphId, Tensor, TensorId};

use crate::{
    custom::{CustomOperator, CustomOperators},
    error::{Error, TensorAt},
    eval::Hybrid,
    fast::{self, FastKernel},
    memory::Shared,
    value::{Value, ValueError},
};

use folded::Folded;

pub use calls::is_interpreted;
pub(crate) use calls::{Call, callees, has_side_effect, is_resource};

/// Bytes that a constant without elements may have but for its dimensions of 0.
const MAX_EMPTY_EXTENT: usize = 1 << 28;

/// Whether a constant has no elements but dimensions that no file explains.
fn is_endless(data: &Tensor) -> bool {
    data.dims.contains(&0)
        && Value::extent_bytes(data.dtype, &data.dims).map_or(true, |extent| extent > MAX_EMPTY_EXTENT)
}

/// A program and its constants in memory; a clone shares both.
///
/// Constants are decoded when they are first asked for, so that those of delegated nodes cost nothing here.
#[derive(Clone)]
pub struct Model(Arc<Inner>, CustomOperators);

struct Inner {
    program: Program,
    /// Values of constants, and of what follows from them alone.
    constants: Vec<Vec<OnceLock<Result<Shared, Error>>>>,
    folded: Vec<Folded>,
    /// Fast kernels of each node, for both meanings of hybrid models.
    fast: Vec<Vec<[FastCell; 2]>>,
}

/// A node's fast kernel, once it was looked for.
type FastCell = OnceLock<Option<Box<dyn FastKernel>>>;

impl Model {
    /// Checks a program and shares it.
    ///
    /// # Errors
    /// [`Error::Program`] when an index points beyond its list, a node does not fit the subgraph that it calls, a
    /// subgraph calls itself, or the quantisation of a tensor in use is none: a scale of 0, a zero point beyond its type.
    pub fn new(program: Program) -> Result<Self, Error> {
        check::check(&program)?;
        let cells = |graph: &Graph| graph.tensors.iter().map(|_| OnceLock::new()).collect();
        let constants = program.subgraphs.iter().map(cells).collect();
        let folded = program.subgraphs.iter().map(Folded::of).collect();
        let cells = |graph: &Graph| graph.nodes.iter().map(|_| Default::default()).collect();
        let fast = program.subgraphs.iter().map(cells).collect();
        Ok(Self(Arc::new(Inner { program, constants, folded, fast }), CustomOperators::default()))
    }

    /// Reads and checks a file. It is mapped into memory where that is possible, so it must not change while the model is
    /// in use.
    ///
    /// # Errors
    /// When the file cannot be read, is no sound `.tflite` file, and as [`Model::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(Program::open(path)?)
    }

    /// Reads and checks a file's bytes.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn read(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        Self::new(Program::read(bytes.into())?)
    }

    /// The same model with a custom operator of the user's own, which goes before one of this crate. Interpreters,
    /// delegates and comparisons of the returned model know it.
    #[must_use]
    pub fn with_custom_operator(mut self, name: impl Into<String>, operator: impl Into<CustomOperator>) -> Self {
        Arc::make_mut(&mut self.1).insert(name.into(), operator.into());
        self
    }

    /// Custom operators of the user's own.
    pub fn custom_operators(&self) -> &CustomOperators {
        &self.1
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.0.program
    }

    /// The value of a constant, dense and with types below 8 bits unpacked; `None` when the tensor is none.
    ///
    /// # Errors
    /// [`Error::Constant`] when its bytes do not fit its type and shape.
    pub fn constant(&self, subgraph: SubgraphId, tensor: TensorId) -> Result<Option<&Value>, Error> {
        Ok(self.shared_constant(subgraph, tensor)?.map(|shared| shared.value()))
    }

    pub(crate) fn shared_constant(&self, subgraph: SubgraphId, tensor: TensorId) -> Result<Option<&Shared>, Error> {
        let Some(cell) = self.cell(subgraph, tensor) else { return Ok(None) };
        let Some(value) = self.decode(subgraph, tensor) else { return Ok(None) };
        cell.get_or_init(value).as_ref().map(Some).map_err(Clone::clone)
    }

    /// What a tensor holds that follows from constants alone; computed once.
    pub(crate) fn folded(&self, subgraph: SubgraphId, tensor: TensorId) -> Result<Option<&Shared>, Error> {
        let Some(cell) = self.cell(subgraph, tensor) else { return Ok(None) };
        let Some(maker) = self.maker(subgraph, tensor) else { return Ok(None) };
        let value = || folded::evaluate(self, subgraph, tensor, maker);
        cell.get_or_init(value).as_ref().map(Some).map_err(Clone::clone)
    }

    /// The value of a constant or of what follows from constants; it is kept for others only if it was already.
    pub(crate) fn constant_once(&self, subgraph: SubgraphId, tensor: TensorId) -> Result<Option<Shared>, Error> {
        if let Some(kept) = self.cell(subgraph, tensor).and_then(OnceLock::get) {
            return kept.clone().map(Some);
        }
        if let Some(maker) = self.maker(subgraph, tensor) {
            return folded::evaluate(self, subgraph, tensor, maker).map(Some);
        }
        self.decode(subgraph, tensor).map(|decode| decode()).transpose()
    }

    /// The constant halves of which a folded DEQUANTIZE makes this tensor.
    pub(crate) fn widened(&self, subgraph: SubgraphId, tensor: TensorId) -> Option<TensorId> {
        let graph = self.program().graph(subgraph)?;
        let maker = graph.nodes.get(self.maker(subgraph, tensor)?.index())?;
        let input = maker.input(0).filter(|_| maker.op == Op::Dequantize)?;
        let stored = graph.tensors.get(input.index())?;
        (stored.dtype == DType::Float16 && stored.constant().is_some()).then_some(input)
    }

    /// Whether a node's result follows from constants alone.
    pub(crate) fn is_folded(&self, subgraph: SubgraphId, node: NodeId) -> bool {
        self.0.folded.get(subgraph.index()).is_some_and(|folded| folded.contains(node))
    }

    /// The fast kernel of a node, prepared when it is first asked for.
    pub(crate) fn fast(&self, subgraph: SubgraphId, id: NodeId, hybrid: Hybrid) -> Option<&dyn FastKernel> {
        let cells = self.0.fast.get(subgraph.index())?.get(id.index())?;
        let node = self.program().graph(subgraph)?.nodes.get(id.index())?;
        let cell = &cells[usize::from(hybrid == Hybrid::Tflite)];
        let prepare = || {
            let kernel = fast::prepare(self, subgraph, node, hybrid)?;
            let held = |(i, input): (usize, &Option<TensorId>)| input.filter(|_| kernel.holds(i).is_some());
            node.inputs.iter().enumerate().filter_map(held).for_each(|tensor| self.release(subgraph, tensor));
            Some(kernel)
        };
        cell.get_or_init(prepare).as_deref()
    }

    /// Gives back the file's pages behind a constant, or behind what follows from constants: nobody reads them for now.
    /// A delegate that has a copy of its own says so; who reads the constant again reads the file again.
    pub fn release(&self, subgraph: SubgraphId, tensor: TensorId) {
        let Some(graph) = self.program().graph(subgraph) else { return };
        if let Some(bytes) = graph.tensors.get(tensor.index()).and_then(Tensor::constant) {
            bytes.release();
        }
        let maker = self.maker(subgraph, tensor).and_then(|maker| graph.nodes.get(maker.index()));
        for input in maker.into_iter().flat_map(|node| &node.inputs).flatten() {
            self.release(subgraph, *input);
        }
    }

    fn cell(&self, subgraph: SubgraphId, tensor: TensorId) -> Option<&OnceLock<Result<Shared, Error>>> {
        self.0.constants.get(subgraph.index())?.get(tensor.index())
    }

    fn maker(&self, subgraph: SubgraphId, tensor: TensorId) -> Option<NodeId> {
        self.0.folded.get(subgraph.index())?.maker(tensor)
    }

    /// How a constant of the file is decoded; `None` when the tensor is none.
    fn decode(&self, subgraph: SubgraphId, tensor: TensorId) -> Option<impl FnOnce() -> Result<Shared, Error>> {
        let data = self.program().graph(subgraph)?.tensors.get(tensor.index())?;
        let bytes = data.constant()?;
        Some(move || {
            let value = match &data.sparsity {
                _ if is_endless(data) => Err(ValueError::TooLarge(data.dims.clone())),
                Some(sparsity) => sparse::densify(data.dtype, &data.dims, sparsity, bytes),
                None => Value::from_constant(data.dtype, &data.dims, bytes),
            };
            let at = || TensorAt::new(subgraph, tensor, Some(data));
            if value.as_ref().is_ok_and(|value| !value.is_in_file()) {
                bytes.release();
            }
            value.map(Shared::uncounted).map_err(|error| Error::Constant { at: at(), error })
        })
    }
}
