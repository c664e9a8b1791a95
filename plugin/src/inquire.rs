//! What a host's user may ask without an interpreter: the adapters, and whether a model is right on one.

use std::{
    ffi::{CString, c_char},
    ptr,
};

use serde_json::{Value as Json, json};
use tflite_wgpu::{
    Model, gpu, made_up,
    verify::{self, Call, Verification},
};

use crate::{device, guard, options::PluginOptions};

/// The adapters of this machine, best first, as JSON text; free it with [`tflite_wgpu_free`].
#[unsafe(no_mangle)]
pub extern "C" fn tflite_wgpu_devices() -> *mut c_char {
    let found = guard::caught("devices", || {
        let adapters: Vec<_> = pollster::block_on(gpu::adapters()).into_iter().map(|(summary, _)| summary).collect();
        Ok(json!({ "adapters": adapters }))
    });
    text(found)
}

/// Compares the GPU with the reference on random inputs, as JSON text; free it with [`tflite_wgpu_free`].
///
/// # Safety
/// `model` is NULL or a C string; keys and values are as for [`crate::tflite_plugin_create_delegate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tflite_wgpu_verify(
    model: *const c_char,
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
) -> *mut c_char {
    text(guard::caught("verify", || {
        // SAFETY: the caller's promise.
        let (path, pairs) = unsafe { (crate::host::text(model), crate::pairs(keys, values, count)?) };
        let path = path.ok_or("no model was named")?;
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let options = PluginOptions::parse(pairs).map_err(|error| error.to_string())?;
        check(&path, &options).map_err(|error| format!("{path}: {error}"))
    }))
}

/// Frees a text of this library; NULL is ignored.
///
/// # Safety
/// `text` is NULL or comes from this library, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tflite_wgpu_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: `text` made it with `CString::into_raw`.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// A text for the caller; an error is a text, too.
fn text(found: Result<Json, String>) -> *mut c_char {
    let json = found.unwrap_or_else(|error| json!({ "error": error }));
    CString::new(json.to_string()).map_or(ptr::null_mut(), CString::into_raw)
}

fn check(path: &str, options: &PluginOptions) -> Result<Json, Box<dyn std::error::Error>> {
    let model = Model::open(path)?;
    let device = device::open(&options.delegate)?;
    let inputs = made_up::inputs(&model, 0)?;
    let call = Call { signature: None, inputs: &inputs };
    let found = verify::verify(&model, &device, &options.delegate, |builder| builder, &call, |_, _| {})?;
    Ok(json!({
        "passed": found.compared() && found.passed(),
        "adapter": device.summary,
        "gpu_nodes": found.report.gpu_nodes(),
        "cpu_nodes": found.report.node_count() - found.report.gpu_nodes(),
        "outputs": outputs(&found),
        "first_off": found.first_off().map(|step| step.nodes.iter().map(|(id, _)| id.0).collect::<Vec<_>>()),
        "fallbacks": found.fallbacks,
    }))
}

fn outputs(found: &Verification) -> Vec<Json> {
    let output = |output: &verify::OutputCheck| {
        let (figures, mismatch) = (output.check.figures(), output.check.outcome.as_ref().err());
        json!({
            "name": output.name,
            "passed": output.check.passed(),
            "max_abs": figures.map(|figures| figures.max_abs),
            "cosine": figures.map(|figures| figures.cosine),
            "mismatch": mismatch.map(ToString::to_string),
        })
    };
    found.outputs.iter().map(output).collect()
}
