//! Whether a partition is worth its way to the GPU (`device=auto`).

use tflite_wgpu_model::Graph;

use super::Assignment;
use crate::{gpu::GpuDevice, ops::Facts, reason::Reason};

/// Gives partitions that would be slower on the adapter back to the CPU.
///
/// A software adapter shares the CPU with the reference kernels and adds transfers and compilation to the same
/// arithmetic: it never wins. The hardware side of the model still has to be measured.
pub fn apply(_graph: &Graph, _facts: &Facts, device: &GpuDevice, assignment: &mut Assignment) {
    if device.summary.software {
        for id in assignment.partitions.drain(..).flatten() {
            assignment.reasons.insert(id, Reason::SoftwareAdapter);
        }
    }
}
