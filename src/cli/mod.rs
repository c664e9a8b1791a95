//! The command line: one file per command, and what they share.
//!
//! Data go to stdout, everything else to stderr. Exit status 0 is good, 1 failed or mismatch, 2 usage.

mod benchmark;
mod devices;
mod entry;
mod failure;
mod inputs;
mod inspect;
mod labels;
mod latency;
mod options;
mod outputs;
mod picture;
mod plan_view;
mod progress;
mod render;
mod resizes;
mod run;
mod session;
mod sound;
mod verify;

use std::{io::IsTerminal, process::ExitCode};

use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use failure::Res;

/// Runs TensorFlow Lite models on any GPU
#[derive(Parser)]
#[command(name = "tflite-wgpu", version)]
struct Cli {
    /// Print JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Benchmark(benchmark::Args),
    Devices(devices::Args),
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Res<()> {
    match &cli.command {
        Command::Run(args) => run::run(args, cli.json),
        Command::Inspect(args) => inspect::run(args, cli.json),
        Command::Verify(args) => verify::run(args, cli.json),
        Command::Benchmark(args) => benchmark::run(args, cli.json),
        Command::Devices(args) => devices::run(args, cli.json),
    }
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}
