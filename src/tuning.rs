//! Adapter classes and the one table of their choices (tiles, workgroups, strips, rounding).

use crate::kernels::{Dialect, F16Form, Rounding};

/// What kind of adapter shaders are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdapterClass {
    /// Mesa's software rasteriser.
    Lavapipe,
    /// Google's software rasteriser.
    SwiftShader,
    /// A card with memory of its own.
    Discrete,
    /// A GPU that shares the host's memory.
    Integrated,
    /// Apple's GPUs.
    Apple,
    /// Adreno, Mali, PowerVR.
    Mobile,
    /// A software adapter not known by name.
    OtherSoftware,
}

impl AdapterClass {
    /// Whether a CPU runs the shaders.
    pub fn is_software(self) -> bool {
        matches!(self, Self::Lavapipe | Self::SwiftShader | Self::OtherSoftware)
    }
}

/// Choices that depend on the adapter. The software rows are measured (docs/decisions.md), the others are starting
/// points from published tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// The class.
    pub class: AdapterClass,
    /// How shaders hold and round halves.
    pub dialect: Dialect,
    /// Pixels of a convolution tile, per invocation.
    pub conv_pixels: usize,
    /// Output texels (of four channels) of a convolution tile, per invocation.
    pub conv_texels: usize,
    /// Workgroup of convolutions: pixels × channels.
    pub conv_workgroup: [usize; 2],
    /// Output pixels of a depthwise or pooling strip, per invocation.
    pub strip: usize,
    /// Whether reductions run one invocation per row; otherwise a workgroup per row.
    pub row_per_invocation: bool,
    /// Invocations per workgroup of linear kernels.
    pub linear_workgroup: usize,
}

impl Tuning {
    /// The row of a class. `typed` says whether SHADER_F16 may be used, `builtin` whether the half conversions may.
    pub fn of(class: AdapterClass, typed: bool, builtin: bool) -> Self {
        let f16 = if typed && !class.is_software() { F16Form::Typed } else { F16Form::Packed };
        let rounding = match (builtin, class.is_software()) {
            (false, _) => Rounding::Integer,
            (true, true) => Rounding::IntegerStore,
            (true, false) => Rounding::Builtin,
        };
        let (conv_pixels, conv_texels, conv_workgroup, strip) = match class {
            AdapterClass::Lavapipe | AdapterClass::OtherSoftware => (8, 4, [8, 1], 7),
            AdapterClass::SwiftShader => (8, 2, [8, 8], 7),
            AdapterClass::Discrete => (4, 4, [8, 8], 2),
            AdapterClass::Integrated => (2, 4, [16, 1], 2),
            AdapterClass::Apple => (4, 2, [8, 4], 2),
            AdapterClass::Mobile => (4, 1, [8, 2], 2),
        };
        Self {
            class,
            dialect: Dialect { f16, rounding },
            conv_pixels,
            conv_texels,
            conv_workgroup,
            strip,
            row_per_invocation: class.is_software(),
            linear_workgroup: 64,
        }
    }

    /// Invocations per workgroup of kernels that walk along a row each: few where workgroups are what threads share.
    pub fn row_workgroup(&self) -> usize {
        if self.class.is_software() { 8 } else { self.linear_workgroup }
    }
}
