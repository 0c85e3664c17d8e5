//! Looks at the machine we run on. Only looks at files: asking rustup or dpkg would cost a
//! noticeable part of a second at every verb.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::unistd::Uid;

use super::plan::{DEBIAN_COMPILER, LINKED, Probe};
use crate::command;

/// This machine.
pub(super) struct Machine;

impl Probe for Machine {
    fn has_program(&self, name: &str) -> bool {
        command::find_program(name).is_some()
    }

    fn has_file(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn toolchain_has(&self, name_prefix: &str, file: &str) -> bool {
        toolchain(name_prefix, file).is_some()
    }

    fn debian(&self) -> Option<String> {
        debian_codename(&fs::read_to_string("/etc/os-release").ok()?)
    }

    fn is_root(&self) -> bool {
        Uid::effective().is_root()
    }
}

/// The name of a rustup toolchain that begins so and holds this file.
pub(super) fn toolchain(name_prefix: &str, file: &str) -> Option<String> {
    fs::read_dir(rustup_home()?.join("toolchains"))
        .ok()?
        .flatten()
        .find_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name.starts_with(name_prefix) && entry.path().join(file).exists()).then_some(name)
        })
}

/// Debian's compiler is there, and rustup, where there is one, knows it.
pub(super) fn debian_compiler(probe: &dyn Probe) -> bool {
    DEBIAN_COMPILER.iter().all(|file| probe.has_file(file))
        && (!probe.has_program("rustup") || probe.toolchain_has(LINKED, "bin/cargo"))
}

fn rustup_home() -> Option<PathBuf> {
    std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup")))
}

fn debian_codename(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|v| v.trim_matches('"'))
    };
    (value("ID=") == Some("debian")).then(|| value("VERSION_CODENAME=").map(str::to_owned))?
}

/// A Debian with rustup's stable toolchain and nothing else: shows the whole plan.
pub(super) struct Bare;

impl Probe for Bare {
    fn has_program(&self, name: &str) -> bool {
        matches!(name, "rustup" | "cargo" | "cargo-fmt" | "cargo-clippy")
    }

    fn has_file(&self, _path: &str) -> bool {
        false
    }

    fn toolchain_has(&self, _name_prefix: &str, _file: &str) -> bool {
        false
    }

    fn debian(&self) -> Option<String> {
        Some("bookworm".into())
    }

    fn is_root(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_is_told_from_what_descends_from_it() {
        let debian = "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(debian_codename(debian).as_deref(), Some("bookworm"));
        let ubuntu = "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n";
        assert_eq!(debian_codename(ubuntu), None);
    }
}
