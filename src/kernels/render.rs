//! From a kernel's row and variant to WGSL text.

use std::{collections::BTreeMap, sync::LazyLock};

use minijinja::{Environment, UndefinedBehavior, Value as Template, context, syntax::SyntaxConfig};

use super::{Form, KernelRow, ParamType, Role, user};
use crate::{
    plan::step::{EpilogueStep, Variant, VariantValue},
    region::{Spread, Storage},
};

/// How half-precision texels are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum F16Form {
    /// Two `u32` words, arithmetic in f32: runs everywhere.
    Packed,
    /// `vec4<f16>`: needs SHADER_F16.
    Typed,
}

/// How packed halves are converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// `pack2x16float`, `unpack2x16float`: one instruction on hardware; needs SHADER_F16_IN_F32.
    Builtin,
    /// Stores round in `u32` arithmetic, loads use `unpack2x16float`: faster and bit-stable on software adapters.
    IntegerStore,
    /// Both ways in `u32` arithmetic: for adapters without SHADER_F16_IN_F32.
    Integer,
}

/// What an adapter wants its shaders to look like; the same for all kernels of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// Form of half-precision texels.
    pub f16: F16Form,
    /// Conversion of packed halves.
    pub rounding: Rounding,
    /// Whether texels of f32 and of packed halves are read in words of 64 bits (SHADER_INT64), where a load costs by
    /// the component. Users' kernels have words of 32 bits everywhere.
    pub wide: bool,
}

/// A template that does not render.
#[derive(Debug, thiserror::Error)]
#[error("kernel {kernel}: {source}")]
pub struct RenderError {
    kernel: String,
    source: minijinja::Error,
}

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/", $name)))),*]
    };
}

/// The files of `shaders/`.
const TEMPLATES: &[(&str, &str)] = templates![
    "prelude.wgsl",
    "unary.wgsl",
    "turns.wgsl",
    "binary.wgsl",
    "elementwise.wgsl",
    "reduce.wgsl",
    "rows.wgsl",
    "local_response.wgsl",
    "cumsum.wgsl",
    "transfer.wgsl",
    "tile.wgsl",
    "gemm.wgsl",
    "staged.wgsl",
    "vector.wgsl",
    "squeeze.wgsl",
    "repack_rows.wgsl",
    "conv.wgsl",
    "conv_grouped.wgsl",
    "depthwise.wgsl",
    "depthwise_column.wgsl",
    "transpose_conv.wgsl",
    "matmul.wgsl",
    "pool.wgsl",
    "movement.wgsl",
    "gather.wgsl",
    "resize.wgsl",
    "scatter.wgsl",
    "one_hot.wgsl",
    "quantize.wgsl"
];

static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().line_statement_prefix("//%").build()?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    Ok(environment)
});

/// WGSL of one variant of a kernel.
///
/// # Errors
/// When the template uses a value that the variant does not give: a bug of this library or of a user's kernel.
pub fn render(row: &KernelRow, variant: &Variant, dialect: Dialect) -> Result<String, RenderError> {
    let text = template(row, variant, dialect)?;
    Ok(match user::text(row.name) {
        // A user's text is no template.
        Some(own) => user::behind(&text, own),
        None => text,
    })
}

/// The row's file of one variant.
pub(super) fn template(row: &KernelRow, variant: &Variant, dialect: Dialect) -> Result<String, RenderError> {
    let wrap = |source| RenderError { kernel: row.name.to_owned(), source };
    let environment = match &*ENVIRONMENT {
        Ok(environment) => environment,
        Err(error) => return Err(wrap(minijinja::Error::new(error.kind(), error.to_string()))),
    };
    let values: BTreeMap<&str, Template> = variant
        .values
        .iter()
        .map(|(name, value)| match value {
            VariantValue::Int(n) => (*name, Template::from(*n)),
            VariantValue::Text(text) => (*name, Template::from(*text)),
        })
        .collect();
    let epilogue = if row.epilogue { epilogue(variant, int_result(row, variant)) } else { Vec::new() };
    let texts = variant.values.iter().filter_map(|(_, value)| match value {
        VariantValue::Text(text) => Some(*text),
        VariantValue::Int(_) => None,
    });
    let turns =
        texts.chain(epilogue.iter().map(String::as_str)).any(|text| text.contains("op_sin") || text.contains("op_cos"));
    let context = context! {
        kernel => row.name,
        turns => turns,
        bindings => bindings(row, variant),
        params => params(row, variant),
        params_index => row.bindings.len(),
        epilogue => epilogue,
        has_epilogue => row.epilogue,
        has_pitch => row.params.iter().any(|(name, _)| *name == "pitch"),
        has_channels => row.params.iter().any(|(name, _)| *name == "channels"),
        int_result => int_result(row, variant),
        f16_typed => dialect.f16 == F16Form::Typed,
        wide => dialect.wide && user::text(row.name).is_none(),
        round_store => dialect.rounding != Rounding::Builtin,
        round_load => dialect.rounding == Rounding::Integer,
        ..Template::from(values)
    };
    environment.get_template(row.file).and_then(|template| template.render(context)).map_err(wrap)
}

/// Bindings as the prelude declares them; the parameter block takes the index behind the row's own.
fn bindings(row: &KernelRow, variant: &Variant) -> Vec<Template> {
    let own = row.bindings.iter().enumerate().map(|(i, binding)| {
        let storage = variant.storage.get(i).map_or("f32", |storage| storage.name());
        context! {
            name => binding.name,
            index => i,
            storage => storage,
            blocks => binding.form == Form::Blocks,
            read_only => binding.role == Role::Weights,
            writes => binding.role == Role::Output,
        }
    });
    let operands = variant.epilogue.iter().filter_map(|step| match step {
        EpilogueStep::Binary { storage, .. } | EpilogueStep::Prelu { storage, .. } => Some(*storage),
        _ => None,
    });
    let extra = operands.enumerate().map(|(i, storage)| {
        context! {
            name => format!("fused{i}"),
            index => row.bindings.len() + 1 + i,
            storage => storage.name(),
            blocks => false,
            read_only => false,
            writes => false,
        }
    });
    own.chain(extra).collect()
}

/// Fields of the parameter block: the row's, then the epilogue's numbers.
fn params(row: &KernelRow, variant: &Variant) -> Vec<Template> {
    let own = row.params.iter().map(|(name, kind)| {
        let kind = match kind {
            ParamType::U32 => "u32",
            ParamType::I32 => "i32",
            ParamType::F32 => "f32",
        };
        context! { name => *name, kind => kind }
    });
    let extra = variant.epilogue.iter().enumerate().flat_map(|(i, step)| {
        let names: &[&str] = match step {
            EpilogueStep::Clamp => &["low", "high"],
            EpilogueStep::LeakyRelu => &["alpha"],
            _ => &[],
        };
        names.iter().map(move |name| context! { name => format!("e{i}_{name}"), kind => "f32" })
    });
    own.chain(extra).collect()
}

/// Whether the kernel writes integers.
fn int_result(row: &KernelRow, variant: &Variant) -> bool {
    let output = row.bindings.iter().position(|binding| binding.role == Role::Output);
    output.and_then(|i| variant.storage.get(i)) == Some(&Storage::I32)
}

/// One WGSL expression of `v` per fused step, on integers if the result is (their range, their unary and binary
/// functions; slopes have no integer form).
fn epilogue(variant: &Variant, int: bool) -> Vec<String> {
    let mut operand = 0;
    let vector = if int { "vec4<i32>" } else { "vec4<f32>" };
    let mut load = |spread: &Spread| {
        let name = format!("fused{operand}");
        operand += 1;
        match spread {
            Spread::Full => format!("load_{name}(texel)"),
            Spread::Channel => format!("load_{name}(column)"),
            Spread::Scalar => format!("{vector}(load_{name}(0u).x)"),
        }
    };
    variant
        .epilogue
        .iter()
        .enumerate()
        .map(|(i, step)| match step {
            EpilogueStep::Clamp if int => format!("clamp_int(v, params.e{i}_low, params.e{i}_high)"),
            EpilogueStep::Clamp => {
                format!("clamp(v, vec4<f32>(params.e{i}_low), vec4<f32>(params.e{i}_high))")
            }
            EpilogueStep::LeakyRelu => format!("select(params.e{i}_alpha * v, v, v > vec4<f32>(0.0))"),
            EpilogueStep::Unary(unary) if int => format!("{}_int(v)", unary.function()),
            EpilogueStep::Unary(unary) => format!("{}(v)", unary.function()),
            EpilogueStep::Binary { op, spread, swapped, .. } => {
                let other = load(spread);
                if *swapped { op.expression(&other, "v") } else { op.expression("v", &other) }
            }
            EpilogueStep::Prelu { spread, .. } => {
                let slopes = load(spread);
                format!("select({slopes} * v, v, v >= vec4<f32>(0.0))")
            }
        })
        .collect()
}
