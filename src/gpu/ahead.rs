//! Commands of the next invoke, recorded while the device works on this one: an invoke then only writes its inputs and
//! submits.
//!
//! Nothing of an invoke but its inputs changes from one to the next, and those are written by the queue. What commands
//! bind stays the same as long as the arena does; other shapes, borders or partitions have another executable.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{buffers::DeviceBuffer, memory::Arena};

/// Commands of an invoke.
pub(super) struct Recorded {
    pub(super) commands: wgpu::CommandBuffer,
    /// Where timestamps land, if there are any.
    pub(super) times: Option<DeviceBuffer>,
    /// What they bind.
    pub(super) arena: Arc<Arena>,
}

impl Recorded {
    /// Whether they bind this arena.
    pub(super) fn is_over(&self, arena: &Arc<Arena>) -> bool {
        Arc::ptr_eq(&self.arena, arena)
    }
}

/// What an invoke takes with it and the next one finds again.
#[derive(Default)]
pub(super) struct Turn {
    /// Where results land, unless there are none.
    pub(super) readback: Option<DeviceBuffer>,
    /// Commands that bring them there.
    pub(super) recorded: Option<Recorded>,
}

/// Turns that no invoke has at the moment. More than one exist only where an invoke is submitted before the one before it
/// has been collected.
#[derive(Default)]
pub(super) struct Turns {
    free: Mutex<Vec<Turn>>,
    begun: AtomicBool,
    repeated: AtomicBool,
}

impl Turns {
    /// A turn for an invoke; an empty one where all are taken.
    pub(super) fn take(&self) -> Turn {
        if self.begun.swap(true, Ordering::Relaxed) {
            self.repeated.store(true, Ordering::Relaxed);
        }
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes one back.
    pub(super) fn give(&self, turn: Turn) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(turn);
    }

    /// Whether there has been more than one invoke.
    pub(super) fn repeat(&self) -> bool {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Whether the next invoke finds its commands.
    pub(super) fn has_recorded(&self) -> bool {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|turn| turn.recorded.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, error::Error};

    use tflite_wgpu_fallback::{Model, Value};
    use tflite_wgpu_model::{DType, GraphBuilder, ModelBuilder, Op};

    use super::*;
    use crate::{
        DelegateOptions,
        gpu::{DeviceOptions, Executable, GpuDevice, Memory},
        preview::preview,
    };

    #[test]
    fn another_arena_is_recorded_anew() -> Result<(), Box<dyn Error>> {
        let Ok(device) = pollster::block_on(GpuDevice::open(&DeviceOptions::default())) else {
            println!("SKIPPED another_arena_is_recorded_anew: no adapter");
            return Ok(());
        };
        let dims = [1, 4, 4, 8];
        let mut graph = GraphBuilder::new();
        let x = graph.input("x", DType::Float32, &dims);
        let y = graph.op(Op::Neg, &[Some(x)], &[("y", DType::Float32, &dims)]);
        graph.output(y);
        let model = Model::new(ModelBuilder::new().subgraph(graph).program())?;
        let options = DelegateOptions::parse(["device=gpu", "precision=f32"])?;
        let plan = preview(&model, &options, &device.tuning).pop().ok_or("no partition")?.plan?;
        let (memory, bytes) = (Arc::new(Memory::default()), plan.arena_bytes);
        let executable = Executable::new(&device, plan, &memory, &HashMap::new())?;
        for turn in 0..8 {
            let floats: Vec<f32> = (0..128).map(|i| (i + turn * 128) as f32).collect();
            let (given, expected) = (Value::f32(&dims, &floats)?, floats.iter().map(|v| -v).collect::<Vec<_>>());
            let pending = executable.submit(|_| Some(&given))?;
            let found = pollster::block_on(executable.collect(pending))?;
            assert_eq!(found.first().ok_or("no output")?.1.as_slice::<f32>()?, expected, "turn {turn}");
            assert_eq!(executable.turns.has_recorded(), turn > 0, "turn {turn}");
            if turn == 4 {
                // As another partition does that needs more.
                memory.arena(&device, bytes * 2);
            }
        }
        let recorded = executable.turns.take().recorded.ok_or("nothing is recorded")?;
        assert!(recorded.is_over(&memory.arena(&device, bytes)) && executable.host_times().ahead.runs == 7);
        Ok(())
    }
}
