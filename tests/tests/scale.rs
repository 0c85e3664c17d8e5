//! A million grants: restored from the ledger, taken over from a running filter, revoked at once,
//! in little memory. Times here are of a debug build on a busy machine, so their bounds only catch
//! what is wrong by a factor; the memory bound is the real one.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, SqliteConnection};
use tests::{
    Agent, Rig,
    rig::{Family, replaced},
    tools::block_on,
};
use xtask::clock;

const GRANTS: u64 = 1_000_000;
/// Most resident memory of the agent, ever, with all of them.
const MEMORY_KIB: u64 = 150 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes holders for 10.0.0.0 onwards, all with the same deadline.
fn fill(rig: &Rig) -> Result<()> {
    let url = format!("sqlite://{}", rig.path("ledger.sqlite").display());
    block_on(async {
        let mut ledger = SqliteConnection::connect(&url).await?;
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) \
             INSERT INTO holders SELECT unhex(printf('0a%06x', i)), 1, 'user' || i, 'pwd otp', \
             $2, 'portal', $2 + 3600000, $3, 0 FROM n",
        )
        .bind(i64::try_from(GRANTS)?)
        .bind(i64::try_from(clock::unix_seconds() * 1_000)?)
        .bind(i64::MAX / 2)
        .execute(&mut ledger)
        .await?;
        ledger.close().await?;
        Ok(())
    })?
}

fn highest_memory_kib(agent: &Agent) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.daemon.pid()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Starts the agent and looks at what it holds.
fn start(rig: &Rig, config: &str, what: &str) -> Result<Agent> {
    let began = clock::instant();
    let agent = Agent::start_with(rig, config)?;
    let took = began.elapsed();
    let memory = highest_memory_kib(&agent)?;
    println!("{what}: {GRANTS} grants in force after {took:?}, at most {memory} KiB");
    ensure!(
        agent.status()?.grants_v4.used == GRANTS,
        "not all grants are counted"
    );
    let last = agent.cli_json(&["list", "--source", "10.15.66.63"])?;
    ensure!(
        last.to_string().contains("\"in_kernel\":true"),
        "the last one is not in the kernel: {last}"
    );
    ensure!(took < PATIENCE, "{what} took {took:?}");
    ensure!(memory < MEMORY_KIB, "{what} took {memory} KiB");
    Ok(agent)
}

#[test]
fn a_million_grants_are_restored_taken_over_and_revoked() -> Result<()> {
    let rig = Rig::gateway()?;
    let config = replaced(&rig.agent_config(), "capacity = 1024", "capacity = 1048576")?;
    // The first start makes the ledger and gives the service its number.
    drop(Agent::start_with(&rig, &config)?);
    fill(&rig)?;
    drop(start(&rig, &config, "restore")?);
    let agent = start(&rig, &config, "take-over")?;
    let mut times = Vec::new();
    for last in 1..=21 {
        let source = format!("10.0.0.{last}");
        let closed = agent.cli_json(&["revoke", "--source", &source])?;
        ensure!(
            closed.get("count").and_then(serde_json::Value::as_u64) == Some(1),
            "{closed}"
        );
        times.push(
            closed
                .get("map_changed_after_us")
                .and_then(serde_json::Value::as_u64)
                .context("time")?,
        );
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().context("median")?;
    println!("revocation, request to map: median {median} µs of {times:?}");
    ensure!(median < 20_000, "revocation takes {median} µs");
    ensure!(agent.status()?.grants_v4.used == GRANTS - 21);
    ensure!(
        agent
            .grant(rig.source(Family::V4), "web", "alice", 60)?
            .in_kernel
    );
    // All the rest by one verb; the rows go afterwards, but nothing of them is open any more.
    let began = clock::instant();
    let closed = agent.cli_json(&["revoke", "--user", "user500"])?;
    ensure!(closed.get("count").and_then(serde_json::Value::as_u64) == Some(1));
    let closed = agent.cli_json(&["revoke", "--all"])?;
    println!("all revoked after {:?}", began.elapsed());
    let count = closed.get("count").and_then(serde_json::Value::as_u64);
    ensure!(count == Some(GRANTS - 21), "{count:?} were closed");
    let status = agent.status()?;
    ensure!((status.grants_v4.used, status.holders) == (0, 0));
    let left = agent.cli_json(&["list", "--source", "10.15.66.63"])?;
    ensure!(
        !left.to_string().contains("10.15.66.63"),
        "closed, and still listed: {left}"
    );
    // Killed right now and started again, nothing comes back, and new grants open.
    drop(agent);
    let agent = Agent::start_with(&rig, &config)?;
    ensure!(
        agent.status()?.grants_v4.used == 0,
        "closed grants came back"
    );
    ensure!(
        agent
            .grant(rig.source(Family::V4), "web", "alice", 60)?
            .in_kernel
    );
    Ok(())
}
