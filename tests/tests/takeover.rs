//! The agent comes and goes, and the filter stays: killed, stopped, restarted, reconfigured,
//! and what it refuses to start on.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    programs::{Xdp, xdp::XdpMode},
};
use tests::{
    Agent, Rig,
    agent::refused_start,
    rig::{Family, SHUT, must_be_open, must_be_shut, replaced},
    story::{nothing_lost_nobody_in, under_traffic},
    tools::{self, both},
};
use xtask::lab::OUTER;

#[test]
fn killed_agent_leaves_the_filter_in_force() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    let ((), granted, stranger) =
        under_traffic(&rig, Duration::from_millis(1500), || agent.daemon.kill())?;
    nothing_lost_nobody_in(&granted, &stranger)
}

#[test]
fn stopped_agent_leaves_the_filter_in_force() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    let (code, granted, stranger) =
        under_traffic(&rig, Duration::from_millis(1500), || agent.daemon.stop())?;
    ensure!(
        code == Some(0),
        "stopped with {code:?}:\n{}",
        agent.daemon.log()
    );
    nothing_lost_nobody_in(&granted, &stranger)
}

#[test]
fn restarted_agent_takes_over_without_a_gap() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut first = Agent::start(&rig)?;
    first.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    let before = first.count("Granted")?;
    first.daemon.kill()?;
    let (second, granted, stranger) =
        under_traffic(&rig, Duration::from_secs(3), || Agent::start(&rig))?;
    nothing_lost_nobody_in(&granted, &stranger)?;
    let status = second.status()?;
    ensure!(status.took_over, "{status:?}");
    ensure!(
        status.holders == 1 && status.grants_v4.used == 1,
        "{status:?}"
    );
    ensure!(second.count("Granted")? > before, "the counters began anew");
    Ok(())
}

/// A deadline passes while nobody is there; the one who comes back must not open it again.
#[test]
fn a_grant_that_ended_meanwhile_stays_ended() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 2)?;
    agent.daemon.kill()?;
    let web = rig.server(Family::V4, 80);
    must_be_open(&rig.layout.client, web)?;
    thread::sleep(Duration::from_millis(2100));
    must_be_shut(&rig.layout.client, web)?;
    let agent = Agent::start(&rig)?;
    must_be_shut(&rig.layout.client, web)?;
    ensure!(agent.status()?.holders == 0);
    Ok(())
}

/// The map is lost with the pins (a reboot), the ledger is not.
#[test]
fn grants_survive_a_reboot_by_the_ledger() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    agent.daemon.kill()?;
    nix::mount::umount(&rig.path("bpf"))?;
    let web = rig.server(Family::V4, 80);
    must_be_open(&rig.layout.neighbour, web).context("without pins the filter is gone")?;
    tests::rig::mount_bpf(&rig.path("bpf"))?;
    let agent = Agent::start(&rig)?;
    must_be_open(&rig.layout.client, web)?;
    must_be_shut(&rig.layout.neighbour, web)?;
    ensure!(!agent.status()?.took_over, "there was nothing to take over");
    Ok(())
}

#[test]
fn detach_removes_the_filter_on_purpose_only() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let web = rig.server(Family::V4, 80);
    let asked = agent.cli(&["detach"])?;
    ensure!(
        !asked.status.success(),
        "detach without a yes must do nothing:\n{}",
        both(&asked)
    );
    must_be_shut(&rig.layout.client, web)?;
    agent.cli_ok(&["detach", "--yes"])?;
    must_be_open(&rig.layout.client, web)
}

#[test]
fn a_foreign_program_on_the_interface_is_respected() -> Result<()> {
    let rig = Rig::gateway()?;
    let object = std::process::Command::new(tools::sekisho()?)
        .arg("kernel-object")
        .output()?;
    ensure!(object.status.success(), "{}", both(&object));
    let held = rig.layout.gate.inside(|| -> Result<Ebpf> {
        let mut ebpf = Ebpf::load(&object.stdout)?;
        let (_, program) = ebpf
            .programs_mut()
            .find(|(_, program)| matches!(program, aya::programs::Program::Xdp(_)))
            .context("no XDP program in the object")?;
        let program: &mut Xdp = program.try_into()?;
        program.load()?;
        program.attach(OUTER, XdpMode::Driver)?;
        Ok(ebpf)
    })??;
    let output = refused_start(&rig, &rig.agent_config())?;
    let text = both(&output);
    ensure!(!output.status.success(), "{text}");
    ensure!(
        text.contains(OUTER) && text.contains("XDP"),
        "says nothing of use:\n{text}"
    );
    drop(held);
    Agent::start(&rig).map(drop)
}

#[test]
fn a_second_agent_on_the_same_interface_is_refused() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let folder = rig.folder().display().to_string();
    let config = replaced(
        &rig.agent_config(),
        &format!("{folder}/agent.sock"),
        "/dev/null/x",
    )?;
    fs::write(
        rig.path("second.toml"),
        replaced(&config, "/dev/null/x", &format!("{folder}/second.sock"))?,
    )?;
    let output = tests::agent::refused_start_file(&rig.layout.gate, &rig.path("second.toml"))?;
    ensure!(
        !output.status.success(),
        "two agents run:\n{}",
        both(&output)
    );
    let output = refused_start(&rig, &rig.agent_config())?;
    ensure!(
        !output.status.success(),
        "two agents on one socket:\n{}",
        both(&output)
    );
    agent.status().context("the first one must not notice")?;
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 80))
}

/// Changes the configuration's text, and expects a refusal that names something.
fn refused(rig: &Rig, from: &str, to: &str, names: &str) -> Result<()> {
    let output = refused_start(rig, &replaced(&rig.agent_config(), from, to)?)?;
    let text = both(&output);
    ensure!(
        !output.status.success(),
        "started although it must not:\n{text}"
    );
    ensure!(text.contains(names), "does not name {names:?}:\n{text}");
    ensure!(!text.contains("panicked"), "{text}");
    Ok(())
}

#[test]
fn an_interface_without_native_xdp_is_refused_and_generic_is_offered() -> Result<()> {
    let rig = Rig::gateway()?;
    refused(&rig, "[\"outer\"]", "[\"lo\"]", "generic")?;
    let config = replaced(
        &rig.agent_config(),
        "interfaces = [\"outer\"]",
        "interfaces = [\"lo\"]\nxdp_mode = \"generic\"",
    )?;
    let status = Agent::start_with(&rig, &config)?.status()?;
    let mode = status.interfaces.first().context("no interface")?.xdp_mode;
    ensure!(mode == agent_api::XdpMode::Generic, "{status:?}");
    Ok(())
}

#[test]
fn bpffs_that_is_not_mounted_is_refused() -> Result<()> {
    let rig = Rig::gateway()?;
    nix::mount::umount(&rig.path("bpf"))?;
    let path = rig.path("bpf").to_string_lossy().into_owned();
    let output = refused_start(&rig, &rig.agent_config())?;
    let text = both(&output);
    ensure!(!output.status.success(), "{text}");
    ensure!(
        text.contains(&path) && text.contains("mount"),
        "says nothing of use:\n{text}"
    );
    ensure!(
        fs::read_dir(rig.path("bpf"))?.next().is_none(),
        "files were left in {path}"
    );
    Ok(())
}

#[test]
fn without_root_it_says_so() -> Result<()> {
    let rig = Rig::gateway()?;
    fs::write(rig.path("agent.toml"), rig.agent_config())?;
    let mut command = tests::portal::as_portal(&rig.layout.gate, &tools::sekisho()?)?;
    let output = command
        .arg("run")
        .arg("--config")
        .arg(rig.path("agent.toml"))
        .output()?;
    let text = both(&output);
    ensure!(!output.status.success(), "{text}");
    ensure!(
        text.contains("root") || text.contains("CAP_BPF"),
        "says nothing of use:\n{text}"
    );
    Ok(())
}

/// A flow to a service that stays, while the other services change around it again and again.
#[test]
fn reload_is_atomic_for_running_traffic() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "echo", "alice", 300)?;
    let first = rig.agent_config();
    let second = replaced(&first, "tcp/22", "tcp/2222")?;
    let (reloads, granted, stranger) = under_traffic(&rig, Duration::from_secs(3), || {
        let mut reloads = 0;
        for round in 0..20 {
            let text = if round % 2 == 0 { &second } else { &first };
            fs::write(&agent.config, text)?;
            agent.cli_ok(&["reload"])?;
            reloads += 1;
        }
        Ok(reloads)
    })?;
    ensure!(reloads == 20);
    nothing_lost_nobody_in(&granted, &stranger)
}

#[test]
fn a_service_that_goes_away_closes_its_grants() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let ssh = rig.server(Family::V4, 22);
    agent.grant(rig.source(Family::V4), "ssh", "bob", 300)?;
    must_be_open(&rig.layout.client, ssh)?;
    let whole = rig.agent_config();
    let (start, rest) = whole
        .split_once("[[service]]\nname = \"ssh\"")
        .context("no ssh")?;
    let (_, rest) = rest
        .split_once("[[service]]")
        .context("nothing after ssh")?;
    fs::write(&agent.config, format!("{start}[[service]]{rest}"))?;
    let applied = agent.cli_json(&["reload"])?;
    ensure!(
        applied.get("closed") == Some(&serde_json::json!(1)),
        "{applied}"
    );
    must_be_shut(&rig.layout.client, ssh)?;
    ensure!(agent.status()?.holders == 0);
    Ok(())
}

#[test]
fn a_bad_configuration_on_reload_changes_nothing() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    fs::write(
        &agent.config,
        replaced(&rig.agent_config(), "[filter]", "[filter]\nfoo = 1")?,
    )?;
    let output = agent.cli(&["reload"])?;
    ensure!(
        !output.status.success(),
        "a bad configuration was taken:\n{}",
        both(&output)
    );
    ensure!(
        both(&output).contains("foo"),
        "does not name the key:\n{}",
        both(&output)
    );
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
    must_be_shut(&rig.layout.neighbour, rig.server(Family::V4, 80))
}

#[test]
fn observe_mode_passes_and_counts_what_it_would_drop() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let web = rig.server(Family::V4, 80);
    must_be_shut(&rig.layout.client, web)?;
    agent.cli_ok(&["mode", "observe"])?;
    let dropped = agent.count("NoGrant")?;
    must_be_open(&rig.layout.client, web)?;
    ensure!(agent.count("NoGrant")? == dropped, "observe mode dropped");
    let would = agent.would_drop()?;
    ensure!(
        would.get("NoGrant").is_some_and(|count| *count > 0),
        "{would:?}"
    );

    // What an operator closed on purpose stays closed.
    agent.cli_ok(&["deny", "192.0.2.10/32", "--for", "1h"])?;
    must_be_shut(&rig.layout.client, web)?;
    agent.cli_ok(&["mode", "enforce"])?;
    must_be_shut(&rig.layout.neighbour, web)
}

/// The mode is the ledger's, not the configuration's, once somebody has set it.
#[test]
fn the_mode_survives_a_restart() -> Result<()> {
    let rig = Rig::gateway()?;
    let mut agent = Agent::start(&rig)?;
    agent.cli_ok(&["mode", "observe"])?;
    agent.daemon.stop()?;
    ensure!(Agent::start(&rig)?.status()?.mode == agent_api::Mode::Observe);
    Ok(())
}

#[test]
fn a_full_table_refuses_the_next_grant_and_keeps_the_others() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let config = replaced(&rig.agent_config(), "capacity = 1024", "capacity = 16")?;
    let agent = Agent::start_with(&rig, &config)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let mut refusal = None;
    for last in 20..60_u8 {
        if let Err(error) = agent.grant([192, 0, 2, last].into(), "web", "alice", 300) {
            refusal = Some((last, format!("{error:#}")));
            break;
        }
    }
    let (last, text) = refusal.context("a table of 16 took 40 grants")?;
    ensure!(last >= 35, "full after {last}: {text}");
    ensure!(text.contains("full") || text.contains("capacity"), "{text}");
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
    agent
        .grant([192, 0, 2, 20].into(), "web", "alice", 300)
        .context("one that is there")?;
    agent.close_source([192, 0, 2, 21].into())?;
    agent
        .grant([192, 0, 2, 99].into(), "web", "alice", 300)
        .context("room again")?;
    Ok(())
}

/// What is on disk cannot be read: refuse, and leave both the file and the filter as they are.
#[test]
fn a_corrupt_ledger_is_refused_and_kept() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    agent.daemon.kill()?;
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(rig.path(&format!("ledger.sqlite{suffix}"))));
    }
    fs::write(rig.path("ledger.sqlite"), vec![0x5a; 8192])?;
    let output = refused_start(&rig, &rig.agent_config())?;
    let text = both(&output);
    ensure!(!output.status.success(), "{text}");
    ensure!(text.contains("ledger"), "says nothing of use:\n{text}");
    ensure!(
        fs::read(rig.path("ledger.sqlite"))? == vec![0x5a; 8192],
        "the evidence was touched"
    );
    must_be_shut(&rig.layout.neighbour, rig.server(Family::V4, 80))
}

#[test]
fn sighup_reloads() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let text = replaced(
        &rig.agent_config(),
        "198.51.100.10 tcp/80",
        "198.51.100.10 tcp/8080",
    )?;
    fs::write(&agent.config, text)?;
    agent.daemon.signal(nix::sys::signal::Signal::SIGHUP)?;
    let web = rig.server(Family::V4, 80);
    for _ in 0..20 {
        if must_be_shut(&rig.layout.client, web).is_ok() {
            ensure!(agent.status()?.services > 0);
            return Ok(());
        }
        thread::sleep(SHUT);
    }
    anyhow::bail!("SIGHUP changed nothing:\n{}", agent.daemon.log())
}
