//! `cargo xtask fuzz`: the comparison of oracle, host and kernel for as long as asked, or one of
//! the coverage-guided targets under `tests/fuzz`. What is found lies under `tests/corpus` or
//! `tests/fuzz/artifacts` afterwards.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    build, command,
    setup::{self, Need},
};

/// One minute.
const SECONDS: u64 = 60;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stop after so many packets (default: after --seconds)
    #[arg(long, value_name = "N")]
    packets: Option<u64>,
    /// Repeat what a run with this seed did (default: another one each time)
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Stop after so many seconds (default: 60, or never when --packets is given)
    #[arg(long, value_name = "T")]
    seconds: Option<u64>,
    /// Run a fuzz target instead: needs a nightly toolchain and cargo-fuzz
    #[arg(long, value_name = "NAME", conflicts_with_all = ["packets", "seed"])]
    target: Option<Target>,
}

/// What there is under `tests/fuzz/fuzz_targets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// Any frame, `decide` against the oracle
    Decide,
    /// Any text as the agent's configuration
    AgentConfig,
    /// Any bytes as a PROXY v2 header
    ProxyV2,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::AgentConfig => "agent_config",
            Self::ProxyV2 => "proxy_v2",
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    match args.target {
        Some(target) => command::run(&mut guided(target, args.seconds.unwrap_or(SECONDS))?),
        None => compare(args),
    }
}

fn compare(args: &Args) -> Result<()> {
    setup::need(&[Need::Kernel, Need::Lab, Need::Tests])?;
    let binaries = build::binaries("dev", &["--bins"])?;
    let mut cargo = command::cargo();
    cargo
        .args(["test", "--package", "tests", "--test", "oracle", "--"])
        .args(["--exact", "--nocapture"])
        .arg("oracle_host_and_kernel_agree_on_millions_of_packets")
        .env("SEKISHO_BIN", &binaries.sekisho);
    for (variable, value) in limits(args) {
        cargo.env(variable, value.to_string());
    }
    command::run(&mut cargo)
}

/// What the test reads.
fn limits(args: &Args) -> Vec<(&'static str, u64)> {
    let seconds = match (args.seconds, args.packets) {
        (None, None) => Some(SECONDS),
        (seconds, _) => seconds,
    };
    [
        ("SEKISHO_PACKETS", args.packets),
        ("SEKISHO_SEED", args.seed),
        ("SEKISHO_SECONDS", seconds),
    ]
    .into_iter()
    .filter_map(|(variable, value)| Some((variable, value?)))
    .collect()
}

/// Coverage needs a compiler that instruments, which is nightly's.
fn guided(target: Target, seconds: u64) -> Result<Command> {
    let name = target.name();
    // What it learns goes below `target`; the seeds beside the code stay as they are.
    let learned = command::target_dir().join("fuzz/corpus").join(name);
    fs::create_dir_all(&learned).context("cannot make a folder for the corpus")?;
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(command::root())
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", "tests/fuzz"])
        .arg("--target-dir")
        .arg(command::target_dir().join("fuzz"))
        .arg(name)
        .arg(learned)
        .arg(format!("tests/fuzz/seeds/{name}"))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        // Those of the toolchain that runs us.
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(packets: Option<u64>, seconds: Option<u64>) -> Args {
        Args {
            packets,
            seed: None,
            seconds,
            target: None,
        }
    }

    #[test]
    fn a_run_without_limits_ends_after_a_minute() {
        assert_eq!(limits(&args(None, None)), [("SEKISHO_SECONDS", 60)]);
        assert_eq!(limits(&args(Some(7), None)), [("SEKISHO_PACKETS", 7)]);
        assert_eq!(
            limits(&args(Some(7), Some(9))),
            [("SEKISHO_PACKETS", 7), ("SEKISHO_SECONDS", 9)]
        );
    }

    #[test]
    fn a_target_runs_with_the_compiler_that_can_instrument() {
        let line = command::shown(&guided(Target::ProxyV2, 5).unwrap());
        assert!(
            line.contains("+nightly fuzz run --fuzz-dir tests/fuzz")
                && line.contains("tests/fuzz/seeds/proxy_v2 --")
                && line.ends_with("-max_total_time=5"),
            "{line}"
        );
    }
}
