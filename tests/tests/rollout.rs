//! Trying another configuration on real packets: shown, put in force, confirmed or undone.

use std::{fs, os::unix::fs::PermissionsExt as _, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, must_be_open, must_be_shut, replaced},
    tools::{self, both},
};

/// The shortest trial there is.
const TRIAL: &str = "5s";

/// The usual configuration with `web` open to everybody, as `new.toml`.
fn web_public(rig: &Rig) -> Result<String> {
    let text = replaced(
        &rig.agent_config(),
        "groups = [\"staff\"]\n\n[[service]]\nname = \"ssh\"",
        "kind = \"public\"\n\n[[service]]\nname = \"ssh\"",
    )?;
    fs::write(rig.path("new.toml"), &text)?;
    Ok(rig.path("new.toml").display().to_string())
}

/// Waits until a stranger's way to the web is shut again.
fn shut_again(rig: &Rig) -> Result<()> {
    let web = rig.server(Family::V4, 80);
    for _ in 0..40 {
        if must_be_shut(&rig.layout.neighbour, web).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    must_be_shut(&rig.layout.neighbour, web).context("it was not rolled back in time")
}

#[test]
fn a_configuration_nobody_confirms_is_undone_and_a_confirmed_one_stays() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    fs::set_permissions(&agent.config, fs::Permissions::from_mode(0o640))?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let (new, web) = (web_public(&rig)?, rig.server(Family::V4, 80));
    must_be_shut(&rig.layout.neighbour, web)?;

    let shown = agent.cli_ok(&["apply", "--dry-run", "--confirm-within", TRIAL, &new])?;
    for words in ["service web", "becomes public", "alice", "rollback"] {
        ensure!(shown.contains(words), "does not say {words:?}: {shown}");
    }
    must_be_shut(&rig.layout.neighbour, web)?;

    let said = agent.cli_ok(&["apply", "--confirm-within", TRIAL, &new])?;
    ensure!(said.contains("sekisho confirm"), "{said}");
    must_be_open(&rig.layout.neighbour, web)?;
    ensure!(fs::read_to_string(&agent.config)? == rig.agent_config());
    ensure!(agent.status()?.trial.is_some());
    let refused = both(&agent.cli(&["reload"])?);
    ensure!(refused.contains("on trial"), "{refused}");
    shut_again(&rig)?;
    // Its grant ended when web became public, and is not brought back.
    must_be_shut(&rig.layout.client, web)?;

    agent.cli_ok(&["apply", "--confirm-within", TRIAL, &new])?;
    let said = agent.cli_ok(&["confirm"])?;
    ensure!(said.contains("agent.toml is written"), "{said}");
    thread::sleep(Duration::from_secs(6));
    must_be_open(&rig.layout.neighbour, web)?;
    ensure!(fs::read_to_string(&agent.config)? == fs::read_to_string(&new)?);
    ensure!(fs::metadata(&agent.config)?.permissions().mode() & 0o777 == 0o640);
    let audit = agent.cli_ok(&["--json", "audit"])?;
    for kind in ["\"config\"", "\"rollback\"", "\"confirm\""] {
        ensure!(audit.contains(kind), "no {kind} in {audit}");
    }
    agent.daemon.kill()?;
    let _agent = Agent::start_file(&rig, &rig.path("agent.toml"), &rig.path("agent.sock"))?;
    must_be_open(&rig.layout.neighbour, web)
}

#[test]
fn an_agent_killed_during_a_trial_still_rolls_back() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    let (new, web) = (web_public(&rig)?, rig.server(Family::V4, 80));
    let back = |rig: &Rig| Agent::start_file(rig, &rig.path("agent.toml"), &rig.path("agent.sock"));

    // Back before the time is up: the trial goes on to its end.
    agent.cli_ok(&["apply", "--confirm-within", "8s", &new])?;
    agent.daemon.kill()?;
    let mut agent = back(&rig)?;
    must_be_open(&rig.layout.neighbour, web)?;
    shut_again(&rig)?;

    // Back too late; and the operator had edited the agent's own file.
    let own = agent.config.display().to_string();
    fs::copy(&new, &own)?;
    agent.cli_ok(&["apply", "--confirm-within", TRIAL, &own])?;
    agent.daemon.kill()?;
    thread::sleep(Duration::from_secs(6));
    let agent = back(&rig)?;
    must_be_shut(&rig.layout.neighbour, web)?;
    ensure!(agent.status()?.trial.is_none());
    ensure!(fs::read_to_string(&own)? == rig.agent_config());
    ensure!(fs::read_to_string(rig.path("agent.toml.rolled-back"))? == fs::read_to_string(&new)?);
    Ok(())
}

#[test]
fn rollback_by_hand_takes_effect_at_once() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let (new, web) = (web_public(&rig)?, rig.server(Family::V4, 80));
    let refused = both(&agent.cli(&["rollback"])?);
    ensure!(
        refused.contains("no configuration is on trial"),
        "{refused}"
    );
    agent.cli_ok(&["apply", "--confirm-within", "1h", &new])?;
    must_be_open(&rig.layout.neighbour, web)?;
    agent.cli_ok(&["rollback"])?;
    must_be_shut(&rig.layout.neighbour, web)
}

/// As over SSH to the server behind the gate, at a port that no service names.
#[test]
fn what_cuts_the_operators_own_connection_is_refused_unless_forced() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let open = replaced(
        &rig.agent_config(),
        "capacity = 1024",
        "capacity = 1024\nother_ports = \"pass\"",
    )?;
    let agent = Agent::start_with(&rig, &open)?;
    fs::write(rig.path("new.toml"), rig.agent_config())?;
    let new = rig.path("new.toml").display().to_string();
    let server = rig.server(Family::V4, 2222).ip();
    let run = |arguments: &[&str], port: u16| -> Result<(bool, String)> {
        let mut command = rig.layout.gate.command(tools::sekisho()?);
        command
            .env(
                "SSH_CONNECTION",
                format!("192.0.2.77 50022 {server} {port}"),
            )
            .arg("--socket")
            .arg(&agent.socket)
            .args(arguments);
        let output = command.output()?;
        Ok((output.status.success(), both(&output)))
    };
    let before = agent.cli_json(&["status"])?;
    for (port, words) in [(2222, "no service names"), (22, "service `ssh`")] {
        let (done, said) = run(&["apply", &new], port)?;
        ensure!(!done && said.contains("your own connection"), "{said}");
        ensure!(said.contains(words) && said.contains("--force"), "{said}");
        let (done, said) = run(&["check", "--config", &new], port)?;
        ensure!(done && said.contains(words), "{said}");
    }
    ensure!(fs::read_to_string(&agent.config)? == open && before == agent.cli_json(&["status"])?);
    // The agent looks itself: one that is asked without the command's own look refuses, too.
    let request = serde_json::json!({
        "text": rig.agent_config(), "name": "new.toml",
        "connection": {"client": "192.0.2.77", "server": server, "port": 2222},
    });
    let request = serde_json::from_value(request)?;
    let refused = tools::block_on(agent.client().apply_config(&request))?;
    ensure!(refused.is_err_and(|error| error.to_string().contains("your own connection")));
    let (done, said) = run(&["apply", "--force", &new], 2222)?;
    ensure!(done, "{said}");
    ensure!(fs::read_to_string(&agent.config)? == rig.agent_config());
    Ok(())
}
