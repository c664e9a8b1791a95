//! Debian's packages: programs and drivers that the tasks use of the system.

use crate::process;
use std::process::Command;

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

    /// Installs those that are missing where we may; otherwise prints the command that would.
    pub fn provide(&self, packages: &[&str]) {
        let missing = self.missing(packages);
        if missing.is_empty() {
            return;
        }
        if !self.may_install {
            let packages = missing.join(" ");
            println!("missing: {packages}. To install them, as root:");
            println!("  apt-get update && apt-get install --yes --no-install-recommends {packages}");
            return;
        }
        println!("installing {}", missing.join(" "));
        self.update();
        let mut install = self.privileged();
        install.args(["install", "--yes", "--no-install-recommends"]);
        if let Err(error) = process::output(install.args(missing)) {
            println!("not installed: {error:#}");
        }
    }

    /// Refreshes the lists of packages; old lists may still do, so a failure is only told.
    pub fn update(&self) {
        if self.may_install
            && let Err(error) = process::output(self.privileged().arg("update"))
        {
            println!("lists of packages not refreshed: {error:#}");
        }
    }

    /// Those that are not installed; none where apt does not rule.
    fn missing<'a>(&self, packages: &[&'a str]) -> Vec<&'a str> {
        let is_missing = |package: &&str| {
            let mut query = Command::new("dpkg-query");
            query.args(["--show", "--showformat=${db:Status-Status}", package]);
            !process::output(&mut query).is_ok_and(|status| status == "installed")
        };
        packages.iter().copied().filter(|_| self.is_there).filter(is_missing).collect()
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
