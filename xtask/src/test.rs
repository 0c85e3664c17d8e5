//! `cargo xtask test`: every layer, from pure functions to a real browser. Stays with plain
//! `cargo test`, so that a fresh machine needs no test runner of its own.

use anyhow::Result;

use crate::{
    build, command,
    setup::{self, Need},
};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only tests whose name contains one of these
    filter: Vec<String>,
    /// Only the end-to-end tests (namespaces, real servers, the browser)
    #[arg(long)]
    end_to_end: bool,
    /// How many packets oracle, host and kernel are compared on, instead of two million
    #[arg(long, value_name = "N")]
    packets: Option<u64>,
    /// How many times the fault runs kill the agent, instead of a few
    #[arg(long, value_name = "N")]
    faults: Option<u64>,
}

pub fn run(args: &Args) -> Result<()> {
    // A short run of the bench is a test, too.
    setup::need(&[Need::Kernel, Need::Lab, Need::Tests, Need::Bench])?;
    let binaries = build::binaries("dev", &["--bins", "--tests"])?;
    let mut cargo = command::cargo();
    cargo.arg("test");
    if args.end_to_end {
        cargo.args(["--package", "tests"]);
    } else {
        cargo.args(build::WORKSPACE);
    }
    cargo
        .args(["--no-fail-fast", "--"])
        .args(&args.filter)
        .env("SEKISHO_BIN", &binaries.sekisho)
        .env("SEKISHO_PORTAL_BIN", &binaries.portal);
    if let Some(packets) = args.packets {
        cargo.env("SEKISHO_PACKETS", packets.to_string());
    }
    if let Some(faults) = args.faults {
        cargo.env("SEKISHO_FAULTS", faults.to_string());
    }
    if std::env::var_os("RUST_LIB_BACKTRACE").is_none() {
        // The tests' errors say what happened; forty lines of who called whom would hide it.
        cargo.env("RUST_LIB_BACKTRACE", "0");
    }
    command::run(&mut cargo)
}
