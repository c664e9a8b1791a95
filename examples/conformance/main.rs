//! Runs conformance packs or whole models and writes what their judges read.
//!
//! ```text
//! conformance PACKS --device cpu|gpu [--precision f16|f32] [--ops A,B] --dump OUT
//! conformance --models DIR --device cpu|gpu [--precision f16|f32] [--only FAMILY/NAME,FAMILY] --dump OUT
//! ```

mod files;
mod golden;
mod models;
mod packs;
mod session;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use tflite_wgpu::DelegateOptions;

/// Runs conformance packs or whole models and writes what their judges read.
#[derive(Parser)]
struct Args {
    /// Folder of packs (OP.zip).
    packs: Option<PathBuf>,
    /// Folder of models with goldens, instead of packs.
    #[arg(long, conflicts_with = "packs", required_unless_present = "packs")]
    models: Option<PathBuf>,
    /// Where nodes run.
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "gpu"])]
    device: String,
    /// Part of the adapter's name, or its position.
    #[arg(long, default_value = "")]
    adapter: String,
    /// How float tensors are stored on the GPU.
    #[arg(long, default_value = "f16", value_parser = ["f16", "f32"])]
    precision: String,
    /// Only these packs.
    #[arg(long, value_delimiter = ',')]
    ops: Vec<String>,
    /// Only these models or families.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Further options of the delegate, key=value.
    #[arg(long = "option")]
    options: Vec<String>,
    /// Also writes what stays on the CPU to this file, with reasons: pack cases of floats, or networks.
    #[arg(long)]
    cpu_list: Option<PathBuf>,
    /// Folder for results.
    #[arg(long)]
    dump: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let mut options = DelegateOptions::parse(args.options.iter().map(String::as_str))?;
    options.set("device", &args.device)?;
    options.set("adapter", &args.adapter)?;
    options.set("precision", &args.precision)?;
    let session = session::Session::open(options)?;
    std::fs::create_dir_all(&args.dump)?;
    let (key, rows) = match (&args.packs, &args.models) {
        (Some(packs), _) => ("cases", packs::run(packs, &args.ops, &session, &args.dump)?),
        (_, Some(models)) => ("models", models::run(models, &args.only, &session, &args.dump)?),
        _ => return Err("a folder of packs or --models is needed".into()),
    };
    let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    println!("{} ran, {} refused, {} failed", count("ran"), count("refused"), count("error"));
    let results = serde_json::json!({
        "format": 1,
        "device": args.device,
        "precision": args.precision,
        "adapter": session.adapter(),
        key: rows,
    });
    if let Some(file) = &args.cpu_list {
        let rows = |key: &str| results[key].as_array().map(Vec::as_slice).unwrap_or_default();
        std::fs::write(file, packs::cpu_cases(rows("cases")) + &models::cpu_networks(rows("models")))?;
    }
    std::fs::write(args.dump.join("results.json"), serde_json::to_vec(&results)?)?;
    Ok(())
}
