//! The command line: tables for people, JSON for programs, exit codes for scripts.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    rig::Family,
    tools::{self, both},
};

/// An agent with something in every table.
fn busy(rig: &Rig) -> Result<Agent> {
    let agent = Agent::start(rig)?;
    for (family, user) in [(Family::V4, "alice"), (Family::V6, "carol")] {
        agent.grant(rig.source(family), "web", user, 3600)?;
        agent.grant(rig.neighbour_source(family), "ssh", user, 60)?;
    }
    let longest = "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe".parse()?;
    agent.grant(
        longest,
        "echo",
        "a-rather-long-user-name@example.com",
        86_400,
    )?;
    agent.cli_ok(&[
        "deny",
        "2001:db8:ffff:ffff::/64",
        "--for",
        "1h",
        "--reason",
        "a test",
    ])?;
    Ok(agent)
}

/// The audit is not a table but lines of a log, as long as what they tell.
#[test]
fn tables_fit_eighty_columns() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = busy(&rig)?;
    for arguments in [
        &["status"][..],
        &["list"],
        &["list", "--denied"],
        &["counters"],
    ] {
        let text = agent.cli_ok(arguments)?;
        ensure!(
            !text.trim().is_empty(),
            "sekisho {arguments:?} printed nothing"
        );
        for line in text.lines() {
            let width = line.chars().count();
            ensure!(
                width <= 80,
                "sekisho {arguments:?}: {width} columns:\n{line}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_reading_verb_speaks_json() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = busy(&rig)?;
    let status = agent.cli_json(&["status"])?;
    ensure!(status.get("mode") == Some(&"enforce".into()), "{status}");
    let list = agent.cli_json(&["list"])?.to_string();
    ensure!(
        list.contains("alice") && list.contains("192.0.2.10"),
        "{list}"
    );
    let counters = agent.cli_json(&["counters"])?;
    ensure!(
        counters.get("counters").is_some_and(|list| list.is_array()),
        "{counters}"
    );
    let denied = agent.cli_json(&["list", "--denied"])?.to_string();
    ensure!(denied.contains("2001:db8:ffff:ffff::/64"), "{denied}");
    // One record a line, so that it can be piped while it grows.
    let audit = agent.cli_ok(&["--json", "audit"])?;
    ensure!(audit.contains("\"hash\""), "{audit}");
    Ok(())
}

#[test]
fn list_filters_by_user_source_and_service() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = busy(&rig)?;
    for (arguments, has, has_not) in [
        (["list", "--user", "alice"], "192.0.2.10", "2001:db8:1::10"),
        (["list", "--service", "ssh"], "192.0.2.11", "192.0.2.10"),
        (["list", "--source", "192.0.2.10"], "web", "192.0.2.11"),
    ] {
        let text = agent.cli_json(&arguments)?.to_string();
        ensure!(
            text.contains(has) && !text.contains(has_not),
            "{arguments:?}: {text}"
        );
    }
    Ok(())
}

#[test]
fn grant_and_revoke_say_what_they_did() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let said = agent.cli_ok(&[
        "grant",
        "--source",
        "192.0.2.10",
        "--service",
        "web",
        "--user",
        "alice",
        "--for",
        "5m",
    ])?;
    ensure!(
        said.contains("192.0.2.10") && said.contains("web"),
        "{said}"
    );
    let said = agent.cli_ok(&["revoke", "--service", "web"])?;
    ensure!(
        said.contains("alice") && said.contains("192.0.2.10"),
        "{said}"
    );
    agent.cli_ok(&[
        "grant",
        "--source",
        "192.0.2.10",
        "--service",
        "web",
        "--user",
        "a",
        "--for",
        "1h",
    ])?;
    agent.cli_ok(&["revoke", "--all"])?;
    ensure!(agent.status()?.holders == 0);
    Ok(())
}

#[test]
fn wrong_use_and_failures_have_exit_codes() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    for arguments in [
        &["grant", "--source", "192.0.2.10"][..],
        &[
            "grant",
            "--source",
            "nonsense",
            "--service",
            "web",
            "--user",
            "a",
            "--for",
            "5m",
        ],
        &[
            "grant",
            "--source",
            "192.0.2.10",
            "--service",
            "web",
            "--user",
            "a",
            "--for",
            "soon",
        ],
        &[
            "grant",
            "--source",
            "192.0.2.10",
            "--service",
            "nosuch",
            "--user",
            "a",
            "--for",
            "5m",
        ],
        &["revoke"],
        &["mode", "maybe"],
        &["deny", "192.0.2.0/33", "--for", "1h"],
        &["nosuchverb"],
    ] {
        let output = agent.cli(arguments)?;
        ensure!(
            !output.status.success(),
            "sekisho {arguments:?} succeeded:\n{}",
            both(&output)
        );
        ensure!(
            !output.stderr.is_empty(),
            "sekisho {arguments:?} said nothing"
        );
        ensure!(!both(&output).contains("panicked"), "{}", both(&output));
    }
    ensure!(agent.status()?.holders == 0);
    Ok(())
}

#[test]
fn without_an_agent_it_says_what_to_do() -> Result<()> {
    let mut command = Command::new(tools::sekisho()?);
    let output = command
        .args(["--socket", "/nonexistent/agent.sock", "status"])
        .output()?;
    let text = both(&output);
    ensure!(
        !output.status.success() && text.contains("/nonexistent/agent.sock"),
        "{text}"
    );
    ensure!(text.contains("sekisho run"), "{text}");
    Ok(())
}

#[test]
fn completions_and_the_kernel_object_need_no_agent() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(tools::sekisho()?)
            .args(["completions", shell])
            .output()?;
        ensure!(
            output.status.success() && both(&output).contains("revoke"),
            "{shell}"
        );
    }
    let output = Command::new(tools::sekisho()?)
        .arg("kernel-object")
        .output()?;
    ensure!(output.stdout.starts_with(b"\x7fELF"), "not an ELF object");
    Ok(())
}

/// `watch` goes on until it is ended; what happens meanwhile is on its output.
#[test]
fn watch_shows_events_live() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let log = rig.path("watch.log");
    let mut command = Command::new(tools::sekisho()?);
    command.arg("--socket").arg(&agent.socket).arg("watch");
    let watch = tools::Daemon::start("watch", command, log.clone())?;
    for _ in 0..100 {
        agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
        if fs::read_to_string(&log)?.contains("alice") {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    anyhow::bail!("watch showed nothing: {}", watch.log())
}

#[test]
fn audit_since_leaves_out_what_was_before() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let all = agent.cli_ok(&["--json", "audit"])?;
    ensure!(all.contains("alice"), "{all}");
    let none = agent.cli_ok(&["--json", "audit", "--since", "2099-01-01T00:00:00Z"])?;
    ensure!(!none.contains("alice"), "{none}");
    let output = agent.cli(&["audit", "--since", "yesterdayish"])?;
    ensure!(!output.status.success(), "{}", both(&output));
    Ok(())
}

#[test]
fn check_prints_nothing_bad_about_a_good_configuration() -> Result<()> {
    let rig = Rig::quiet()?;
    fs::write(rig.path("agent.toml"), rig.agent_config())?;
    let mut command = Command::new(tools::sekisho()?);
    let output = command
        .args(["check", "--config"])
        .arg(rig.path("agent.toml"))
        .output()?;
    ensure!(output.status.success(), "{}", both(&output));
    Ok(())
}

#[test]
fn status_names_interface_mode_and_fill() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = busy(&rig)?;
    let status = agent.status()?;
    let interface = status.interfaces.first().context("no interface")?;
    ensure!(interface.name == "outer" && interface.xdp_mode == agent_api::XdpMode::Native);
    ensure!(
        status.grants_v4.used == 2 && status.grants_v6.used == 3,
        "{status:?}"
    );
    ensure!(status.grants_v4.capacity == 1024, "{status:?}");
    let text = agent.cli_ok(&["status"])?;
    ensure!(text.contains("outer") && text.contains("native"), "{text}");
    Ok(())
}
