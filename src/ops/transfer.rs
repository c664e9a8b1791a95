//! Host bytes to texels and back; the planner inserts these at a region's border.

use tflite_wgpu_model::{DType, TensorId};

use super::{LowerCtx, LowerError};
use crate::{
    kernels::{KernelRow, ParamType::U32, input, output},
    reason::Reason,
    region::Storage,
};

/// Kernels of this family.
pub const KERNELS: &[KernelRow] = &[
    KernelRow {
        name: "import_host",
        file: "transfer.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("texels", U32), ("width", U32), ("channels", U32)],
        epilogue: false,
        twin: "identity",
    },
    KernelRow {
        name: "export_host",
        file: "transfer.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("words", U32), ("elements", U32), ("width", U32), ("channels", U32)],
        epilogue: false,
        twin: "identity",
    },
    KernelRow {
        name: "copy_texels",
        file: "transfer.wgsl",
        bindings: &[input("src"), output("dst")],
        params: &[("texels", U32)],
        epilogue: false,
        twin: "identity",
    },
];

const WORKGROUP: usize = 64;

/// Pixels of three channels from which a picture has a kernel of its own: a pixel is a texel, which saves a division.
const PICTURE: usize = 128 * 128;

/// Name of a host type in `transfer.wgsl`; `None` for types that do not cross the border.
pub fn host_name(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Float32 => "f32",
        DType::Float16 => "f16",
        DType::BFloat16 => "bf16",
        DType::Int32 => "i32",
        DType::Int64 => "i64",
        DType::UInt8 | DType::Bool => "u8",
        DType::Int8 => "i8",
        DType::Int16 => "i16",
        _ => return None,
    })
}

fn names(ctx: &LowerCtx<'_>, id: TensorId) -> Result<(&'static str, &'static str), LowerError> {
    let tensor = ctx.region.tensor(id);
    let unsupported = || Reason::UnsupportedType { tensor: tensor.name.clone(), found: tensor.dtype };
    let host = host_name(tensor.dtype).ok_or_else(unsupported)?;
    Ok((host, if tensor.storage == Storage::I32 { "i32" } else { "f32" }))
}

/// Converts a tensor's host bytes (`raw`) into its texels.
///
/// # Errors
/// When its type does not cross the border.
pub fn import(ctx: &mut LowerCtx<'_>, raw: TensorId, id: TensorId) -> Result<(), LowerError> {
    let (host, device) = names(ctx, id)?;
    let texels = ctx.region.tensor(id).texels();
    let single = texels.channels == 3 && texels.rows >= PICTURE;
    ctx.step_for("import_host", &[])
        .tensor("src", raw)
        .tensor("dst", id)
        .param("texels", texels.count())
        .param("width", texels.width)
        .param("channels", texels.channels)
        .text("host", host)
        .text("device", device)
        .value("single", i64::from(single))
        .linear(texels.count(), WORKGROUP)
        .finish(ctx)
}

/// Converts a tensor's texels into its host bytes (`raw`).
///
/// # Errors
/// When its type does not cross the border.
pub fn export(ctx: &mut LowerCtx<'_>, id: TensorId, raw: TensorId) -> Result<(), LowerError> {
    let (host, device) = names(ctx, id)?;
    let texels = ctx.region.tensor(id).texels();
    let words = ctx.region.tensor(raw).device_bytes() / 4;
    // Where accesses are what costs, a texel is read once for all its words.
    let by_texel = ctx.tuning.dialect.wide && matches!(host, "f32" | "i32");
    ctx.step_for("export_host", &[])
        .tensor("src", id)
        .tensor("dst", raw)
        .param("words", words)
        .param("elements", texels.rows * texels.channels)
        .param("width", texels.width)
        .param("channels", texels.channels)
        .text("host", host)
        .text("device", device)
        .value("by_texel", i64::from(by_texel))
        .linear(if by_texel { texels.count() } else { words }, WORKGROUP)
        .finish(ctx)
}

/// Copies a tensor's texels.
///
/// # Errors
/// None but a bug of this library.
pub fn copy(ctx: &mut LowerCtx<'_>, from: TensorId, to: TensorId) -> Result<(), LowerError> {
    let texels = ctx.region.tensor(from).texels().count();
    ctx.step_for("copy_texels", &[])
        .tensor("src", from)
        .tensor("dst", to)
        .param("texels", texels)
        .linear(texels, WORKGROUP)
        .finish(ctx)
}
