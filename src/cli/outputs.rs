//! Outputs as files: all of them, or none.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use tflite_wgpu::{Value, npy};

use super::failure::{Failure, InFile, Res};

const PARTIAL: &str = "partial";

/// A folder that can be written to. One that was made for this is removed again unless something is written.
pub struct Folder {
    path: PathBuf,
    made: bool,
}

impl Folder {
    /// Makes the folder if need be, and tries to write into it.
    pub fn prepare(path: &Path) -> Res<Self> {
        let made = !path.exists();
        let expected =
            |error: std::io::Error| Failure::new(format!("{error}, expected a folder that can be written to"));
        fs::create_dir_all(path).map_err(expected).in_file(path)?;
        let folder = Self { path: path.to_owned(), made };
        let probe = path.join(format!("probe.{PARTIAL}"));
        fs::write(&probe, []).and_then(|()| fs::remove_file(&probe)).map_err(expected).in_file(path)?;
        Ok(folder)
    }

    /// Writes values as `STEM.npy` (strings as `STEM.json`); gives the files. On an error none of them is there.
    pub fn write(mut self, values: &[(String, &Value)]) -> Res<Vec<PathBuf>> {
        let mut staged: Vec<(PathBuf, PathBuf)> = Vec::new();
        let result = self.stage(values, &mut staged).and_then(|()| {
            for (i, (partial, file)) in staged.iter().enumerate() {
                if let Err(error) = fs::rename(partial, file) {
                    staged.iter().take(i).for_each(|(_, file)| drop(fs::remove_file(file)));
                    return Err(error).in_file(file);
                }
            }
            Ok(())
        });
        if result.is_err() {
            // What went wrong first is what is reported.
            staged.iter().for_each(|(partial, _)| drop(fs::remove_file(partial)));
        }
        result?;
        self.made = false;
        Ok(staged.into_iter().map(|(_, file)| file).collect())
    }

    fn stage(&self, values: &[(String, &Value)], staged: &mut Vec<(PathBuf, PathBuf)>) -> Res<()> {
        for (stem, value) in values {
            let (extension, bytes) = encode(value)?;
            let file = self.path.join(format!("{stem}.{extension}"));
            let partial = self.path.join(format!("{stem}.{extension}.{PARTIAL}"));
            staged.push((partial.clone(), file));
            fs::write(&partial, bytes).in_file(&partial)?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.made {
            // Not empty, or gone: not this program's any more.
            drop(fs::remove_dir(&self.path));
        }
    }
}

/// A value's file extension and bytes.
fn encode(value: &Value) -> Res<(&'static str, Vec<u8>)> {
    let Ok(strings) = value.as_strings() else { return Ok(("npy", npy::encode(value)?)) };
    let text: Vec<_> = strings.iter().map(|s| String::from_utf8_lossy(s)).collect();
    Ok(("json", serde_json::to_vec(&json!({ "shape": value.shape(), "data": text }))?))
}
