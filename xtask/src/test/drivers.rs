//! Mesa's software adapter, and the packages that the tests need.

use super::legs::Driver;
use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the tests use of the system: the Vulkan loader, lavapipe, environments for Python programs.
const PACKAGES: [&str; 3] = ["libvulkan1", "mesa-vulkan-drivers", "python3-venv"];
/// Where Vulkan's loader looks for drivers.
const ICD_FOLDERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/// Installs what is missing where we may; otherwise prints the command that would.
pub fn install(apt: &Apt) {
    let missing = apt.missing();
    if missing.is_empty() {
        return;
    }
    if !apt.may_install {
        let packages = missing.join(" ");
        println!("missing: {packages}. To install them, as root:");
        println!("  apt-get update && apt-get install --yes --no-install-recommends {packages}");
        return;
    }
    println!("installing {}", missing.join(" "));
    apt.update();
    let mut install = apt.privileged();
    install.args(["install", "--yes", "--no-install-recommends"]);
    if let Err(error) = process::output(install.args(missing)) {
        println!("not installed: {error:#}");
    }
}

/// lavapipe's ICD file.
pub fn lavapipe() -> Driver {
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

/// Debian's package tools, as far as this machine and user have them.
pub struct Apt {
    /// The machine has them.
    pub is_there: bool,
    may_install: bool,
    is_root: bool,
}

impl Apt {
    /// Looks for the tools, and for the right to install.
    pub fn detect() -> Self {
        let is_there = ["apt-get", "dpkg", "dpkg-query"].iter().all(|tool| process::is_installed(tool));
        let is_root = process::output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0\n");
        let sudo = || process::output(Command::new("sudo").args(["-n", "true"])).is_ok();
        Self { is_there, may_install: is_there && (is_root || sudo()), is_root }
    }

    /// Refreshes the lists of packages; old lists may still do, so a failure is only told.
    pub fn update(&self) {
        if self.may_install
            && let Err(error) = process::output(self.privileged().arg("update"))
        {
            println!("lists of packages not refreshed: {error:#}");
        }
    }

    /// Those of [`PACKAGES`] that are not installed; none where apt does not rule.
    fn missing(&self) -> Vec<&'static str> {
        let is_missing = |package: &&str| {
            let mut query = Command::new("dpkg-query");
            query.args(["--show", "--showformat=${db:Status-Status}", package]);
            !process::output(&mut query).is_ok_and(|status| status == "installed")
        };
        let packages = PACKAGES.into_iter().filter(|_| self.is_there);
        packages.filter(is_missing).collect()
    }

    /// `apt-get` with the right to install, never asking, waiting for another one to finish.
    fn privileged(&self) -> Command {
        let mut command = Command::new(if self.is_root { "env" } else { "sudo" });
        if !self.is_root {
            command.args(["-n", "env"]);
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2"]);
        command.args(["-o", "DPkg::Lock::Timeout=300"]);
        command
    }
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
