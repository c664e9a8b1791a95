//! Pipelines by kernel and variant, made once per device.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::device::GpuDevice;
use crate::{
    error::Error,
    kernels::{self, Role},
    plan::step::{EpilogueStep, Step, Variant},
};

/// A compiled kernel and the layout of its bind group.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// One entry per binding: whether it is a read-only storage buffer, a writable one, or the parameter block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Slot {
    ReadOnly,
    Writable,
    Uniform,
}

#[derive(Debug, Default)]
pub(super) struct Pipelines {
    made: Mutex<HashMap<(&'static str, Variant), Arc<Pipeline>>>,
    layouts: Mutex<HashMap<Vec<Slot>, wgpu::BindGroupLayout>>,
}

impl Pipelines {
    /// The pipeline of a step, compiled at its first use.
    pub(super) fn get(&self, device: &GpuDevice, step: &Step) -> Result<Arc<Pipeline>, Error> {
        let key = (step.kernel, step.variant.clone());
        if let Some(found) = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(self.make(device, step)?);
        device.check()?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&made));
        Ok(made)
    }

    fn make(&self, device: &GpuDevice, step: &Step) -> Result<Pipeline, Error> {
        let missing = || Error::Failed {
            adapter: device.summary.name.clone(),
            message: format!("kernel {} has no row", step.kernel),
        };
        let row = kernels::row(step.kernel).ok_or_else(missing)?;
        let text = kernels::render(row, &step.variant, device.tuning.dialect)?;
        let slots = slots(row, &step.variant);
        let layout = self.layout(device, &slots);
        let wgpu = &device.device;
        let module = wgpu.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(step.kernel),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let pipeline_layout = wgpu.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(step.kernel),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(step.kernel),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(step.kernel),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Ok(Pipeline { pipeline, layout })
    }

    fn layout(&self, device: &GpuDevice, slots: &[Slot]) -> wgpu::BindGroupLayout {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        layouts.entry(slots.to_vec()).or_insert_with(|| make_layout(&device.device, slots)).clone()
    }
}

/// The row's bindings, the parameter block, the epilogue's operands.
fn slots(row: &kernels::KernelRow, variant: &Variant) -> Vec<Slot> {
    let own = row.bindings.iter().map(|b| if b.role == Role::Weights { Slot::ReadOnly } else { Slot::Writable });
    let operands = variant
        .epilogue
        .iter()
        .filter(|step| matches!(step, EpilogueStep::Binary { .. } | EpilogueStep::Prelu { .. }))
        .map(|_| Slot::Writable);
    own.chain([Slot::Uniform]).chain(operands).collect()
}

fn make_layout(device: &wgpu::Device, slots: &[Slot]) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0..)
        .zip(slots)
        .map(|(binding, slot)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match slot {
                    Slot::ReadOnly => wgpu::BufferBindingType::Storage { read_only: true },
                    Slot::Writable => wgpu::BufferBindingType::Storage { read_only: false },
                    Slot::Uniform => wgpu::BufferBindingType::Uniform,
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}
