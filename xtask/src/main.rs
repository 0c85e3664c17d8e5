//! `cargo xtask`: everything a developer, the laboratory and CI do with this repository. It
//! depends on no product crate, so it builds in seconds and works while the product does not.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, build, fuzz, lab, lint, setup, test, tidy};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, try and check sekisho")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find or install what the other verbs need (each also calls this for itself)
    Setup(setup::Args),
    /// Build the two binaries, kernel program included
    Build(build::Args),
    /// Walk the whole product on real packets in network namespaces, then clean up
    Lab(lab::Args),
    /// Run the tests of every layer (or those whose name contains a FILTER)
    Test(test::Args),
    /// Measure the filter next to its peers; print a table, write JSON and a chart
    Bench(bench::Args),
    /// Compare oracle, host and kernel on random packets, or run a fuzz target
    Fuzz(fuzz::Args),
    /// Formatting, clippy for host and kernel, tidy, licences and sources of dependencies
    Lint,
    /// Check the rules of the house: dependency direction, file lengths, unsafe fences, clocks
    Tidy,
    #[command(flatten)]
    Helper(lab::Helper),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Setup(args) => setup::run(&args),
        Verb::Build(args) => build::run(&args),
        Verb::Lab(args) => lab::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Fuzz(args) => fuzz::run(&args),
        Verb::Lint => lint::run(),
        Verb::Tidy => tidy::run(),
        Verb::Helper(helper) => lab::help(&helper),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
