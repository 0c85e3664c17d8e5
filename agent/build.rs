//! Builds the kernel object from source and leaves it where `kernel/object.rs` embeds it.
//!
//! Two toolchains can: the one that `cargo xtask setup` links from the distribution's packages, or
//! a nightly with the sources of `core`. When neither is there, the build stops with one sentence.

use std::process::Command;

use anyhow::{Result, bail};
use aya_build::{Package, Toolchain, build_ebpf};

/// The name under which `cargo xtask setup` links the distribution's compiler.
const LINKED: &str = "sekisho-bpf";

fn main() -> Result<()> {
    for source in [
        "../filter-abi",
        "../filter-core",
        "../filter-ebpf",
        "../Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={source}");
    }
    let Some(toolchain) = toolchain() else {
        bail!(
            "the toolchain for the kernel program is missing: run `cargo xtask setup` once, then build again"
        );
    };
    let root_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../filter-ebpf");
    build_ebpf(
        [Package {
            name: "filter-ebpf",
            root_dir,
            ..Package::default()
        }],
        toolchain,
    )
}

/// None: nothing on this machine can build for the BPF target.
fn toolchain() -> Option<Toolchain<'static>> {
    let succeeds = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !succeeds("bpf-linker", &["--version"]) {
        return None;
    }
    if !succeeds("rustup", &["--version"]) {
        // Without rustup the compiler on the path is used; it must know the target.
        let target = ["--print", "target-libdir", "--target", "bpfel-unknown-none"];
        return succeeds("rustc", &target).then_some(Toolchain::Custom(LINKED));
    }
    if succeeds("rustup", &["run", LINKED, "cargo", "--version"]) {
        return Some(Toolchain::Custom(LINKED));
    }
    let sources = Command::new("rustup")
        .args(["component", "list", "--toolchain", "nightly", "--installed"])
        .output()
        .ok()?;
    String::from_utf8_lossy(&sources.stdout)
        .contains("rust-src")
        .then_some(Toolchain::Nightly)
}
