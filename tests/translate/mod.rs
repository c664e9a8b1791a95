//! Renders kernels in every dialect and takes them through naga's validator and writers.

#![allow(dead_code, reason = "each test binary uses a part")]

use naga::{
    back,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};
use tflite_wgpu::{
    kernels::{self, Dialect, F16Form, Rounding},
    plan::step::{Variant, VariantValue},
    region::Storage,
};

pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Every way in which halves are held and converted, and wide words, as lavapipe has them.
pub const DIALECTS: [Dialect; 5] = [
    Dialect { f16: F16Form::Packed, rounding: Rounding::IntegerStore, wide: false },
    Dialect { f16: F16Form::Packed, rounding: Rounding::Integer, wide: false },
    Dialect { f16: F16Form::Packed, rounding: Rounding::Builtin, wide: false },
    Dialect { f16: F16Form::Typed, rounding: Rounding::Builtin, wide: false },
    Dialect { f16: F16Form::Packed, rounding: Rounding::IntegerStore, wide: true },
];

/// Renders a kernel in all dialects with these storages and template values, and translates each.
pub fn validate(kernel: &str, storage: &[Storage], values: &[(&'static str, VariantValue)]) -> Result {
    let row = kernels::row(kernel).ok_or("no such kernel")?;
    let mut values = values.to_vec();
    values.sort();
    let variant = Variant { storage: storage.to_vec(), values, epilogue: vec![] };
    for dialect in DIALECTS {
        let text = kernels::render(row, &variant, dialect)?;
        translate(&text, row.bindings.len()).map_err(|e| format!("{kernel} {storage:?} {variant:?}: {e}"))?;
    }
    Ok(())
}

/// Template values that are numbers, and a workgroup.
pub fn numbers(values: &[(&'static str, i64)]) -> Vec<(&'static str, VariantValue)> {
    let all = values.iter().copied().chain([("workgroup", 64)]);
    all.map(|(name, n)| (name, VariantValue::Int(n))).collect()
}

/// Parses and validates a shader and writes it in the languages of the three native backends.
pub fn translate(text: &str, bindings: usize) -> Result {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    let info: ModuleInfo = validator.validate(&module).map_err(|e| e.emit_to_string(text))?;
    let storage = module.global_variables.iter().filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
    let found = storage.count();
    if found != bindings {
        return Err(format!("{found} storage bindings, expected {bindings}").into());
    }
    back::spv::write_vec(&module, &info, &back::spv::Options::default(), None)?;
    let options = back::msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
    back::msl::write_string(&module, &info, &options, &back::msl::PipelineOptions::default())?;
    let options = back::hlsl::Options {
        fake_missing_bindings: true,
        shader_model: back::hlsl::ShaderModel::V6_2,
        ..Default::default()
    };
    let mut hlsl = String::new();
    let pipeline = back::hlsl::PipelineOptions::default();
    back::hlsl::Writer::new(&mut hlsl, &options, &pipeline).write(&module, &info, None)?;
    Ok(())
}
