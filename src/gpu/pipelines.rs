//! Pipelines by kernel and variant, made once per device.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    cache::CacheFile,
    device::GpuDevice,
    effort::Effort,
    first_use::{Fresh, Helper},
};
use crate::{
    error::Error,
    kernels::{self, Role},
    plan::step::{EpilogueStep, Step, Variant},
};

/// A compiled kernel and the layout of its bind group.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: Layout,
}

/// The layout of a kernel's bindings: pipelines with the same slots share it, and wgpu notices.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

/// One entry per binding: whether it is a read-only storage buffer, a writable one, or the parameter block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    ReadOnly,
    Writable,
    Uniform,
}

/// The driver's own store of pipelines, and its file.
#[derive(Debug)]
pub(super) struct PipelineStore {
    cache: wgpu::PipelineCache,
    file: CacheFile,
}

impl PipelineStore {
    /// The store as an earlier process has left it, or an empty one; `None` where the adapter has none.
    pub(super) fn open(device: &GpuDevice, file: CacheFile) -> Option<Self> {
        if !device.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let data = file.read();
        let made = device.guarded(|| create_cache(&device.device, data.as_deref()));
        // The driver may refuse what an earlier version of it has written.
        let cache = made.or_else(|_| device.guarded(|| create_cache(&device.device, None))).ok()?;
        Some(Self { cache, file })
    }

    /// Writes what the driver has compiled. That it cannot be written costs the next process time, nothing else.
    fn save(&self) {
        if let Some(data) = self.cache.get_data()
            && let Err(error) = self.file.write(&data)
        {
            tracing::warn!(file = %self.file.path().display(), %error, "compiled pipelines are not kept");
        }
    }
}

#[allow(unsafe_code, reason = "wgpu cannot check a driver's data; see SAFETY")]
fn create_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: None, data, fallback: true };
    // SAFETY: `data` must come from `PipelineCache::get_data`. It does: only `PipelineStore::save` writes the file, which
    // lies in a folder of the user's own, names adapter and driver version, and is read only with a matching checksum.
    // wgpu and the driver check the adapter's ids in the data once more.
    unsafe { device.create_pipeline_cache(&descriptor) }
}

#[derive(Debug, Default)]
pub(super) struct Pipelines {
    store: Option<PipelineStore>,
    helper: Option<Helper>,
    made: Mutex<HashMap<&'static str, HashMap<Variant, Arc<Pipeline>>>>,
    layouts: Mutex<HashMap<Vec<Slot>, Layout>>,
}

impl Pipelines {
    /// The pipelines of these steps; those that are missing are compiled.
    pub(super) fn get_all(
        &self,
        device: &GpuDevice,
        steps: &[Step],
        effort: &Effort<'_>,
    ) -> Result<Vec<Arc<Pipeline>>, Error> {
        let mut missing: Vec<&Step> = Vec::new();
        for step in steps {
            let same = |other: &&Step| other.kernel == step.kernel && other.variant == step.variant;
            if !missing.iter().any(same) && self.known(step).is_none() {
                missing.push(step);
            }
        }
        let fresh = self.compile(device, &missing, effort)?;
        if let Some(helper) = &self.helper {
            let compiled = helper.compile(device, fresh, effort);
            if compiled.is_err() {
                // Whoever wants them next has them compiled ahead as well.
                self.forget(&missing);
            }
            compiled?;
        }
        if let Some(store) = self.store.as_ref().filter(|_| !missing.is_empty()) {
            store.save();
        }
        let unmade = |step: &Step| device.failed(format!("kernel {} was not made", step.kernel));
        steps.iter().map(|step| self.known(step).ok_or_else(|| unmade(step))).collect()
    }

    /// Whether none of these steps' pipelines is missing.
    pub(super) fn has_all(&self, steps: &[Step]) -> bool {
        steps.iter().all(|step| self.known(step).is_some())
    }

    /// Looks pipelines up in this store from now on, and keeps new ones there.
    pub(super) fn keep_in(&mut self, store: Option<PipelineStore>) {
        self.store = store;
    }

    /// Has new pipelines compiled before they are used from now on.
    pub(super) fn compile_ahead(&mut self, helper: Helper) {
        self.helper = Some(helper);
    }

    fn known(&self, step: &Step) -> Option<Arc<Pipeline>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(step.kernel)?.get(&step.variant).cloned()
    }

    fn forget(&self, steps: &[&Step]) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        for step in steps {
            made.get_mut(step.kernel).map(|variants| variants.remove(&step.variant));
        }
    }

    fn compile(&self, device: &GpuDevice, steps: &[&Step], effort: &Effort<'_>) -> Result<Vec<Fresh>, Error> {
        let threads = effort.threads().min(steps.len());
        let compile_one = |step: &&Step| effort.check().and_then(|()| self.compile_one(device, step));
        if threads <= 1 {
            return steps.iter().map(compile_one).collect();
        }
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<Fresh>, Error> {
            let taken = std::iter::from_fn(|| steps.get(next.fetch_add(1, Ordering::Relaxed)));
            taken.map(compile_one).collect()
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let crashed = |_| Err(device.failed("a thread that compiles pipelines crashed"));
            let joined = workers.into_iter().map(|worker| worker.join().unwrap_or_else(crashed));
            // Every thread is waited for, whatever the first one says.
            joined.collect::<Vec<_>>().into_iter().try_fold(Vec::new(), |mut all, made| {
                all.extend(made?);
                Ok(all)
            })
        })
    }

    fn compile_one(&self, device: &GpuDevice, step: &Step) -> Result<Fresh, Error> {
        let fresh = device.guarded(|| self.make(device, step))??;
        device.usage.pipelines_made.fetch_add(1, Ordering::Relaxed);
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(step.kernel).or_default().insert(step.variant.clone(), Arc::clone(&fresh.pipeline));
        Ok(fresh)
    }

    fn make(&self, device: &GpuDevice, step: &Step) -> Result<Fresh, Error> {
        let missing =
            || Error::Failed { adapter: device.summary.label(), message: format!("kernel {} has no row", step.kernel) };
        let row = kernels::row(step.kernel).ok_or_else(missing)?;
        let text = kernels::render(row, &step.variant, device.tuning.dialect)?;
        let slots = slots(row, &step.variant);
        let layout = self.layout(device, &slots);
        let wgpu = &device.device;
        let cache = self.store.as_ref().map(|store| &store.cache);
        let pipeline = make_pipeline(wgpu, step.kernel, &text, &layout, cache);
        let pipeline = Arc::new(Pipeline { pipeline, layout });
        Ok(Fresh { kernel: step.kernel, text, slots, params: step.params.clone(), pipeline })
    }

    fn layout(&self, device: &GpuDevice, slots: &[Slot]) -> Layout {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        layouts.entry(slots.to_vec()).or_insert_with(|| make_layout(&device.device, slots)).clone()
    }
}

pub(super) fn make_pipeline(
    device: &wgpu::Device,
    kernel: &str,
    text: &str,
    layout: &Layout,
    cache: Option<&wgpu::PipelineCache>,
) -> wgpu::ComputePipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(kernel),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    });
    // Some drivers write a long list of stores for zeros.
    let options = wgpu::PipelineCompilationOptions {
        zero_initialize_workgroup_memory: kernels::reads_zeros(kernel),
        ..wgpu::PipelineCompilationOptions::default()
    };
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel),
        layout: Some(&layout.pipeline),
        module: &module,
        entry_point: Some(kernel),
        compilation_options: options,
        cache,
    })
}

/// The row's bindings, the parameter block, the epilogue's operands.
pub(super) fn slots(row: &kernels::KernelRow, variant: &Variant) -> Vec<Slot> {
    let own = row.bindings.iter().map(|b| if b.role == Role::Weights { Slot::ReadOnly } else { Slot::Writable });
    let operands = variant
        .epilogue
        .iter()
        .filter(|step| matches!(step, EpilogueStep::Binary { .. } | EpilogueStep::Prelu { .. }))
        .map(|_| Slot::Writable);
    own.chain([Slot::Uniform]).chain(operands).collect()
}

pub(super) fn make_layout(device: &wgpu::Device, slots: &[Slot]) -> Layout {
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
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    Layout { group, pipeline }
}
