//! What `cargo xtask bench` measures, and how. Every figure is taken next to those it is compared
//! with, in the same round of the same run; machines are shared and noisy, so nothing is compared
//! with a figure of another run.

mod asm;
mod chart;
mod contestants;
mod flood;
mod forward;
mod load;
mod logins;
mod machine;
mod peers;
mod programs;
mod result;
mod revoke;
mod sender;
mod subject;
mod sys;
mod table;
mod tags;
mod testrun;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
pub use machine::Machine;
pub use programs::Passing;
pub use result::{Row, Target};
use serde::Serialize;
pub use sys::detach_link;
pub use tags::{Tag, Tags};
use xtask::bench::{Args, Part};

/// How large things are.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sizes {
    /// Grants of a busy site.
    some: u32,
    /// As many as the product promises.
    many: u32,
    services: [u16; 3],
}

impl Sizes {
    /// The service that holds the grants: the last one, which a list would find last.
    fn busiest(&self) -> u16 {
        let [_, middle, _] = self.services;
        middle - 1
    }
}

/// How a run goes.
#[derive(Clone, Debug, Serialize)]
struct Options {
    rounds: usize,
    /// Of each flood.
    seconds: f64,
    /// Only to see that everything can be measured: the figures mean little.
    quick: bool,
    sizes: Sizes,
}

impl Options {
    fn of(args: &Args) -> Self {
        let sizes = if args.quick {
            Sizes {
                some: 1_000,
                many: 10_000,
                services: [1, 16, 64],
            }
        } else {
            Sizes {
                some: 10_000,
                many: 1_000_000,
                services: [1, 16, 256],
            }
        };
        Self {
            rounds: args.rounds.unwrap_or(if args.quick { 2 } else { 5 }).max(1),
            seconds: args.seconds.unwrap_or(if args.quick { 0.1 } else { 1.0 }),
            quick: args.quick,
            sizes,
        }
    }

    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn tell(&self, part: &str, what: &str) {
        println!("bench: {part}: {what} …");
    }

    fn round(&self, part: &str, round: usize) {
        self.tell(part, &format!("round {} of {}", round + 1, self.rounds));
    }
}

/// The whole result, as it is written.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    options: Options,
    rows: Vec<Row>,
    /// What could not be measured, and why.
    failed: Vec<String>,
}

/// Measures the parts asked for, prints the table, and writes `bench.json` and `bench.svg` into a
/// folder. An error
/// if something could not be measured; a target that is missed is none.
pub fn run(args: &Args, folder: &Path) -> Result<()> {
    let options = Options::of(args);
    let machine = Machine::look()?;
    if machine.busy_before > 0.5 {
        println!(
            "bench: this machine is busy (load {}); the figures will be spread",
            machine.busy_before
        );
    }
    let mut report = Report {
        machine,
        options,
        rows: Vec::new(),
        failed: Vec::new(),
    };
    for part in args.parts() {
        match measure(part, &report.options) {
            Ok(rows) => report.rows.extend(rows),
            Err(error) => {
                let text = format!("{part}: {error:#}");
                println!("bench: {text}");
                report.failed.push(text);
            }
        }
    }
    println!("{}", table::table(&report.rows));
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let json = folder.join("bench.json");
    fs::write(&json, serde_json::to_string_pretty(&report)?)?;
    let svg = folder.join("bench.svg");
    fs::write(&svg, chart::chart(&report.rows))?;
    println!("bench: {} and {}", json.display(), svg.display());
    let missed = report.rows.iter().filter(|row| row.reached == Some(false));
    println!("bench: {} targets missed", missed.count());
    anyhow::ensure!(
        report.failed.is_empty(),
        "not everything could be measured:\n{}",
        report.failed.join("\n")
    );
    Ok(())
}

fn measure(part: Part, options: &Options) -> Result<Vec<Row>> {
    match part {
        Part::Testrun => testrun::run(options),
        Part::Flood => flood::run(options),
        Part::Forward => forward::run(options),
        Part::Revoke => revoke::run(options),
        Part::Load => load::run(options),
        Part::Logins => logins::run(options),
    }
}
