//! A device with its queue, pipelines and error state; shared by interpreters.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{
    adapter::{self, AdapterChoice, AdapterSummary},
    buffers::Usage,
    cache::CacheDir,
    first_use::Helper,
    pipelines::{PipelineStore, Pipelines},
    tiles::Tiles,
    weights::WeightStore,
};
use crate::{
    error::Error,
    kernels::{F16Form, Rounding},
    plan::{ALIGNMENT, Plan},
    tuning::{Choice, Measured, ProductShape, Tuning},
};

/// Limits to ask of the adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceLimits {
    /// All that the adapter has.
    #[default]
    Adapter,
    /// WebGPU's defaults: what every browser promises.
    WebGpuDefault,
}

/// How to open a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceOptions {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// Which limits.
    pub limits: DeviceLimits,
    /// Use typed f16 texels even where packed ones are the choice (needs SHADER_F16).
    pub typed_f16: Option<bool>,
    /// Where compiled pipelines are kept between processes.
    pub cache_dir: CacheDir,
}

/// An opened adapter.
pub struct GpuDevice {
    /// The adapter.
    pub summary: AdapterSummary,
    /// The adapter class's choices.
    pub tuning: Tuning,
    /// Bytes of buffers alive, counted where they are made.
    pub usage: Arc<Usage>,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pipelines: Pipelines,
    pub(super) limits: wgpu::Limits,
    pub(super) weights: WeightStore,
    tiles: Tiles,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// Why the device was lost.
    lost: OnceLock<String>,
    messages: Mutex<Vec<String>>,
}

impl Faults {
    /// Notes what no error scope has caught, and the loss of the device.
    fn listen(self: &Arc<Self>, device: &wgpu::Device) {
        let sink = Arc::clone(self);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| sink.push(error.to_string())));
        let sink = Arc::clone(self);
        device.set_device_lost_callback(move |reason, message| {
            // Only the first loss counts.
            let _ = sink.lost.set(format!("{reason:?}: {message}"));
        });
    }

    fn push(&self, message: String) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    fn take(&self) -> Option<String> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let first = messages.first().cloned();
        messages.clear();
        first
    }
}

impl GpuDevice {
    /// Opens an adapter.
    ///
    /// # Errors
    /// When there is none that matches, or it gives no device.
    pub async fn open(options: &DeviceOptions) -> Result<Arc<Self>, Error> {
        let (summary, adapter) = adapter::choose(&options.adapter).await?;
        let info = adapter.get_info();
        let half_conversions = wgpu::DownlevelFlags::SHADER_F16_IN_F32;
        let builtin = adapter.get_downlevel_capabilities().flags.contains(half_conversions)
            || adapter.features().contains(wgpu::Features::SHADER_F16);
        let mut tuning = Tuning::of(adapter::classify(&info), summary.shader_f16, builtin);
        if adapter.features().contains(wgpu::Features::SUBGROUP) {
            tuning = tuning.with_subgroups(info.subgroup_min_size, info.subgroup_max_size);
        }
        if adapter.features().contains(wgpu::Features::SHADER_INT64) {
            tuning = tuning.with_wide_words();
        }
        if let Some(typed) = options.typed_f16 {
            tuning.dialect.f16 = if typed && summary.shader_f16 { F16Form::Typed } else { F16Form::Packed };
        }
        let wanted = wgpu::Features::SHADER_F16
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES
            | wgpu::Features::PIPELINE_CACHE
            | wgpu::Features::SHADER_INT64
            | wgpu::Features::SUBGROUP;
        let required_limits = match options.limits {
            DeviceLimits::Adapter => adapter.limits(),
            DeviceLimits::WebGpuDefault => wgpu::Limits::defaults(),
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tflite-wgpu"),
            required_features: adapter.features() & wanted,
            required_limits,
            ..Default::default()
        };
        let opened = adapter.request_device(&descriptor).await;
        let (device, queue) =
            opened.map_err(|error| Error::Device { adapter: summary.label(), message: error.to_string() })?;
        let faults = Arc::new(Faults::default());
        faults.listen(&device);
        let mut opened = Self::new(summary, tuning, device, queue, faults);
        opened.tiles.keep_in(options.cache_dir.tiles(&info));
        if let Some(file) = options.cache_dir.file(&info) {
            let cache = opened.guarded(|| PipelineStore::open(&opened, file))?;
            opened.pipelines.keep_in(cache);
        }
        if opened.tuning.compiles_at_first_use() {
            let (features, limits) = (descriptor.required_features, descriptor.required_limits);
            opened.pipelines.compile_ahead(Helper { adapter, features, limits });
        }
        Ok(Arc::new(opened))
    }

    /// Wraps a device that the caller owns. Its handlers of errors and of its loss stay the caller's.
    pub fn with_device(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Arc<Self> {
        let summary = adapter::summary(0, adapter);
        let typed = device.features().contains(wgpu::Features::SHADER_F16);
        let flags = adapter.get_downlevel_capabilities().flags;
        let builtin = typed || flags.contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32);
        let info = adapter.get_info();
        let mut tuning = Tuning::of(adapter::classify(&info), typed, builtin);
        if device.features().contains(wgpu::Features::SUBGROUP) {
            tuning = tuning.with_subgroups(info.subgroup_min_size, info.subgroup_max_size);
        }
        if device.features().contains(wgpu::Features::SHADER_INT64) {
            tuning = tuning.with_wide_words();
        }
        Arc::new(Self::new(summary, tuning, device, queue, Arc::default()))
    }

    fn new(
        summary: AdapterSummary,
        tuning: Tuning,
        device: wgpu::Device,
        queue: wgpu::Queue,
        faults: Arc<Faults>,
    ) -> Self {
        let limits = device.limits();
        // Sixteen bytes at least, as texels are.
        let alignment = usize::try_from(limits.min_storage_buffer_offset_alignment).unwrap_or(ALIGNMENT).max(16);
        let largest = usize::try_from(limits.max_buffer_size).unwrap_or(usize::MAX);
        let arena_buffer = (largest / ALIGNMENT * ALIGNMENT).max(ALIGNMENT);
        let tuning = Tuning { alignment, arena_buffer, ..tuning };
        let usage = Arc::new(Usage::default());
        let (pipelines, weights) = (Pipelines::default(), WeightStore::default());
        Self { summary, tuning, usage, device, queue, pipelines, limits, faults, weights, tiles: Tiles::default() }
    }

    /// Runs calls of wgpu; what the device has against them becomes an error.
    ///
    /// # Errors
    /// [`Error::Lost`] or [`Error::Failed`].
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        // A browser answers scopes later than this may wait; there the device's handler notes errors.
        if cfg!(target_family = "wasm") {
            let value = work();
            return self.check().map(|()| value);
        }
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [Internal, OutOfMemory, Validation].map(|filter| self.device.push_error_scope(filter));
        let value = work();
        let mut found = None;
        for scope in scopes.into_iter().rev() {
            found = pollster::block_on(scope.pop()).or(found);
        }
        self.check()?;
        found.map_or(Ok(value), |error| Err(self.failed(error)))
    }

    /// Waits until a submission is done; a browser does not wait here.
    pub(super) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), Error> {
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        let polled = self.device.poll(wait);
        self.check()?;
        polled.map(drop).map_err(|error| self.failed(error))
    }

    /// The error of a call that failed.
    pub(super) fn failed(&self, message: impl std::fmt::Display) -> Error {
        Error::Failed { adapter: self.summary.label(), message: message.to_string() }
    }

    /// The device's loss, or the first failure since the last check that no call has returned.
    ///
    /// # Errors
    /// [`Error::Lost`] or [`Error::Failed`].
    pub fn check(&self) -> Result<(), Error> {
        let adapter = self.summary.label();
        match (self.faults.lost.get(), self.faults.take()) {
            (Some(message), _) => Err(Error::Lost { adapter, message: message.clone() }),
            (None, Some(message)) => Err(Error::Failed { adapter, message }),
            (None, None) => Ok(()),
        }
    }

    /// The class's choices, and before them what was measured on this adapter (the first call reads the cache's file).
    pub fn measured_tuning(&self) -> Tuning {
        Tuning { measured: self.tiles.known(), ..self.tuning.clone() }
    }

    /// Notes the best choices of shapes, and keeps them in the cache folder.
    pub fn keep_choices(&self, best: &[(ProductShape, Choice)]) {
        let named = best.iter().map(|(shape, choice)| (self.tuning.name(shape), choice.to_string()));
        self.tiles.add(named.collect::<Measured>());
    }

    /// Whether all pipelines of a plan are there.
    pub fn has_pipelines(&self, plan: &Plan) -> bool {
        self.pipelines.has_all(&plan.steps)
    }

    /// Largest binding in bytes.
    pub fn max_binding_bytes(&self) -> usize {
        usize::try_from(self.limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX)
    }

    /// Largest buffer in bytes.
    pub fn max_buffer_bytes(&self) -> usize {
        usize::try_from(self.limits.max_buffer_size).unwrap_or(usize::MAX)
    }

    /// Gives the device up: everything on it fails from now on. For tests of what happens then.
    pub fn destroy(&self) {
        self.device.destroy();
        let _ = self.faults.lost.set("destroyed".to_owned());
    }

    /// Whether halves are converted without adapter support (all software adapters round in integers).
    pub fn rounds_in_integers(&self) -> bool {
        self.tuning.dialect.rounding != Rounding::Builtin
    }
}

impl std::fmt::Debug for GpuDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuDevice").field("adapter", &self.summary.name).finish_non_exhaustive()
    }
}
