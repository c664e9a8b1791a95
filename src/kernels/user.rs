//! Kernels that users of the crate bring: WGSL text behind the prelude, checked when it is registered.
//!
//! A kernel's name stands for its text in plans, pipelines and reports, so names are one table for the whole process.
//! A row and its text stay until the process ends; registering the same kernel again adds nothing.

use std::sync::{PoisonError, RwLock};

use naga::{
    ShaderStage,
    valid::{Capabilities, ValidationFlags, Validator},
};

use super::{BindingRow, Dialect, F16Form, KernelRow, ParamType, Role, Rounding, render::template};
use crate::{plan::step::Variant, region::Storage};

/// Why a kernel cannot be registered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UserKernelError {
    /// A name is no identifier of WGSL, or is used twice.
    #[error("kernel {kernel}: {what} {found:?} is no identifier of its own, expected letters, digits and underscores")]
    Name {
        /// The kernel.
        kernel: String,
        /// Kernel, input or parameter.
        what: &'static str,
        /// The name.
        found: String,
    },
    /// Another kernel has this name.
    #[error("kernel {kernel}: the name is taken by {by}, expected a new one or the same text")]
    Taken {
        /// The name.
        kernel: String,
        /// Whose it is.
        by: &'static str,
    },
    /// The text does not parse or is not valid.
    #[error("kernel {kernel}, line {line}: {message}")]
    Wgsl {
        /// The kernel.
        kernel: String,
        /// Line in the user's text; 0 when the error is elsewhere.
        line: u32,
        /// naga's words.
        message: String,
    },
    /// The text has no entry point of the kernel's name.
    #[error("kernel {kernel}: the text has the entry points {found:?}, expected a compute shader {kernel:?}")]
    Entry {
        /// The kernel.
        kernel: String,
        /// Its entry points.
        found: Vec<String>,
    },
    /// The workgroup is too large for WebGPU's default limits.
    #[error("kernel {kernel}: the workgroup is {found:?}, expected at most 256 invocations, 64 of them in z")]
    Workgroup {
        /// The kernel.
        kernel: String,
        /// Its workgroup.
        found: [u32; 3],
    },
    /// The text declares a resource of its own.
    #[error("kernel {kernel}: {found:?} is bound to a resource, expected the declared inputs, dst and params alone")]
    Binding {
        /// The kernel.
        kernel: String,
        /// Name of the variable.
        found: String,
    },
}

/// A registered kernel.
#[derive(Clone, Copy, Debug)]
pub struct UserKernel {
    /// Its row.
    pub row: &'static KernelRow,
    /// Its workgroup.
    pub workgroup: [u32; 3],
    text: &'static str,
}

static KERNELS: RwLock<Vec<UserKernel>> = RwLock::new(Vec::new());

/// Parameters that every user's kernel has: texels of `dst`, texels of a row of it, its channels.
pub const GEOMETRY: [(&str, ParamType); 3] =
    [("texels", ParamType::U32), ("width", ParamType::U32), ("channels", ParamType::U32)];

/// The row of a user's kernel.
pub(super) fn row(name: &str) -> Option<&'static KernelRow> {
    find(name).map(|kernel| kernel.row)
}

/// The text of a user's kernel.
pub(super) fn text(name: &str) -> Option<&'static str> {
    find(name).map(|kernel| kernel.text)
}

fn find(name: &str) -> Option<UserKernel> {
    let kernels = KERNELS.read().unwrap_or_else(PoisonError::into_inner);
    kernels.iter().find(|kernel| kernel.row.name == name).copied()
}

/// Checks a kernel in every storage and dialect, and adds it. `inputs` are names with whether they are integers;
/// `params` follow [`GEOMETRY`].
///
/// # Errors
/// What is wrong with the names or the text.
pub fn register(
    name: &str,
    wgsl: &str,
    inputs: &[(String, bool)],
    params: &[(String, ParamType)],
) -> Result<UserKernel, UserKernelError> {
    check_names(name, inputs, params)?;
    let known = find(name);
    if let Some(known) = known
        && same(&known, wgsl, inputs, params)
    {
        return Ok(known);
    }
    let taken = |by| UserKernelError::Taken { kernel: name.to_owned(), by };
    if known.is_some() {
        return Err(taken("a kernel with another text"));
    }
    if super::FAMILIES.iter().flat_map(|rows| rows.iter()).any(|row| row.name == name) {
        return Err(taken("a kernel of this library"));
    }
    let row = leak_row(name, inputs, params);
    let kernel = UserKernel { row, workgroup: check_text(row, wgsl, inputs)?, text: leak(wgsl) };
    let mut kernels = KERNELS.write().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have been faster.
    if let Some(other) = kernels.iter().find(|kernel| kernel.row.name == name) {
        let equal = same(other, wgsl, inputs, params);
        return if equal { Ok(*other) } else { Err(taken("a kernel with another text")) };
    }
    kernels.push(kernel);
    Ok(kernel)
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// A row that stays; so does that of a kernel which is refused afterwards.
fn leak_row(name: &str, inputs: &[(String, bool)], params: &[(String, ParamType)]) -> &'static KernelRow {
    let bindings = inputs.iter().map(|(name, _)| super::input(leak(name))).chain([super::output("dst")]);
    let params = GEOMETRY.iter().copied().chain(params.iter().map(|(name, kind)| (leak(name), *kind)));
    Box::leak(Box::new(KernelRow {
        name: leak(name),
        file: "prelude.wgsl",
        bindings: Box::leak(bindings.collect::<Box<[BindingRow]>>()),
        params: Box::leak(params.collect::<Box<[_]>>()),
        epilogue: true,
        twin: "the operator's own eval",
    }))
}

fn same(kernel: &UserKernel, wgsl: &str, inputs: &[(String, bool)], params: &[(String, ParamType)]) -> bool {
    let named = |row: &BindingRow| row.role == Role::Input;
    let bound = kernel.row.bindings.iter().filter(|row| named(row)).map(|row| row.name);
    let own = kernel.row.params.iter().skip(GEOMETRY.len()).map(|(name, kind)| (*name, *kind));
    kernel.text == wgsl
        && bound.eq(inputs.iter().map(|(name, _)| name.as_str()))
        && own.eq(params.iter().map(|(name, kind)| (name.as_str(), *kind)))
}

/// Names are identifiers and differ.
fn check_names(kernel: &str, inputs: &[(String, bool)], params: &[(String, ParamType)]) -> Result<(), UserKernelError> {
    let bad = |what, found: &str| UserKernelError::Name { kernel: kernel.to_owned(), what, found: found.to_owned() };
    let is_identifier = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.contains("__")
    };
    if !is_identifier(kernel) {
        return Err(bad("kernel", kernel));
    }
    let mut seen = vec!["dst"];
    for (name, _) in inputs {
        if !is_identifier(name) || seen.contains(&name.as_str()) {
            return Err(bad("input", name));
        }
        seen.push(name);
    }
    let mut seen: Vec<_> = GEOMETRY.iter().map(|(name, _)| *name).collect();
    for (name, _) in params {
        if !is_identifier(name) || seen.contains(&name.as_str()) {
            return Err(bad("parameter", name));
        }
        seen.push(name);
    }
    Ok(())
}

/// Every way in which halves are held and converted, with what naga must allow for it.
const DIALECTS: [(Dialect, Capabilities); 4] = [
    (Dialect { f16: F16Form::Packed, rounding: Rounding::Integer, wide: false }, Capabilities::empty()),
    (
        Dialect { f16: F16Form::Packed, rounding: Rounding::IntegerStore, wide: false },
        Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    ),
    (
        Dialect { f16: F16Form::Packed, rounding: Rounding::Builtin, wide: false },
        Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    ),
    (
        Dialect { f16: F16Form::Typed, rounding: Rounding::Builtin, wide: false },
        Capabilities::SHADER_FLOAT16.union(Capabilities::SHADER_FLOAT16_IN_FLOAT32),
    ),
];

/// The workgroup of a text that is valid in every storage of floats and every dialect.
fn check_text(row: &'static KernelRow, wgsl: &str, inputs: &[(String, bool)]) -> Result<[u32; 3], UserKernelError> {
    let mut workgroup = [1; 3];
    for (dialect, capabilities) in DIALECTS {
        for floats in [Storage::F32, Storage::F16] {
            let storage = inputs.iter().map(|(_, int)| if *int { Storage::I32 } else { floats }).chain([floats]);
            let variant = Variant { storage: storage.collect(), ..Variant::default() };
            workgroup = check_one(row, wgsl, &variant, (dialect, capabilities))?;
        }
    }
    Ok(workgroup)
}

fn check_one(
    row: &'static KernelRow,
    wgsl: &str,
    variant: &Variant,
    (dialect, capabilities): (Dialect, Capabilities),
) -> Result<[u32; 3], UserKernelError> {
    let kernel = || row.name.to_owned();
    let elsewhere = |message: String| UserKernelError::Wgsl { kernel: kernel(), line: 0, message };
    let prelude = template(row, variant, dialect).map_err(|error| elsewhere(error.to_string()))?;
    let text = behind(&prelude, wgsl);
    let lines = u32::try_from(prelude.lines().count()).unwrap_or(u32::MAX);
    let own_line = |line: Option<u32>| line.map_or(0, |line| line.saturating_sub(lines));
    let module = naga::front::wgsl::parse_str(&text).map_err(|error| UserKernelError::Wgsl {
        kernel: kernel(),
        line: own_line(error.location(&text).map(|location| location.line_number)),
        message: error.message().to_owned(),
    })?;
    Validator::new(ValidationFlags::all(), capabilities).validate(&module).map_err(|error| UserKernelError::Wgsl {
        kernel: kernel(),
        line: own_line(error.location(&text).map(|location| location.line_number)),
        message: sources(error.as_inner()),
    })?;
    let own = |name: &str| name == "dst" || name == "params" || row.bindings.iter().any(|row| row.name == name);
    for (_, variable) in module.global_variables.iter() {
        let name = variable.name.as_deref().unwrap_or_default();
        if variable.binding.is_some() && !own(name) {
            return Err(UserKernelError::Binding { kernel: kernel(), found: name.to_owned() });
        }
    }
    let entry = module.entry_points.iter().find(|e| e.name == row.name && e.stage == ShaderStage::Compute);
    let Some(entry) = entry else {
        let found = module.entry_points.iter().map(|entry| entry.name.clone()).collect();
        return Err(UserKernelError::Entry { kernel: kernel(), found });
    };
    let [x, y, z] = entry.workgroup_size;
    let invocations = x.checked_mul(y).and_then(|xy| xy.checked_mul(z));
    if invocations.is_none_or(|count| count == 0 || count > 256) || z > 64 {
        return Err(UserKernelError::Workgroup { kernel: kernel(), found: entry.workgroup_size });
    }
    Ok(entry.workgroup_size)
}

/// An error with what it follows from.
fn sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", sources(source)),
        None => error.to_string(),
    }
}

/// A user's text behind the rendered prelude.
pub(super) fn behind(prelude: &str, wgsl: &str) -> String {
    let end = if prelude.ends_with('\n') { "" } else { "\n" };
    format!("{prelude}{end}{wgsl}")
}
