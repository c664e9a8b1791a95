//! What a delegate has of one subgraph of one interpreter: the partitions that the host formed, and their values.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::c_int,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicI32, Ordering},
    },
};

use tflite_wgpu_fallback::{HostedOptions, HostedPartitions, Model};
use tflite_wgpu_model::{Node, NodeId, Program, TensorId};

use crate::{
    abi,
    inject::{self, Fault},
};

/// A partition as `init` was given it.
#[derive(Clone, Debug)]
pub struct Formed {
    /// Positions of the nodes in the program.
    pub nodes: Vec<NodeId>,
    /// Tensors that the host reads.
    pub outputs: Vec<c_int>,
}

/// What the host reads of a partition although no node outside of it does: outputs of the model, or all its tensors. Other
/// tensors stay on the device for further partitions, and the host asks for those that it needs as well.
fn read_by_host_alone<'a>(nodes: &'a [Node], formed: &'a Formed) -> impl Iterator<Item = c_int> + 'a {
    let is_inside = |i: usize| formed.nodes.binary_search(&NodeId::from_index(i)).is_ok();
    let outside = nodes.iter().enumerate().filter(move |(i, _)| !is_inside(*i));
    let read: BTreeSet<u32> = outside.flat_map(|(_, node)| node.inputs.iter().flatten()).map(|id| id.0).collect();
    let alone = move |number: &c_int| u32::try_from(*number).is_ok_and(|id| !read.contains(&id));
    formed.outputs.iter().copied().filter(alone)
}

/// The partitions of one subgraph.
pub struct Session {
    /// The position in the program of each of the host's nodes, by its number.
    nodes: HashMap<c_int, NodeId>,
    formed: Mutex<Vec<Formed>>,
    work: OnceLock<Mutex<HostedPartitions>>,
    /// Why nothing runs any more, after a panic.
    broken: OnceLock<String>,
    handles: Mutex<HashMap<TensorId, c_int>>,
}

impl Session {
    /// A session of a program whose nodes have these numbers.
    pub fn new(nodes: HashMap<c_int, NodeId>) -> Arc<Self> {
        Arc::new(Self {
            nodes,
            formed: Mutex::default(),
            work: OnceLock::new(),
            broken: OnceLock::new(),
            handles: Mutex::default(),
        })
    }

    /// Notes a partition that the host has formed; its position.
    ///
    /// # Errors
    /// When it has nodes that the host did not show.
    pub fn form(&self, nodes: &[c_int], outputs: &[c_int]) -> Result<usize, String> {
        let id = |number: &c_int| {
            let known = self.nodes.get(number).copied();
            known.ok_or_else(|| format!("the host has put the unknown node {number} into a partition"))
        };
        let mut nodes: Vec<NodeId> = nodes.iter().map(id).collect::<Result<_, _>>()?;
        nodes.sort_unstable();
        let mut formed = lock(&self.formed);
        formed.push(Formed { nodes, outputs: outputs.to_vec() });
        Ok(formed.len() - 1)
    }

    /// Partitions that the host has formed.
    pub fn formed(&self) -> Vec<Formed> {
        lock(&self.formed).clone()
    }

    /// Makes the partitions of all sets that the host has formed; `delegate` gets them and claims them.
    ///
    /// # Errors
    /// When the program is not sound, or the delegate refuses it.
    pub fn start(
        &self,
        mut program: Program,
        delegate: impl FnOnce(Vec<Vec<NodeId>>) -> tflite_wgpu::GpuDelegate,
        threads: usize,
    ) -> Result<(), String> {
        let formed = self.formed();
        if let Some(graph) = program.subgraphs.first_mut() {
            let numbers = formed.iter().flat_map(|formed| read_by_host_alone(&graph.nodes, formed));
            let ids = numbers.filter_map(|number| u32::try_from(number).map(TensorId).ok());
            let known = ids.filter(|id| id.index() < graph.tensors.len() && !graph.outputs.contains(id));
            let more: BTreeSet<TensorId> = known.collect();
            graph.outputs.extend(more);
        }
        let model = Model::new(program).map_err(|error| error.to_string())?;
        let delegate = delegate(formed.into_iter().map(|formed| formed.nodes).collect());
        let mut options = HostedOptions { threads, ..HostedOptions::default() };
        if inject::due("start") == Some(Fault::Memory) {
            options.memory_limit_bytes = 0;
        }
        let partitions =
            HostedPartitions::new(&model, Box::new(delegate), options).map_err(|error| error.to_string())?;
        if self.work.set(Mutex::new(partitions)).is_err() {
            return Err("a session was started twice".to_owned());
        }
        Ok(())
    }

    /// The partitions.
    ///
    /// # Errors
    /// When there are none, or an earlier call has ended in a panic.
    pub fn work(&self) -> Result<MutexGuard<'_, HostedPartitions>, String> {
        if let Some(reason) = self.broken.get() {
            return Err(reason.clone());
        }
        let work = self.work.get().ok_or("the partition was never prepared")?;
        work.lock().map_err(|_| "an earlier invoke ended in a panic".to_owned())
    }

    /// Lets every later call fail with this reason.
    pub fn give_up(&self, reason: &str) {
        let _ = self.broken.set(reason.to_owned());
    }

    /// The handle of a tensor whose value is on the device; always the same.
    pub fn handle(self: &Arc<Self>, tensor: TensorId) -> c_int {
        *lock(&self.handles).entry(tensor).or_insert_with(|| {
            let handle = NEXT_HANDLE.fetch_add(1, Ordering::Relaxed);
            lock(&HANDLES).get_or_insert_default().insert(handle, (Arc::downgrade(self), tensor));
            handle
        })
    }

    /// Whether a stale tensor of the host has its value here.
    pub fn holds(&self, tensor: TensorId, host: &abi::Tensor) -> bool {
        host.data_is_stale != 0 && lock(&self.handles).get(&tensor) == Some(&host.buffer_handle)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(handles) = &mut *lock(&HANDLES) {
            for handle in lock(&self.handles).values() {
                handles.remove(handle);
            }
        }
        if crate::device::is_ending() {
            std::mem::forget(self.work.take());
        }
    }
}

type Handles = HashMap<c_int, (Weak<Session>, TensorId)>;

/// Handles of the process; a host may ask for one through another delegate's pointer.
static HANDLES: Mutex<Option<Handles>> = Mutex::new(None);
static NEXT_HANDLE: AtomicI32 = AtomicI32::new(1);

/// Whose value a handle is.
pub fn holder(handle: c_int) -> Option<(Arc<Session>, TensorId)> {
    let handles = lock(&HANDLES);
    let (session, tensor) = handles.as_ref()?.get(&handle)?;
    Some((session.upgrade()?, *tensor))
}

/// Sessions whose partitions are being formed, by the context they belong to.
static FORMING: Mutex<Vec<(usize, Arc<Session>)>> = Mutex::new(Vec::new());

/// Makes a session known to `init` while the host forms partitions for it.
pub fn forming<T>(context: usize, session: &Arc<Session>, work: impl FnOnce() -> T) -> T {
    /// Forgets the session, also when the work panics.
    struct Forget<'a>(&'a Arc<Session>);
    impl Drop for Forget<'_> {
        fn drop(&mut self) {
            lock(&FORMING).retain(|(_, other)| !Arc::ptr_eq(other, self.0));
        }
    }
    lock(&FORMING).push((context, Arc::clone(session)));
    let _forget = Forget(session);
    work()
}

/// The session for which the host forms partitions now.
pub fn formed_for(context: usize) -> Option<Arc<Session>> {
    lock(&FORMING).iter().rev().find(|(known, _)| *known == context).map(|(_, session)| Arc::clone(session))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
