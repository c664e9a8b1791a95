//! Checks of what kernels write, for tests: memory around tensors stays as it was, padding lanes are zero.

use std::sync::Arc;

use super::{
    buffers::{DeviceBuffer, Kind},
    executor::Executable,
    readback::Mapping,
};
use crate::{
    error::Error,
    plan::{Slot, Space},
    region::{RegionTensor, Storage},
};

/// What memory is filled with: NaN as floats of both sizes.
const FILL: u8 = 0xff;

impl Executable {
    /// Fills the arena, so that what was never written is NaN.
    ///
    /// # Errors
    /// When the device fails.
    pub fn fill(&self) -> Result<(), Error> {
        let bytes = self.plan.arena_bytes;
        self.device.guarded(|| drop(self.memory.arena(&self.device, bytes)))?;
        self.memory.poison(&self.device)
    }

    /// After a run of a spread plan ([`crate::plan::Plan::spread`]): whether memory beside the tensors is still filled,
    /// and the tensors' padding lanes are zero.
    ///
    /// # Errors
    /// [`Error::Internal`] with the first wrong place; when the device fails.
    pub async fn check_sentinels(&self) -> Result<(), Error> {
        let bytes = self.read_arena().await?;
        let mut slots: Vec<&Slot> = self
            .plan
            .slots
            .iter()
            .filter(|(id, s)| s.space == Space::Arena && s.root == **id)
            .map(|(_, s)| s)
            .collect();
        slots.sort_by_key(|slot| slot.offset);
        let mut end = 0;
        let mut before = "nothing";
        for slot in slots {
            self.check_gap(&bytes, end..slot.offset, before)?;
            let tensor = self.plan.tensor(slot.root);
            let content = bytes.get(slot.offset..slot.offset + slot.bytes).unwrap_or_default();
            if let Some(at) = written_padding(tensor, content) {
                let name = &tensor.name;
                return Err(Error::Internal(format!(
                    "tensor \"{name}\" has a padding lane at byte {at} that is not zero"
                )));
            }
            end = slot.offset + slot.bytes;
            before = &tensor.name;
        }
        self.check_gap(&bytes, end..self.plan.arena_bytes, before)
    }

    fn check_gap(&self, bytes: &[u8], range: std::ops::Range<usize>, before: &str) -> Result<(), Error> {
        let start = range.start;
        match bytes.get(range).unwrap_or_default().iter().position(|byte| *byte != FILL) {
            Some(at) => {
                Err(Error::Internal(format!("byte {at} behind tensor \"{before}\" (arena {}) was written", start + at)))
            }
            None => Ok(()),
        }
    }

    async fn read_arena(&self) -> Result<Vec<u8>, Error> {
        let device = &self.device;
        let (submission, mapping) = device.guarded(|| {
            let arena: Arc<DeviceBuffer> = self.memory.arena(device, self.plan.arena_bytes);
            let bytes = self.plan.arena_bytes;
            let target = DeviceBuffer::new(device, Kind::Readback, bytes, None);
            let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(&arena.buffer, 0, &target.buffer, 0, Some(bytes as u64));
            (device.queue.submit([encoder.finish()]), Mapping::start(target))
        })?;
        mapping.finish(device, submission).await?;
        device.guarded(|| {
            let view = mapping.buffer.buffer.slice(..).get_mapped_range().map_err(|error| device.failed(error))?;
            Ok::<_, Error>(view.to_vec())
        })?
    }
}

/// The first byte of a padding lane that is not zero (of either sign).
fn written_padding(tensor: &RegionTensor, content: &[u8]) -> Option<usize> {
    let lane = match tensor.storage {
        Storage::Raw => return None,
        storage => storage.texel_bytes() / 4,
    };
    let texels = tensor.texels();
    let row = texels.width * 4 * lane;
    let used = texels.channels * lane;
    let is_zero = |bytes: &[u8]| match bytes.split_last() {
        Some((last, rest)) => rest.iter().all(|byte| *byte == 0) && matches!(last, 0 | 0x80),
        None => true,
    };
    content.chunks(row.max(1)).enumerate().find_map(|(i, bytes)| {
        let padding = bytes.get(used..).unwrap_or_default();
        let wrong = padding.chunks(lane).position(|lane| !is_zero(lane))?;
        Some(i * row + used + wrong * lane)
    })
}

#[cfg(test)]
mod tests {
    use tflite_wgpu_model::DType;

    use super::*;

    #[test]
    fn padding_that_is_not_zero_is_found() {
        let tensor = |dims: &[usize], storage| RegionTensor {
            name: "t".to_owned(),
            dtype: DType::Float32,
            dims: dims.to_vec(),
            constant: None,
            quant: None,
            storage,
        };
        let f32 = tensor(&[2, 3], Storage::F32);
        let mut bytes = vec![0u8; 32];
        bytes[0..12].fill(1);
        bytes[16..28].fill(1);
        assert_eq!(written_padding(&f32, &bytes), None);
        bytes[15] = 0x80;
        assert_eq!(written_padding(&f32, &bytes), None, "minus zero");
        bytes[29] = 1;
        assert_eq!(written_padding(&f32, &bytes), Some(28));
        let f16 = tensor(&[5], Storage::F16);
        let mut bytes = vec![0u8; 16];
        bytes[8] = 3;
        assert_eq!(written_padding(&f16, &bytes), None);
        bytes[10] = 3;
        assert_eq!(written_padding(&f16, &bytes), Some(10));
    }
}
