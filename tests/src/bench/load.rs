//! Part `load`: an agent that starts with very many grants in its ledger and none in the kernel,
//! as after a boot, and one for which all of them end at the same moment while others ask.

use std::{fs, io, thread, time::Duration};

use agent_api::{Client, Status};
use anyhow::{Result, ensure};
use nix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;
use xtask::clock;

use super::{
    Options,
    result::{Row, Target},
    subject::{self, Seed, Shape},
};
use crate::{Agent, Rig};

const PART: &str = "load";
/// Between two questions to the API.
const PAUSE: Duration = Duration::from_micros(500);
/// Questions go on so long after the last grant has gone.
const AFTER: Duration = Duration::from_millis(500);
/// How long a sweep is watched; past this the figure is "at least".
const PATIENCE: Duration = Duration::from_secs(60);

/// What each round gave, in the order of the rows.
#[derive(Default)]
struct Figures {
    empty: Vec<f64>,
    start: Vec<f64>,
    restore: Vec<f64>,
    quiet: Vec<f64>,
    pause: Vec<f64>,
    sweep: Vec<f64>,
    /// Most grants that were still there when the watch ended.
    left: u64,
}

pub(super) fn run(options: &Options) -> Result<Vec<Row>> {
    let [_, services, _] = options.sizes.services;
    // As many of each family, `many` of both.
    let shape = Shape {
        grants: options.sizes.many / 2,
        services,
    };
    let rig = Rig::quiet()?;
    drop(subject::start_agent(&rig, shape)?);
    let mut figures = Figures::default();
    for round in 0..options.rounds {
        options.round(PART, round);
        let (agent, took) = start(&rig, shape)?;
        drop(agent);
        figures.empty.push(took.as_secs_f64());
        // Long enough to write them, to start, and for a while of quiet.
        let live = Duration::from_secs(3) + Duration::from_micros(13) * options.sizes.many;
        let ends = boot()? + live;
        let seed = Seed {
            live,
            ..Seed::default()
        };
        subject::clear(&rig)?;
        subject::seed(&rig, shape, &seed)?;
        let (agent, took) = start(&rig, shape)?;
        let empty = figures.empty.last().copied().unwrap_or(0.0);
        figures.restore.push(took.as_secs_f64() - empty);
        figures.start.push(took.as_secs_f64());
        let status = agent.status()?;
        ensure!(
            held(&status) == u64::from(shape.grants) * 2,
            "{} grants are in force instead of {}",
            held(&status),
            shape.grants * 2
        );
        expire(&agent, ends, &mut figures)?;
    }
    Ok(rows(options, figures))
}

/// Starts an agent as after a boot: nothing of it is in the kernel.
fn start(rig: &Rig, shape: Shape) -> Result<(Agent, Duration)> {
    match fs::remove_dir_all(rig.path("bpf/sekisho")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // The kernel frees large tables a moment later, on its own threads.
    thread::sleep(Duration::from_millis(300));
    let start = clock::instant();
    let agent = subject::start_agent(rig, shape)?;
    Ok((agent, start.elapsed()))
}

fn boot() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into())
}

fn held(status: &Status) -> u64 {
    status.grants_v4.used + status.grants_v6.used
}

/// Asks all the time, before and while everything ends.
fn expire(agent: &Agent, ends: Duration, figures: &mut Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = agent.client();
    let begin = ends.saturating_sub(Duration::from_millis(100));
    ensure!(
        boot()? < begin,
        "the grants ended before the agent was ready; this machine is too slow for the bench"
    );
    let quiet = longest(&runtime, &client, |_| Ok(boot()? >= begin))?;
    figures.quiet.push(quiet.as_secs_f64() * 1e3);
    let mut gone = None;
    let pause = longest(&runtime, &client, |status| {
        let now = boot()?;
        let all = held(status) == 0;
        if gone.is_none() && (all || now > ends + PATIENCE) {
            gone = Some(now);
            figures.left = figures.left.max(held(status));
        }
        Ok(gone.is_some_and(|gone| now > gone + AFTER))
    })?;
    figures.pause.push(pause.as_secs_f64() * 1e3);
    let swept = gone.unwrap_or_default().saturating_sub(ends);
    figures.sweep.push(swept.as_secs_f64());
    Ok(())
}

/// Asks for the status until `enough`; the longest an answer took.
fn longest(
    runtime: &Runtime,
    client: &Client,
    mut enough: impl FnMut(&Status) -> Result<bool>,
) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    loop {
        let asked = clock::instant();
        let status = runtime.block_on(client.status())?;
        longest = longest.max(asked.elapsed());
        if enough(&status)? {
            return Ok(longest);
        }
        thread::sleep(PAUSE);
    }
}

fn rows(options: &Options, figures: Figures) -> Vec<Row> {
    let many = options.sizes.many;
    let sweep = Row::new(
        PART,
        "sweep",
        "from their end until none is left",
        "s",
        figures.sweep,
    );
    vec![
        Row::new(
            PART,
            "start-empty",
            "start of an agent without grants, to its first answer",
            "s",
            figures.empty,
        ),
        Row::new(
            PART,
            "start",
            format!("the same with {many} grants restored"),
            "s",
            figures.start,
        ),
        Row::new(
            PART,
            "restore",
            format!("of that, loading the {many} grants"),
            "s",
            figures.restore,
        )
        .target(Target::AtMost(1.0)),
        Row::new(
            PART,
            "pause-quiet",
            "longest answer of the API while nothing ends",
            "ms",
            figures.quiet,
        ),
        Row::new(
            PART,
            "pause-sweep",
            format!("longest answer of the API while {many} grants end"),
            "ms",
            figures.pause,
        )
        .target(Target::AtMost(10.0)),
        match figures.left {
            0 => sweep,
            left => sweep.noted(format!("at least: up to {left} were left then")),
        },
    ]
}
