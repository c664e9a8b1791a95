//! Writes everything that follows from the schema file: flatc's bindings, the operators with their attributes, and
//! the attributes' reader and writer. With `--check`, fails when a committed file differs.

mod attributes;
mod fbs;
mod names;
mod ops;

use std::{
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: schema-tool [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("these files are not what the schema gives; `cargo xtask schema` writes them");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes or compares every file; false when one differs.
fn run(check: bool) -> Result<bool, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let model = root.join("model");
    let mut same = true;
    for (path, text) in files(&model)? {
        let text = format_rust(&root, &text)?;
        let path = model.join(path);
        let found = fs::read_to_string(&path).unwrap_or_default();
        if found != text {
            same = false;
            let shown = path.strip_prefix(&root).unwrap_or(&path).display();
            if check {
                println!("{shown} differs");
            } else {
                fs::create_dir_all(path.parent().unwrap_or(&model))?;
                fs::write(&path, text)?;
                println!("{shown} written");
            }
        }
    }
    Ok(same || !check)
}

/// Path below `model/` and unformatted text of each file.
fn files(model: &Path) -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let file = model.join("schema/tflite.fbs");
    let schema = fbs::parse(&fs::read_to_string(&file)?)?;
    let builtins = ops::builtins(&schema)?;
    let mut list = vec![(PathBuf::from("src/op.rs"), ops::write(&schema, &builtins)?)];
    let mut generated = |name: &str, text: String| list.push((Path::new("src/generated").join(name), text));
    let bindings = bindings(&file)?;
    let places = attributes::places(&bindings);
    generated("read.rs", attributes::write_reader(&schema, &builtins, &places)?);
    generated("write.rs", attributes::write_writer(&schema, &builtins, &places)?);
    generated("samples.rs", attributes::write_samples(&schema, &builtins)?);
    generated("bindings.rs", bindings);
    generated("metadata_bindings.rs", self::bindings(&model.join("schema/metadata.fbs"))?);
    Ok(list)
}

/// flatc's bindings of a schema file, with our own check of unions.
fn bindings(file: &Path) -> Result<String, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bindings");
    fs::create_dir_all(&folder)?;
    let status = Command::new(flatc_fork::flatc()).arg("--rust").arg("-o").arg(&folder).arg(file).status()?;
    if !status.success() {
        return Err(format!("flatc ended with {status}").into());
    }
    let stem = file.file_stem().and_then(|s| s.to_str()).ok_or("the schema file has no name")?;
    let text = fs::read_to_string(folder.join(format!("{stem}_generated.rs")))?;
    let head = format!("pub mod {stem} {{\n");
    if !text.contains(&head) {
        return Err(format!("flatc wrote no module {stem}").into());
    }
    let text = text.replace(&head, &format!("{head}\nuse crate::read::union::LenientUnion;\n"));
    Ok(text.replace(".visit_union::<", ".visit_lenient_union::<"))
}

/// The text as rustfmt, set up as in the workspace, has it.
fn format_rust(root: &Path, text: &str) -> Result<String, Box<dyn Error>> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root.join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("rustfmt takes no input")?;
    let text = text.to_owned();
    let feeder = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    feeder.join().map_err(|_| "feeding rustfmt failed")??;
    if !output.status.success() {
        return Err(format!("rustfmt ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
