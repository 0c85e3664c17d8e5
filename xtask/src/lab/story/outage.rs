//! The agent dies, comes back, and is away at a deadline. The filter keeps its promises alone.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::{Stage, milliseconds};
use crate::{
    clock,
    lab::{config, daemons, picture, process},
    net::Namespace,
    traffic::{self, FlowReport},
};

/// Datagrams a second of every flow here.
const RATE: u32 = 1000;

/// A flow from one machine to the echo service, on a thread of its own.
fn flow(
    from: &Namespace,
    to: std::net::SocketAddr,
    length: Duration,
) -> thread::JoinHandle<Result<FlowReport>> {
    let from = from.clone();
    thread::spawn(move || from.inside(|| traffic::flow(to, RATE, length))?)
}

fn result(flow: thread::JoinHandle<Result<FlowReport>>) -> Result<FlowReport> {
    flow.join().ok().context("a flow's thread panicked")?
}

/// The granted flow and the neighbour's, while something happens to the agent.
fn through<T>(
    stage: &Stage<'_>,
    length: Duration,
    event: impl FnOnce() -> Result<T>,
) -> Result<(T, FlowReport)> {
    let to = stage.at(0, config::ECHO)?;
    let granted = flow(&stage.client, to, length);
    let stranger = flow(&stage.neighbour, to, length);
    thread::sleep(Duration::from_millis(500));
    let happened = event();
    let (granted, stranger) = (result(granted)?, result(stranger)?);
    let happened = happened?;
    ensure!(
        stranger.sent > 500,
        "the neighbour hardly tried: {stranger:?}"
    );
    ensure!(
        stranger.returned == 0,
        "the neighbour was let in: {stranger:?}"
    );
    ensure!(
        granted.lost() == 0,
        "the granted flow lost packets: {granted:?}"
    );
    ensure!(
        granted.sent > 500,
        "the granted flow hardly ran: {granted:?}"
    );
    Ok((happened, granted))
}

pub(super) fn killed(stage: &mut Stage<'_>) -> Result<String> {
    let agent = process::find(daemons::AGENT).context("no agent is running")?;
    let ((), granted) = through(stage, Duration::from_secs(3), || {
        agent.signal(Signal::SIGKILL);
        ensure!(
            agent.gone_within(Duration::from_secs(2)),
            "the agent survived -9"
        );
        Ok(())
    })?;
    ensure!(stage.sekisho(&["status"]).is_err(), "a dead agent answered");
    Ok(format!(
        "{} packets sent and {} returned while it died and was dead; the neighbour: 0 of as many",
        picture::grouped(granted.sent),
        picture::grouped(granted.returned)
    ))
}

pub(super) fn restarted(stage: &mut Stage<'_>) -> Result<String> {
    let (took, granted) = through(stage, Duration::from_secs(4), || {
        let start = clock::instant();
        daemons::start_agent(stage.lab)?;
        Ok(start.elapsed())
    })?;
    let status: serde_json::Value = serde_json::from_str(&stage.sekisho(&["--json", "status"])?)?;
    ensure!(
        status.get("took_over") == Some(&serde_json::Value::Bool(true)),
        "the agent did not take over the running filter: {status}"
    );
    Ok(format!(
        "answers after {}; {} packets sent, {} lost; none of the neighbour's let in",
        milliseconds(took),
        picture::grouped(granted.sent),
        granted.lost()
    ))
}

/// The neighbour gets three seconds from an operator, and nobody is there to take them back.
pub(super) fn expiry(stage: &mut Stage<'_>) -> Result<String> {
    let agent = process::find(daemons::AGENT).context("no agent is running")?;
    let source = stage.lab.addresses.neighbour_v4.clone();
    let to = stage.at(0, config::ECHO)?;
    let start = clock::instant();
    stage.sekisho(&[
        "grant",
        "--source",
        &source,
        "--service",
        "echo",
        "--user",
        "carol",
        "--for",
        "3s",
    ])?;
    let granted = start.elapsed();
    agent.stop();
    ensure!(!agent.is_alive(), "the agent did not stop");
    let before = start.elapsed();
    let report = result(flow(&stage.neighbour, to, Duration::from_secs(5)))?;
    let last = report
        .last_after_ms
        .context("nothing passed while the grant was open")?;
    let ended = before + Duration::from_millis(last);
    let earliest = Duration::from_millis(2900);
    let latest = granted + Duration::from_millis(3300);
    ensure!(ended >= earliest, "the grant ended early, after {ended:?}");
    ensure!(
        ended <= latest,
        "the grant outlived its deadline: {ended:?}"
    );
    ensure!(
        stage.sekisho(&["status"]).is_err(),
        "a stopped agent answered"
    );
    daemons::start_agent(stage.lab)?;
    let expired = picture::packets(stage.lab, "Expired")?;
    ensure!(expired > 0, "no packet was dropped as expired");
    Ok(format!(
        "granted for 3 s, last packet after {}; {} later ones dropped by the kernel alone",
        milliseconds(ended),
        picture::grouped(expired)
    ))
}
