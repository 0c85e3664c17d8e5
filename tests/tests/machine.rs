//! Machines on which the agent cannot work, or not fully: a kernel that is too old, a disk that
//! is full or read-only, pins of another version, and the few capabilities its unit leaves it.

use std::{fs, io::Write as _, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    agent::refused_start_by,
    rig::{Family, must_be_open, must_be_shut, replaced},
    tools::both,
};
use xtask::{command, traffic};

/// Runs what follows with the mounts it makes, which nobody else sees.
fn private_mounts(script: &str) -> Vec<String> {
    let script = format!("{script} && exec \"$@\"");
    ["unshare", "--mount", "sh", "-c", &script, "sh"]
        .map(str::to_owned)
        .to_vec()
}

/// Starts by these programs, and expects a refusal that says each of these words.
fn refused(rig: &Rig, by: &[&str], words: &[&str]) -> Result<()> {
    fs::write(rig.path("agent.toml"), rig.agent_config())?;
    let output = refused_start_by(&rig.layout.gate, &rig.path("agent.toml"), by)?;
    let text = both(&output);
    ensure!(
        !output.status.success(),
        "started although it must not:\n{text}"
    );
    for word in words {
        ensure!(text.contains(word), "does not say {word:?}:\n{text}");
    }
    ensure!(!text.contains("panicked"), "{text}");
    // Nothing is half done.
    rig.serve()?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))
}

fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

#[test]
fn a_kernel_without_type_information_is_named() -> Result<()> {
    let by = private_mounts("mount -t tmpfs none /sys/kernel/btf");
    refused(&Rig::gateway()?, &words(&by), &["BTF"])
}

#[test]
fn a_kernel_that_is_too_old_is_named() -> Result<()> {
    // A personality of Linux in which it says of itself that it is 2.6.
    refused(
        &Rig::gateway()?,
        &["setarch", "--uname-2.6"],
        &["too old", "2.6"],
    )
}

#[test]
fn a_read_only_ledger_is_named() -> Result<()> {
    let rig = Rig::gateway()?;
    fs::create_dir(rig.path("ledger"))?;
    let config = replaced(
        &rig.agent_config(),
        "/ledger.sqlite",
        "/ledger/ledger.sqlite",
    )?;
    fs::write(rig.path("agent.toml"), config)?;
    let folder = rig.path("ledger").display().to_string();
    let script = format!("mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}");
    let by = private_mounts(&script);
    let output = refused_start_by(&rig.layout.gate, &rig.path("agent.toml"), &words(&by))?;
    let text = both(&output);
    ensure!(!output.status.success(), "{text}");
    ensure!(text.contains("ledger.sqlite"), "does not name it:\n{text}");
    rig.serve()?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80)).context("nothing is half done")
}

/// Nothing new opens, since the ledger comes first; but closing comes to the kernel all the same.
#[test]
fn on_a_full_disk_nothing_opens_and_everything_still_closes() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    fs::create_dir(rig.path("ledger"))?;
    let config = replaced(
        &rig.agent_config(),
        "/ledger.sqlite",
        "/ledger/ledger.sqlite",
    )?;
    fs::write(rig.path("agent.toml"), config)?;
    let folder = rig.path("ledger").display().to_string();
    let script = format!("mount -t tmpfs -o size=2m none {folder} && exec \"$@\"");
    let agent = Agent::start_by(&rig, "unshare", &["--mount", "sh", "-c", &script, "sh"])?;
    let source = rig.source(Family::V4);
    agent.grant(source, "web", "alice", 300)?;
    let web = rig.server(Family::V4, 80);
    must_be_open(&rig.layout.client, web)?;

    // The same folder as the agent sees it.
    let disk = format!("/proc/{}/root{folder}/fill", agent.daemon.pid());
    let mut fill = fs::File::create(&disk)?;
    while fill.write_all(&[0; 4096]).is_ok() {}
    let mut refusal = None;
    for last in 100..250_u8 {
        if let Err(error) = agent.grant([192, 0, 2, last].into(), "web", "alice", 300) {
            refusal = Some((last, format!("{error:#}")));
            break;
        }
    }
    let (last, text) = refusal.context("a full disk took 150 grants")?;
    ensure!(
        text.contains("disk") || text.contains("ledger"),
        "says nothing of use: {text}"
    );
    let held = agent.cli_json(&["list", "--source", &format!("192.0.2.{last}")])?;
    ensure!(
        !held.to_string().contains("alice"),
        "refused, and yet it is there: {held}"
    );

    // Whatever it answers: the door has to be shut.
    drop(agent.close_source(source));
    must_be_shut(&rig.layout.client, web)?;
    drop(fill);
    fs::remove_file(&disk)?;
    agent
        .grant(source, "web", "alice", 300)
        .context("room again")?;
    must_be_open(&rig.layout.client, web)
}

/// An update that changes what the maps hold: the old maps are not read, the grants come from
/// the ledger, and no packet sees a moment without a filter.
#[test]
fn pins_of_another_version_are_migrated_without_a_gap() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut old = Agent::start(&rig)?;
    old.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    old.daemon.kill()?;
    let pins = rig.path("bpf/sekisho");
    let version = fs::read_dir(&pins)?
        .flatten()
        .next()
        .context("nothing is pinned")?
        .path();
    fs::rename(&version, pins.join("v0"))?;

    let to = rig.server(Family::V4, 7);
    let flow = |from: &xtask::net::Namespace| {
        let from = from.clone();
        thread::spawn(move || from.inside(|| traffic::flow(to, 500, Duration::from_secs(3)))?)
    };
    let (granted, stranger) = (flow(&rig.layout.client), flow(&rig.layout.neighbour));
    thread::sleep(Duration::from_millis(300));
    let agent = Agent::start(&rig)?;
    let granted = granted.join().ok().context("a flow panicked")??;
    let stranger = stranger.join().ok().context("a flow panicked")??;
    ensure!(
        granted.lost() == 0,
        "the granted flow lost packets: {granted:?}"
    );
    ensure!(
        stranger.returned == 0,
        "a stranger was let in: {stranger:?}"
    );
    ensure!(
        version.exists() && !pins.join("v0").exists(),
        "not migrated"
    );
    ensure!(agent.status()?.took_over);
    Ok(())
}

/// What the unit leaves the agent is enough, and the unit leaves it no more than is listed here.
#[test]
fn the_units_capabilities_are_enough() -> Result<()> {
    let unit = fs::read_to_string(command::root().join("deploy/sekisho-agent.service"))?;
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let listed: Vec<_> = line
        .context("no bounding set")?
        .split_whitespace()
        .map(|name| name.trim_start_matches("CAP_").to_lowercase())
        .collect();
    let set = listed
        .iter()
        .fold("-all".to_owned(), |set, name| format!("{set},+{name}"));

    let rig = Rig::gateway()?;
    rig.serve()?;
    fs::write(rig.path("agent.toml"), rig.agent_config())?;
    let bounding = format!("--bounding-set={set}");
    let agent = Agent::start_by(&rig, "setpriv", &[&bounding, "--no-new-privs", "--"])?;
    let status = fs::read_to_string(format!("/proc/{}/status", agent.daemon.pid()))?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = u64::from_str_radix(effective.context("no CapEff")?.trim(), 16)?;
    ensure!(
        effective.count_ones() == u32::try_from(listed.len())?,
        "{effective:x}"
    );

    let source = rig.source(Family::V4);
    agent.grant(source, "web", "alice", 300)?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
    agent.close_source(source)?;
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 80))?;
    agent.cli_ok(&["reload"])?;
    agent.cli_ok(&["detach", "--yes"]).map(drop)
}
