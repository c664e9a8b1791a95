//! A plan run step by step with reference values, for `verify`: what each step writes, read back.

use half::f16;
use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::{DType, TensorId};

use super::{
    buffers::{DeviceBuffer, Kind},
    executor::{Bound, Executable},
    readback::Mapping,
    resources::Resource,
};
use crate::{
    error::Error,
    kernels::{self, Role},
    plan::step::{Operand, Step},
    reason::Reason,
    region::{RegionTensor, Storage},
};

/// What the steps of a traced plan read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// What earlier steps have written; only the plan's inputs are reference values.
    Chained,
    /// Reference values, wherever there are any.
    Isolated,
}

/// What a step has written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Position of the step.
    pub step: usize,
    /// The tensor of the file.
    pub tensor: TensorId,
    /// Its value.
    pub value: Value,
}

impl Executable {
    /// Runs the plan's steps one after the other and gives every tensor of the file to `written` once the last step
    /// that writes it has run. `reference` gives values of the file's tensors, those of the plan's inputs among them.
    ///
    /// The values of an invoke that is still on its way are overwritten.
    ///
    /// # Errors
    /// When an input has no reference value or one of another type or shape than planned, or the device fails.
    pub async fn trace<'v>(
        &self,
        feed: Feed,
        reference: impl Fn(TensorId) -> Option<&'v Value>,
        mut written: impl FnMut(Written),
    ) -> Result<(), Error> {
        for (raw, bytes) in self.uploads(&reference)? {
            self.device.guarded(|| self.with_bound(|bound| self.upload(&bound.arena, raw, bytes)))?;
        }
        let outputs: Vec<Vec<(usize, TensorId)>> = self.plan().steps.iter().map(outputs).collect();
        let makes = |step: &Vec<(usize, TensorId)>, id: TensorId| step.iter().any(|(_, own)| *own == id);
        for (i, step) in self.plan().steps.iter().enumerate() {
            for (binding, operand) in step.bindings.iter().enumerate() {
                let Operand::Tensor(id) = *operand else { continue };
                let tensor = self.plan().tensor(id);
                let own = outputs.get(i).is_some_and(|step| makes(step, id));
                // What no step makes has come from another partition.
                let from_outside = !outputs.iter().any(|step| makes(step, id));
                if own || tensor.constant.is_some() || !(feed == Feed::Isolated || from_outside) {
                    continue;
                }
                let fits = |value: &&Value| value.shape() == tensor.dims && value.dtype() == tensor.dtype;
                if let Some(value) = reference(id).filter(fits) {
                    self.write(i, binding, &encode(tensor, value)?)?;
                }
            }
            self.dispatch_alone(i)?;
            for &(binding, id) in outputs.get(i).into_iter().flatten() {
                let later = outputs.iter().skip(i + 1).any(|step| makes(step, id));
                let host = self.plan().downloads.iter().find(|transfer| transfer.raw == id);
                let tensor = host.map_or(id, |transfer| transfer.tensor);
                if !later && reference(tensor).is_some() {
                    let value = decode(self.plan().tensor(id), &self.read_back(i, binding, id).await?)?;
                    written(Written { step: i, tensor, value });
                }
            }
        }
        self.device.check()
    }

    fn resource(&self, step: usize, binding: usize) -> Result<&Resource, Error> {
        // The parameter block lies between the row's bindings and the epilogue's.
        let row = self.plan().steps.get(step).map_or(0, |step| step.variant.storage.len());
        let at = if binding < row { binding } else { binding + 1 };
        let resource = self.dispatches.get(step).and_then(|dispatch| dispatch.resources.get(at));
        resource.ok_or_else(|| Error::Internal(format!("step {step} has no binding {binding}")))
    }

    /// Writes the texels of a tensor that a step binds.
    fn write(&self, step: usize, binding: usize, bytes: &[u8]) -> Result<(), Error> {
        let resource = self.resource(step, binding)?;
        let write = |bound: &Bound| {
            let (buffer, offset) = resource.place(&bound.arena);
            self.device.queue.write_buffer(buffer, offset, bytes);
        };
        self.device.guarded(|| self.with_bound(write))
    }

    fn dispatch_alone(&self, step: usize) -> Result<(), Error> {
        let run = |bound: &Bound| {
            let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let descriptor = wgpu::ComputePassDescriptor::default();
            self.dispatch(&mut encoder.begin_compute_pass(&descriptor), bound, step, None);
            self.device.queue.submit([encoder.finish()]);
        };
        self.device.guarded(|| self.with_bound(run))
    }

    async fn read_back(&self, step: usize, binding: usize, id: TensorId) -> Result<Vec<u8>, Error> {
        let resource = self.resource(step, binding)?;
        let bytes = self.plan().tensor(id).device_bytes();
        let copy = |bound: &Bound| {
            let (buffer, offset) = resource.place(&bound.arena);
            let staging = DeviceBuffer::new(&self.device, Kind::Readback, bytes);
            let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer, offset, &staging.buffer, 0, Some(bytes as u64));
            let submission = self.device.queue.submit([encoder.finish()]);
            (Mapping::start(staging), submission)
        };
        let (mapping, submission) = self.device.guarded(|| self.with_bound(copy))?;
        mapping.finish(&self.device, submission).await?;
        let view = mapping.buffer.buffer.slice(..).get_mapped_range().map_err(|error| self.device.failed(error))?;
        let read = view.get(..bytes).map(<[u8]>::to_vec);
        read.ok_or_else(|| self.device.failed("the readback is too short"))
    }
}

/// The tensors that a step writes, with their bindings.
fn outputs(step: &Step) -> Vec<(usize, TensorId)> {
    let rows = kernels::row(step.kernel).map(|row| row.bindings).unwrap_or_default();
    let pairs = rows.iter().zip(&step.bindings).enumerate();
    let written = pairs.filter_map(|(binding, (row, operand))| match operand {
        Operand::Tensor(id) if row.role == Role::Output => Some((binding, *id)),
        _ => None,
    });
    written.collect()
}

fn unsupported(tensor: &RegionTensor) -> Error {
    Reason::UnsupportedType { tensor: tensor.name.clone(), found: tensor.dtype }.into()
}

/// A value as the tensor's texels, padded with zeros.
fn encode(tensor: &RegionTensor, value: &Value) -> Result<Vec<u8>, Error> {
    if value.shape() != tensor.dims || value.dtype() != tensor.dtype {
        let form = |dtype: DType, dims: &[usize]| format!("{dtype} {dims:?}");
        let (found, expected) = (form(value.dtype(), value.shape()), form(tensor.dtype, &tensor.dims));
        return Err(Error::Input { tensor: tensor.name.clone(), found, expected });
    }
    let rows = tensor.texels().channels.max(1);
    let mut bytes = Vec::with_capacity(tensor.device_bytes());
    match tensor.storage {
        Storage::Raw => bytes.extend_from_slice(value.bytes()),
        Storage::I32 => {
            let ints = value.to_ints().ok_or_else(|| unsupported(tensor))?;
            for row in ints.chunks(rows) {
                let fits = row.iter().map(|&v| i32::try_from(v)).collect::<Result<Vec<i32>, _>>();
                let mut row = fits.map_err(|_| Error::from(Reason::Value("a value needs more than 32 bits")))?;
                row.resize(rows.next_multiple_of(4), 0);
                bytes.extend(row.iter().flat_map(|v| v.to_le_bytes()));
            }
        }
        Storage::F32 | Storage::F16 => {
            let floats = value.to_floats().ok_or_else(|| unsupported(tensor))?;
            for row in floats.chunks(rows) {
                let mut row = row.to_vec();
                row.resize(rows.next_multiple_of(4), 0.0);
                for v in row {
                    match tensor.storage {
                        Storage::F16 => bytes.extend(half(v).to_le_bytes()),
                        _ => bytes.extend((v as f32).to_le_bytes()),
                    }
                }
            }
        }
    }
    bytes.resize(tensor.device_bytes().max(bytes.len()), 0);
    Ok(bytes)
}

/// As a kernel stores it: finite values are clamped, NaN stays.
fn half(v: f64) -> f16 {
    if v.is_nan() { f16::NAN } else { f16::from_f64(v.clamp(-65504.0, 65504.0)) }
}

/// A tensor's texels as a value of its own type.
fn decode(tensor: &RegionTensor, bytes: &[u8]) -> Result<Value, Error> {
    let (channels, count) = (tensor.texels().channels.max(1), tensor.dims.iter().product::<usize>());
    let padded = channels.next_multiple_of(4);
    let cut = |size: usize| {
        let rows = bytes.chunks_exact(padded * size);
        rows.flat_map(move |row| row.chunks_exact(size).take(channels)).take(count)
    };
    let mut value = Value::zeros(tensor.dtype, &tensor.dims)?;
    match tensor.storage {
        Storage::Raw => {
            let size = value.bytes().len();
            let own = bytes.get(..size).ok_or_else(|| Error::Internal("a readback is too short".to_owned()))?;
            value.bytes_mut().copy_from_slice(own);
        }
        Storage::F32 => {
            let floats: Vec<f32> = cut(4).map(bytemuck::pod_read_unaligned).collect();
            store_floats(tensor, &mut value, &floats)?;
        }
        Storage::F16 => {
            let floats: Vec<f32> = cut(2).map(|b| bytemuck::pod_read_unaligned::<f16>(b).to_f32()).collect();
            store_floats(tensor, &mut value, &floats)?;
        }
        Storage::I32 => {
            let ints: Vec<i32> = cut(4).map(bytemuck::pod_read_unaligned).collect();
            let size = value.dtype().size().unwrap_or(4);
            for (to, from) in value.bytes_mut().chunks_exact_mut(size).zip(&ints) {
                let wide = i64::from(*from).to_le_bytes();
                to.iter_mut().zip(wide).for_each(|(to, from)| *to = from);
            }
        }
    }
    Ok(value)
}

fn store_floats(tensor: &RegionTensor, value: &mut Value, floats: &[f32]) -> Result<(), Error> {
    match tensor.dtype {
        DType::Float32 => value.as_mut_slice::<f32>()?.copy_from_slice(floats),
        DType::Float16 => {
            let halves: Vec<f16> = floats.iter().map(|&v| f16::from_f32(v)).collect();
            value.as_mut_slice::<f16>()?.copy_from_slice(&halves);
        }
        _ => return Err(unsupported(tensor)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dtype: DType, dims: &[usize], storage: Storage) -> RegionTensor {
        RegionTensor { name: "x".into(), dtype, dims: dims.to_vec(), constant: None, quant: None, storage }
    }

    #[test]
    fn texels_round_trip() -> Result<(), Error> {
        for dims in [vec![], vec![1], vec![2, 3, 5], vec![4, 8], vec![3, 1]] {
            let count: usize = dims.iter().product();
            let floats = Value::f32(&dims, &(0..count).map(|i| i as f32 * 0.5 - 3.0).collect::<Vec<_>>())?;
            for storage in [Storage::F32, Storage::F16] {
                let tensor = tensor(DType::Float32, &dims, storage);
                let bytes = encode(&tensor, &floats)?;
                assert_eq!(bytes.len(), tensor.device_bytes(), "{dims:?} {storage:?}");
                assert_eq!(decode(&tensor, &bytes)?, floats, "{dims:?} {storage:?}");
            }
            let ints = Value::from_slice(DType::Int64, &dims, &(0..count).map(|i| i as i64 - 3).collect::<Vec<_>>())?;
            let tensor = tensor(DType::Int64, &dims, Storage::I32);
            assert_eq!(decode(&tensor, &encode(&tensor, &ints)?)?, ints, "{dims:?}");
        }
        Ok(())
    }

    #[test]
    fn padding_is_zero_and_other_forms_are_refused() -> Result<(), Error> {
        let tensor = tensor(DType::Float32, &[2, 3], Storage::F32);
        let bytes = encode(&tensor, &Value::f32(&[2, 3], &[1.0; 6])?)?;
        let floats: Vec<f32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        assert_eq!(floats, [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
        assert!(encode(&tensor, &Value::f32(&[3, 2], &[1.0; 6])?).is_err());
        assert!(encode(&tensor, &Value::i32(&[2, 3], &[1; 6])?).is_err());
        Ok(())
    }
}
