//! Finding and ranking adapters.

use crate::{error::Error, tuning::AdapterClass};

/// What `devices` prints of an adapter.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AdapterSummary {
    /// Position in the ranking; an adapter can be chosen by it.
    pub index: usize,
    /// Name as the driver has it.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12`, `BrowserWebGpu`.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// `discrete`, `integrated`, `virtual`, `software`, `other`.
    pub kind: &'static str,
    /// Whether a CPU runs the shaders.
    pub software: bool,
    /// Whether shaders may use f16 arithmetic.
    pub shader_f16: bool,
    /// Whether per-dispatch GPU times can be had.
    pub timestamps: bool,
    /// Largest buffer, bytes.
    pub max_buffer_bytes: u64,
    /// Largest binding, bytes.
    pub max_binding_bytes: u64,
    /// Storage buffers per shader.
    pub max_storage_buffers: u32,
}

/// `NAME (KIND, BACKEND, driver DRIVER)`; a software adapter is called one.
impl std::fmt::Display for AdapterSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, kind, backend, driver, .. } = self;
        let kind = if self.software { "a software adapter" } else { kind };
        write!(f, "{name} ({kind}, {backend}, driver {driver})")
    }
}

impl AdapterSummary {
    /// The name; a software adapter is called one.
    pub fn label(&self) -> String {
        if self.software { format!("{} (a software adapter)", self.name) } else { self.name.clone() }
    }
}

/// Which adapter to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The first of the ranking.
    #[default]
    Best,
    /// The one at this position of the ranking.
    Index(usize),
    /// The first whose name or driver contains this text, ignoring case.
    Name(String),
}

impl AdapterChoice {
    /// A number is a position, other text a part of the name; empty text is [`AdapterChoice::Best`].
    pub fn parse(text: &str) -> Self {
        match (text, text.parse()) {
            ("", _) => Self::Best,
            (_, Ok(index)) => Self::Index(index),
            (name, Err(_)) => Self::Name(name.to_owned()),
        }
    }
}

impl std::fmt::Display for AdapterChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Best => f.write_str("the best"),
            Self::Index(index) => write!(f, "position {index}"),
            Self::Name(name) => write!(f, "\"{name}\""),
        }
    }
}

/// All adapters, best first: discrete, integrated, virtual, other, lavapipe, SwiftShader.
pub async fn adapters() -> Vec<(AdapterSummary, wgpu::Adapter)> {
    let instance = instance();
    let mut found = instance.enumerate_adapters(wgpu::Backends::all()).await;
    found.retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    found.sort_by_key(|adapter| rank(&adapter.get_info()));
    found.into_iter().enumerate().map(|(index, adapter)| (summary(index, &adapter), adapter)).collect()
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // Validation layers are for wgpu's own developers; its checks of our calls are always on.
    descriptor.flags = wgpu::InstanceFlags::empty();
    wgpu::Instance::new(descriptor)
}

/// The adapter of a choice.
///
/// # Errors
/// [`Error::NoAdapter`], with what is there instead.
pub async fn choose(choice: &AdapterChoice) -> Result<(AdapterSummary, wgpu::Adapter), Error> {
    let found = adapters().await;
    let names: Vec<String> = found.iter().map(|(summary, _)| summary.label()).collect();
    let position = match choice {
        AdapterChoice::Best => Some(0),
        AdapterChoice::Index(index) => Some(*index),
        AdapterChoice::Name(text) => {
            let text = text.to_lowercase();
            let matches = |s: &AdapterSummary| format!("{} {}", s.name, s.driver).to_lowercase().contains(&text);
            found.iter().position(|(summary, _)| matches(summary))
        }
    };
    let chosen = position.and_then(|position| found.into_iter().nth(position));
    chosen.ok_or_else(|| {
        Error::NoAdapter(if names.is_empty() {
            let backends = wgpu::Instance::enabled_backend_features();
            let names: Vec<String> = backends.iter_names().map(|(name, _)| name.to_lowercase()).collect();
            format!("looked for {choice} of {}, none found", names.join(", "))
        } else {
            format!("looked for {choice}, there are {}", names.join(", "))
        })
    })
}

/// The class that shaders are tuned for.
pub fn classify(info: &wgpu::AdapterInfo) -> AdapterClass {
    let text = format!("{} {}", info.name, info.driver).to_lowercase();
    match info.device_type {
        _ if text.contains("llvmpipe") || text.contains("lavapipe") => AdapterClass::Lavapipe,
        _ if text.contains("swiftshader") => AdapterClass::SwiftShader,
        wgpu::DeviceType::Cpu => AdapterClass::OtherSoftware,
        wgpu::DeviceType::DiscreteGpu => AdapterClass::Discrete,
        _ if text.contains("apple") => AdapterClass::Apple,
        _ if ["adreno", "mali", "powervr", "immortalis"].iter().any(|name| text.contains(name)) => AdapterClass::Mobile,
        _ => AdapterClass::Integrated,
    }
}

fn rank(info: &wgpu::AdapterInfo) -> usize {
    match (classify(info), info.device_type) {
        (AdapterClass::SwiftShader, _) => 6,
        (AdapterClass::Lavapipe, _) => 4,
        (AdapterClass::OtherSoftware, _) => 5,
        (_, wgpu::DeviceType::DiscreteGpu) => 0,
        (_, wgpu::DeviceType::IntegratedGpu) => 1,
        (_, wgpu::DeviceType::VirtualGpu) => 2,
        _ => 3,
    }
}

pub(super) fn summary(index: usize, adapter: &wgpu::Adapter) -> AdapterSummary {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let features = adapter.features();
    let software = classify(&info).is_software();
    AdapterSummary {
        index,
        kind: match info.device_type {
            _ if software => "software",
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            _ => "other",
        },
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        name: info.name,
        software,
        shader_f16: features.contains(wgpu::Features::SHADER_F16),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        max_buffer_bytes: limits.max_buffer_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
    }
}

#[cfg(test)]
mod tests {
    use wgpu::{AdapterInfo, Backend, DeviceType};

    use super::*;

    fn info(device_type: DeviceType, name: &str) -> AdapterInfo {
        AdapterInfo { name: name.to_owned(), ..AdapterInfo::new(device_type, Backend::Vulkan) }
    }

    #[test]
    fn hardware_comes_before_software() {
        let order = [
            info(DeviceType::DiscreteGpu, "a card"),
            info(DeviceType::IntegratedGpu, "a chip"),
            info(DeviceType::VirtualGpu, "a cloud"),
            info(DeviceType::Other, "something"),
            info(DeviceType::Cpu, "llvmpipe (LLVM 15.0.6, 256 bits)"),
            info(DeviceType::Cpu, "a reference rasteriser"),
            info(DeviceType::Cpu, "SwiftShader Device (Subzero)"),
        ];
        let ranks: Vec<usize> = order.iter().map(rank).collect();
        assert_eq!(ranks, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn software_is_known_by_name_too() {
        // SwiftShader has called itself an integrated GPU in some versions.
        assert!(classify(&info(DeviceType::IntegratedGpu, "Google SwiftShader")).is_software());
        assert!(!classify(&info(DeviceType::IntegratedGpu, "Apple M1")).is_software());
        assert_eq!(classify(&info(DeviceType::IntegratedGpu, "Mali-G78")), AdapterClass::Mobile);
    }

    #[test]
    fn choices_are_positions_or_names() {
        assert_eq!(AdapterChoice::parse(""), AdapterChoice::Best);
        assert_eq!(AdapterChoice::parse("1"), AdapterChoice::Index(1));
        assert_eq!(AdapterChoice::parse("llvm"), AdapterChoice::Name("llvm".to_owned()));
    }
}
