//! `devices`: the adapters of this machine, best first.

use serde_json::json;
use tflite_wgpu::gpu::{self, AdapterSummary};

use super::{failure::Res, render};

/// Lists the adapters, best first, with the features and limits that matter
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, json: bool) -> Res<()> {
    let found: Vec<AdapterSummary> =
        pollster::block_on(gpu::adapters()).into_iter().map(|(summary, _)| summary).collect();
    if json {
        return render::print_json(&json!({ "adapters": found }));
    }
    let mut text = String::new();
    if found.is_empty() {
        text.push_str("no adapter: everything runs on the CPU\n");
    }
    for adapter in &found {
        let yes = |flag: bool| if flag { "yes" } else { "no" };
        text.push_str(&format!("{} {adapter}\n", adapter.index));
        text.push_str(&format!(
            "  f16 arithmetic {}, timestamps {}, buffers up to {}, bindings up to {}, {} per kernel\n",
            yes(adapter.shader_f16),
            yes(adapter.timestamps),
            render::bytes(adapter.max_buffer_bytes),
            render::bytes(adapter.max_binding_bytes),
            adapter.max_storage_buffers,
        ));
    }
    render::print(&text)?;
    Ok(())
}
