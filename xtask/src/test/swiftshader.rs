//! SwiftShader, Chromium's software adapter: two files of a browser, kept below `target/`.

use super::legs::Driver;
use crate::apt::Apt;
use crate::process;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIBRARY: &str = "libvk_swiftshader.so";
const ICD: &str = "vk_swiftshader_icd.json";
const PACKAGE: &str = "chromium-common";
/// Where installed browsers, and the unpacked package, keep the two files.
const BROWSERS: [&str; 3] = ["usr/lib/chromium", "opt/google/chrome", "usr/lib/chromium-browser"];

/// The ICD file in `target/swiftshader/`, fetched on first use.
pub fn obtain(target_dir: &Path, apt: &Apt) -> Driver {
    let home = target_dir.join("swiftshader");
    let kept = keep_from(Path::new("/"), &home);
    if kept {
        return Ok(home.join(ICD));
    }
    download(&home, apt).map_err(|error| format!("SwiftShader is not to be had: {error:#}"))
}

/// Fetches Debian's package without installing it, and keeps the two files.
fn download(home: &Path, apt: &Apt) -> Result<PathBuf> {
    if !apt.is_there {
        bail!("there is no installed Chromium or Chrome, and no apt-get to fetch one with");
    }
    println!("fetching SwiftShader from the package {PACKAGE}");
    let scratch = home.with_extension("part");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).context("folder for the download")?;
    let mut fetch = Command::new("apt-get");
    fetch.args(["download", "--quiet=2", PACKAGE]);
    fetch.current_dir(&scratch);
    if process::output(&mut fetch).is_err() {
        apt.update();
        process::output(&mut fetch)?;
    }
    let package = fs::read_dir(&scratch)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get left no package")?;
    process::output(Command::new("dpkg").arg("-x").arg(package).arg(&scratch))?;
    let found = keep_from(&scratch, home);
    let _ = fs::remove_dir_all(&scratch);
    if !found {
        bail!("{PACKAGE} has no {LIBRARY}");
    }
    Ok(home.join(ICD))
}

/// Copies the two files to `home` unless they are there; whether `home` has both in the end.
fn keep_from(root: &Path, home: &Path) -> bool {
    is_complete(home)
        || BROWSERS
            .iter()
            .map(|browser| root.join(browser))
            .filter(|folder| is_complete(folder))
            .any(|folder| copy(&folder, home).is_ok() && is_complete(home))
}

fn copy(from: &Path, home: &Path) -> std::io::Result<()> {
    fs::create_dir_all(home)?;
    for name in [LIBRARY, ICD] {
        fs::copy(from.join(name), home.join(name))?;
    }
    Ok(())
}

/// Whether the folder has an ICD file that names the library beside it.
fn is_complete(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join(ICD)).unwrap_or_default();
    let icd: Value = serde_json::from_str(&text).unwrap_or_default();
    let library = Path::new(icd["ICD"]["library_path"].as_str().unwrap_or_default());
    library.is_relative() && library.ends_with(LIBRARY) && folder.join(library).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_browser(folder: &Path, library_path: &str) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(LIBRARY), "library")?;
        let icd = format!(r#"{{"ICD": {{"library_path": "{library_path}"}}}}"#);
        fs::write(folder.join(ICD), icd)
    }

    #[test]
    fn two_files_are_kept_from_a_browser() -> std::io::Result<()> {
        let root = std::env::temp_dir().join(format!("xtask-swiftshader-{}", std::process::id()));
        let home = root.join("kept/swiftshader");
        let absent = keep_from(&root, &home);
        write_browser(&root.join(BROWSERS[0]), "/elsewhere/libvk_swiftshader.so")?;
        let absolute = keep_from(&root, &home);
        write_browser(&root.join(BROWSERS[1]), "./libvk_swiftshader.so")?;
        let relative = keep_from(&root, &home);
        fs::remove_dir_all(root.join("opt"))?;
        let later = keep_from(&root, &home);
        fs::remove_dir_all(&root)?;
        assert_eq!([absent, absolute, relative, later], [false, false, true, true]);
        Ok(())
    }
}
