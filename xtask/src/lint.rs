//! `cargo xtask lint`: formatting, clippy for host and kernel, tidy, and what dependencies may
//! be. Everything is run even after a failure, so that one run shows all there is to do.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    build, command,
    setup::{self, Kernel, Need},
    tidy,
};

pub fn run() -> Result<()> {
    setup::need(&[Need::Kernel, Need::Lint])?;
    let mut failed = Vec::new();
    let mut step = |name: &'static str, result: Result<()>| {
        if let Err(error) = result {
            println!("lint: {name}: {error:#}");
            failed.push(name);
        }
    };
    step(
        "fmt",
        shown("fmt", command::cargo().args(["fmt", "--all", "--check"])),
    );
    step("tidy", tidy::run());
    step("deny", deny());
    step("clippy", clippy());
    step("clippy for the kernel", kernel());
    if !failed.is_empty() {
        bail!("lint: {} failed; see above", failed.join(", "));
    }
    println!("lint: all is well");
    Ok(())
}

fn shown(name: &str, command: &mut Command) -> Result<()> {
    println!("lint: {name}");
    command::run(command)
}

fn clippy() -> Result<()> {
    let mut cargo = command::cargo();
    cargo
        .args(["clippy", "--keep-going"])
        .args(build::WORKSPACE);
    cargo.args(["--all-targets", "--", "-D", "warnings"]);
    shown("clippy", &mut cargo)
}

/// Licences, duplicates, sources. Advisories are left out: their database comes from the
/// network at each run, and a check that fails with the network is no check of this repository.
fn deny() -> Result<()> {
    let mut cargo = command::cargo();
    cargo.args(["deny", "--all-features", "check", "--hide-inclusion-graph"]);
    cargo.args(["licenses", "bans", "sources"]);
    shown("deny", &mut cargo)
}

/// The kernel program, for its own target. Nightly brings clippy. Debian's compiler has none, so
/// there the program is checked for its own target with warnings as errors, and clippy looks at
/// it as if it were for the host, where the same code is compiled.
fn kernel() -> Result<()> {
    let program = ["--package", "filter-ebpf", "--all-features"];
    match setup::kernel()? {
        Kernel::Nightly(toolchain) => {
            let mut cargo = Command::new("rustup");
            cargo
                .args(["run", &toolchain, "cargo", "clippy"])
                .args(program);
            cargo.args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"]);
            cargo.args(["--", "-D", "warnings"]);
            own_target(&mut cargo);
            shown("clippy for the kernel", &mut cargo)
        }
        Kernel::Debian => {
            let mut cargo = Command::new("/usr/bin/cargo");
            cargo
                .arg("check")
                .args(program)
                .args(["--target", "bpfel-unknown-none"]);
            own_target(&mut cargo);
            cargo.env("RUSTC", "/usr/bin/rustc");
            shown("check for the kernel", &mut cargo)?;
            let mut cargo = command::cargo();
            cargo
                .arg("clippy")
                .args(program)
                .args(["--", "-D", "warnings"]);
            // A program without `std` cannot unwind, and a check for the host has to be told.
            cargo.env("CARGO_PROFILE_DEV_PANIC", "abort");
            cargo.env("CARGO_TARGET_DIR", command::target_dir().join("lint"));
            shown("clippy for the kernel's code on the host", &mut cargo)
        }
    }
}

fn own_target(cargo: &mut Command) {
    cargo
        .current_dir(command::root())
        .env("CARGO_TARGET_DIR", command::target_dir().join("lint"))
        .env("CARGO_ENCODED_RUSTFLAGS", "--cfg=bpf_target_arch=\"x86_64\"\u{1f}-Dwarnings")
        // Set by the toolchain that runs us, and wrong for the other one.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC");
}
