//! `cargo xtask bench`: how fast the filter is, next to what its users would pick instead, on this
//! machine. Sets up and builds as it is shipped; the measuring itself is a program of the crate
//! `tests`, because it loads kernel programs and this crate must not.

use std::{fmt, path::PathBuf};

use anyhow::{Result, bail};

use crate::{
    build, command,
    setup::{self, Need},
};

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Args {
    /// What to measure (default: everything)
    pub parts: Vec<Part>,
    /// Alternating rounds of each figure (default: 5)
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Length of each flood (default: 1)
    #[arg(long)]
    pub seconds: Option<f64>,
    /// In less than a minute, to see that everything can be measured; the figures mean little
    #[arg(long)]
    pub quick: bool,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Nanoseconds for one packet, everything in the cache
    Testrun,
    /// A flood of unknown sources over a wire, dropped
    Flood,
    /// Traffic of granted sources through a gateway
    Forward,
    /// From "shut" to the first dropped packet
    Revoke,
    /// Starting with a million grants, and ending a million
    Load,
    /// Whole log-ins a second, with a directory server beside the portal
    Logins,
}

impl Part {
    const ALL: [Self; 6] = [
        Self::Testrun,
        Self::Flood,
        Self::Forward,
        Self::Revoke,
        Self::Load,
        Self::Logins,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Testrun => "testrun",
            Self::Flood => "flood",
            Self::Forward => "forward",
            Self::Revoke => "revoke",
            Self::Load => "load",
            Self::Logins => "logins",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Args {
    /// The parts to measure, in order.
    pub fn parts(&self) -> Vec<Part> {
        if self.parts.is_empty() {
            Part::ALL.to_vec()
        } else {
            self.parts.clone()
        }
    }

    /// The same as a command line.
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.parts.iter().map(Part::to_string).collect();
        if let Some(rounds) = self.rounds {
            words.push(format!("--rounds={rounds}"));
        }
        if let Some(seconds) = self.seconds {
            words.push(format!("--seconds={seconds}"));
        }
        if self.quick {
            words.push("--quick".into());
        }
        words
    }
}

/// Where the result is written.
fn folder() -> PathBuf {
    command::target_dir().join("bench")
}

pub fn run(args: &Args) -> Result<()> {
    setup::need_root("the bench")?;
    // A directory server and an authenticator come with the tests.
    setup::need(&[Need::Kernel, Need::Lab, Need::Bench, Need::Tests])?;
    println!("bench: building as it is shipped …");
    let binaries = build::binaries("release", &["--bins"])?;
    let bench = binaries.sekisho.with_file_name("sekisho-bench");
    if !bench.is_file() {
        bail!("the build succeeded but made no {}", bench.display());
    }
    let mut measuring = std::process::Command::new(bench);
    measuring
        .args(args.words())
        .arg("--into")
        .arg(folder())
        .env("SEKISHO_BIN", &binaries.sekisho)
        .env("SEKISHO_PORTAL_BIN", &binaries.portal);
    command::run(&mut measuring)
}
