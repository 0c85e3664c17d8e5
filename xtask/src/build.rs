//! `cargo xtask build`: the two binaries, with the kernel program inside `sekisho`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{
    command,
    setup::{self, Need},
};

/// All crates but the kernel program, which the build script of `agent` builds for its own target.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--exclude", "filter-ebpf"];

/// Where the built binaries lie.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub sekisho: PathBuf,
    pub portal: PathBuf,
}

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Optimised, as it is shipped
    #[arg(long)]
    release: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let binaries = binaries(if args.release { "release" } else { "dev" }, &["--bins"])?;
    println!("{}", binaries.sekisho.display());
    println!("{}", binaries.portal.display());
    Ok(())
}

/// Builds with a cargo profile and says where the binaries are. Always selects the whole
/// workspace: another selection has other features, and everything would be compiled twice.
pub fn binaries(profile: &str, targets: &[&str]) -> Result<Binaries> {
    setup::need(&[Need::Kernel])?;
    let mut cargo = command::cargo();
    cargo
        .args(["build", "--profile", profile])
        .args(WORKSPACE)
        .args(targets);
    command::run(&mut cargo)?;
    let folder = command::target_dir().join(if profile == "dev" { "debug" } else { profile });
    let binaries = Binaries {
        sekisho: folder.join("sekisho"),
        portal: folder.join("sekisho-portal"),
    };
    for binary in [&binaries.sekisho, &binaries.portal] {
        if !binary.is_file() {
            bail!("the build succeeded but made no {}", binary.display());
        }
    }
    Ok(binaries)
}
