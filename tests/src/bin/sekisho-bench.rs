//! The program that `cargo xtask bench` builds and runs. It expects everything to be set up.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

#[derive(Parser)]
#[command(name = "sekisho-bench", about = "Measure sekisho and its peers")]
struct Cli {
    #[command(flatten)]
    args: xtask::bench::Args,
    /// Folder for the result
    #[arg(long)]
    into: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tests::bench::run(&cli.args, &cli.into) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
