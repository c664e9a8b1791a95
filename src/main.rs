//! The command `tflite-wgpu`: runs, inspects, verifies and times models.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
