//! Every movement kernel, in all variants that lowering asks for, parses, validates and translates with naga.

mod translate;

use naga::{
    back,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};
use tflite_wgpu::{
    kernels,
    plan::step::{Variant, VariantValue},
    region::Storage,
};
use translate::{DIALECTS, Result};

const STORAGES: [[Storage; 2]; 5] = [
    [Storage::F32, Storage::F32],
    [Storage::F16, Storage::F16],
    [Storage::I32, Storage::I32],
    [Storage::F16, Storage::F32],
    [Storage::F32, Storage::F16],
];

type Values = Vec<(&'static str, VariantValue)>;

/// Renders a kernel in all storages and dialects with these template values.
fn validate(kernel: &str, values: &[(&'static str, VariantValue)]) -> Result {
    let row = kernels::row(kernel).ok_or("no such kernel")?;
    for storage in STORAGES {
        let variant = Variant { storage: storage.to_vec(), values: values.to_vec(), epilogue: vec![] };
        for dialect in DIALECTS {
            let text = kernels::render(row, &variant, dialect)?;
            translate(&text, row.bindings.len()).map_err(|e| format!("{kernel} {values:?}: {e}"))?;
        }
    }
    Ok(())
}

/// Parses and validates a shader and writes it in the languages of the three native backends.
fn translate(text: &str, bindings: usize) -> Result {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    let info: ModuleInfo = validator.validate(&module).map_err(|e| e.emit_to_string(text))?;
    let storage = module.global_variables.iter().filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
    assert_eq!(storage.count(), bindings);
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

fn values(words: &[(&'static str, &'static str)], numbers: &[(&'static str, i64)]) -> Values {
    let words = words.iter().map(|&(name, word)| (name, VariantValue::Text(word)));
    let numbers = numbers.iter().map(|&(name, n)| (name, VariantValue::Int(n)));
    words.chain(numbers).chain([("workgroup", VariantValue::Int(64))]).collect()
}

#[test]
fn walking_kernels_validate() -> Result {
    for axes in [2, 4, 8] {
        for mode in ["plain", "bounded", "mirror"] {
            for masked in [0, 1] {
                validate(
                    "move_texels",
                    &values(&[("mode", mode)], &[("axes", axes), ("masked", masked), ("targets", 0)]),
                )?;
            }
            validate("move_elements", &values(&[("mode", mode)], &[("axes", axes), ("inner", 1), ("targets", 0)]))?;
        }
        let plain = [("mode", "plain")];
        validate("move_texels", &values(&plain, &[("axes", axes), ("masked", 0), ("targets", 1)]))?;
        let runs = [("axes", axes), ("masked", 0), ("targets", 1), ("run", 8), ("texels", 1)];
        validate("move_texels", &values(&plain, &runs))?;
        validate("move_elements", &values(&plain, &[("axes", axes), ("inner", 3), ("targets", 0)]))?;
        validate("transpose_blocks", &values(&plain, &[("axes", axes), ("targets", 1)]))?;
    }
    Ok(())
}

/// Pairs of halves, which only dialects with wide words have.
#[test]
fn pairs_validate() -> Result {
    let row = kernels::row("move_texels").ok_or("no such kernel")?;
    let dialect = DIALECTS.into_iter().find(|dialect| dialect.wide).ok_or("no wide words")?;
    for axes in [2, 4, 8] {
        let numbers = [("axes", axes), ("masked", 0), ("targets", 1), ("run", 8), ("texels", 2)];
        let values = values(&[("mode", "plain")], &numbers);
        let text =
            kernels::render(row, &Variant { storage: vec![Storage::F16; 2], values, epilogue: vec![] }, dialect)?;
        translate(&text, row.bindings.len())?;
    }
    Ok(())
}

#[test]
fn row_kernels_validate() -> Result {
    for kernel in ["repack", "merge_columns"] {
        validate(kernel, &values(&[], &[]))?;
    }
    Ok(())
}
