//! lavapipe, Mesa's software adapter.

use super::legs::Driver;
use std::path::{Path, PathBuf};

/// Where Vulkan's loader looks for drivers.
const ICD_FOLDERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/// lavapipe's ICD file.
pub fn find() -> Driver {
    ICD_FOLDERS
        .iter()
        .find_map(|folder| lavapipe_in(Path::new(folder)))
        .ok_or_else(|| "lavapipe (package mesa-vulkan-drivers) is not installed".to_owned())
}

/// `lvp_icd*.json` of this folder, that of our architecture before others.
fn lavapipe_in(folder: &Path) -> Option<PathBuf> {
    let ours = format!("lvp_icd.{}.json", std::env::consts::ARCH);
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("lvp_icd") && name.ends_with(".json")
        })
        .collect();
    found.sort();
    let best = found.iter().position(|path| path.ends_with(&ours));
    found.into_iter().nth(best.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Result;

    #[test]
    fn icd_of_our_architecture_comes_first() -> Result<()> {
        let ours = format!("lvp_icd.{}.json", std::env::consts::ARCH);
        let folder = std::env::temp_dir().join(format!("xtask-icd-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        for name in ["intel_icd.x86_64.json", "lvp_icd.a_first.json", &ours] {
            std::fs::write(folder.join(name), "")?;
        }
        let both = lavapipe_in(&folder);
        std::fs::remove_file(folder.join(&ours))?;
        let other = lavapipe_in(&folder);
        std::fs::remove_file(folder.join("lvp_icd.a_first.json"))?;
        let none = lavapipe_in(&folder);
        std::fs::remove_dir_all(&folder)?;
        assert_eq!(both, Some(folder.join(&ours)));
        assert_eq!(other, Some(folder.join("lvp_icd.a_first.json")));
        assert_eq!(none, None);
        Ok(())
    }
}
