//! Checks of what kernels write, for tests: memory around tensors stays as it was, padding lanes are zero.

use tflite_wgpu_model::TensorId;

use super::{
    buffers::{DeviceBuffer, Kind},
    executor::Executable,
    readback::Mapping,
};
use crate::{
    error::Error,
    plan::{Plan, Slot, Space},
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
        first_wrong(&self.plan, &bytes).map_or(Ok(()), |message| Err(Error::Internal(message)))
    }

    async fn read_arena(&self) -> Result<Vec<u8>, Error> {
        let device = &self.device;
        let mut all = Vec::with_capacity(self.plan.arena_bytes);
        let arena = device.guarded(|| self.memory.arena(device, self.plan.arena_bytes))?;
        for buffer in arena.buffers() {
            let (submission, mapping) = device.guarded(|| {
                let bytes = usize::try_from(buffer.size()).unwrap_or(usize::MAX);
                let target = DeviceBuffer::new(device, Kind::Readback, bytes);
                let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                encoder.copy_buffer_to_buffer(buffer, 0, &target.buffer, 0, Some(buffer.size()));
                (device.queue.submit([encoder.finish()]), Mapping::start(target))
            })?;
            mapping.finish(device, submission).await?;
            device.guarded(|| {
                let view = mapping.buffer.buffer.slice(..).get_mapped_range().map_err(|error| device.failed(error))?;
                all.extend_from_slice(&view);
                Ok::<_, Error>(())
            })??;
        }
        Ok(all)
    }
}

/// What is wrong with the arena after a run of a spread plan.
fn first_wrong(plan: &Plan, arena: &[u8]) -> Option<String> {
    let is_own = |(id, slot): &(&TensorId, &Slot)| slot.space == Space::Arena && slot.root == **id;
    let mut slots: Vec<&Slot> = plan.slots.iter().filter(is_own).map(|(_, slot)| slot).collect();
    slots.sort_by_key(|slot| slot.offset);
    let gap = |from: usize, to: usize, before: &str| {
        let written = arena.get(from..to)?.iter().position(|byte| *byte != FILL)?;
        Some(format!("byte {written} behind {before} was written"))
    };
    let (mut end, mut before) = (0, "the arena's beginning");
    for slot in slots {
        let tensor = plan.tensor(slot.root);
        let padding = || {
            let at = written_padding(tensor, arena.get(slot.offset..slot.offset + slot.bytes)?)?;
            Some(format!("byte {at} of tensor \"{}\" is padding and not zero", tensor.name))
        };
        if let Some(wrong) = gap(end, slot.offset, before).or_else(padding) {
            return Some(wrong);
        }
        (end, before) = (slot.offset + slot.bytes, &tensor.name);
    }
    gap(end, plan.arena_bytes, before)
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
    use crate::{
        ops::LowerError,
        plan::{self, Border},
        region::Region,
        tuning::{AdapterClass, Tuning},
    };

    fn tensor(dims: &[usize], storage: Storage) -> RegionTensor {
        let (name, dims) = ("t".to_owned(), dims.to_vec());
        RegionTensor { name, dtype: DType::Float32, dims, constant: None, quant: None, storage }
    }

    #[test]
    fn writes_beside_tensors_are_found() -> Result<(), LowerError> {
        let id = TensorId(0);
        let tensors = vec![tensor(&[3, 5], Storage::F32)];
        let region = Region { tensors, inputs: vec![id], outputs: vec![id], ..Region::default() };
        let border = Border { host_outputs: vec![id], ..Border::default() };
        let mut plan = plan::plan(region, &border, &Tuning::of(AdapterClass::Lavapipe, false, true))?;
        plan.spread();
        let mut arena = vec![FILL; plan.arena_bytes];
        for slot in plan.slots.values() {
            arena[slot.offset..slot.offset + slot.bytes].fill(0);
        }
        assert_eq!(first_wrong(&plan, &arena), None);
        for slot in plan.slots.values() {
            for at in [slot.offset - 1, slot.offset + slot.bytes] {
                let mut wrong = arena.clone();
                wrong[at] = 0;
                assert!(first_wrong(&plan, &wrong).is_some_and(|text| text.contains("was written")), "byte {at}");
            }
        }
        let texels = plan.slots[&id];
        // The sixth of eight lanes.
        arena[texels.offset + 5 * 4 + 1] = 1;
        assert!(first_wrong(&plan, &arena).is_some_and(|text| text.contains("padding")));
        Ok(())
    }

    #[test]
    fn padding_that_is_not_zero_is_found() {
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
