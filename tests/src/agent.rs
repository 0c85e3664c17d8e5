//! The agent under test: `sekisho run` as a child process in the gate's namespace, its API and
//! its command line.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use agent_api::{Client, CloseRequest, Grant, GrantRequest, Status};
use anyhow::{Context as _, Result, ensure};
use xtask::net::Namespace;

use crate::{
    Rig,
    tools::{self, Daemon, block_on, both},
};

/// A running agent. Killed when dropped; its filter stays until the rig goes.
pub struct Agent {
    pub daemon: Daemon,
    pub socket: PathBuf,
    pub config: PathBuf,
    gate: Namespace,
}

impl Agent {
    /// Starts with the rig's usual configuration.
    pub fn start(rig: &Rig) -> Result<Self> {
        Self::start_with(rig, &rig.agent_config())
    }

    /// Starts with a configuration and waits until the agent answers.
    pub fn start_with(rig: &Rig, config: &str) -> Result<Self> {
        fs::write(rig.path("agent.toml"), config)?;
        Self::start_file(rig, &rig.path("agent.toml"), &rig.path("agent.sock"))
    }

    /// Starts with a configuration file that names this socket.
    pub fn start_file(rig: &Rig, config: &Path, socket: &Path) -> Result<Self> {
        Self::start_command(
            rig,
            rig.layout.gate.command(tools::sekisho()?),
            config,
            socket,
        )
    }

    /// Starts another make of the agent with the rig's `agent.toml`.
    pub fn start_make(rig: &Rig, program: &Path) -> Result<Self> {
        Self::start_command(
            rig,
            rig.layout.gate.command(program),
            &rig.path("agent.toml"),
            &rig.path("agent.sock"),
        )
    }

    /// Starts with the rig's `agent.toml` by another program, which has to become the agent: its
    /// last arguments are `sekisho run --config …`.
    pub fn start_by(rig: &Rig, program: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = rig.layout.gate.command(program);
        command.args(arguments).arg(tools::sekisho()?);
        Self::start_command(
            rig,
            command,
            &rig.path("agent.toml"),
            &rig.path("agent.sock"),
        )
    }

    fn start_command(
        rig: &Rig,
        mut command: Command,
        config: &Path,
        socket: &Path,
    ) -> Result<Self> {
        command
            .arg("run")
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "debug");
        let daemon = Daemon::start("agent", command, rig.path("agent.log"))?;
        let mut agent = Self {
            daemon,
            socket: socket.to_owned(),
            config: config.to_owned(),
            gate: rig.layout.gate.clone(),
        };
        let client = agent.client();
        agent
            .daemon
            .ready(|| block_on(client.status()).is_ok_and(|status| status.is_ok()))?;
        Ok(agent)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    pub fn status(&self) -> Result<Status> {
        Ok(block_on(self.client().status())??)
    }

    /// Opens as an operator; returns the grant as the kernel has it.
    pub fn grant(&self, source: IpAddr, service: &str, user: &str, seconds: u64) -> Result<Grant> {
        let request = grant_request(source, service, user, seconds);
        Ok(block_on(self.client().grant(&request))??)
    }

    /// Closes everything one source holds.
    pub fn close_source(&self, source: IpAddr) -> Result<u64> {
        let request = CloseRequest {
            source: Some(source.into()),
            ..CloseRequest::default()
        };
        Ok(block_on(self.client().close(&request))??.count)
    }

    /// Packets by reason: those acted upon.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>> {
        let counters = block_on(self.client().counters())??.counters;
        Ok(counters
            .into_iter()
            .map(|counter| (counter.reason, counter.packets))
            .collect())
    }

    /// Packets by reason that would have been dropped in enforce mode.
    pub fn would_drop(&self) -> Result<BTreeMap<String, u64>> {
        let counters = block_on(self.client().counters())??.counters;
        Ok(counters
            .into_iter()
            .map(|counter| (counter.reason, counter.would_drop))
            .collect())
    }

    /// Packets counted under one reason.
    pub fn count(&self, reason: &str) -> Result<u64> {
        self.counters()?
            .remove(reason)
            .with_context(|| format!("no counter {reason}"))
    }

    /// `sekisho` with the agent's socket, whatever the outcome.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments)?;
        command.output().context("cannot start sekisho")
    }

    /// `sekisho` that has to succeed; what it printed.
    pub fn cli_ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cli(arguments)?;
        ensure!(
            output.status.success(),
            "sekisho {arguments:?} failed:\n{}",
            both(&output)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `sekisho --json` that has to succeed; what it printed.
    pub fn cli_json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let text = self.cli_ok(&[&["--json"], arguments].concat())?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// The same for a verb that prints one JSON value a line.
    pub fn cli_json_lines(&self, arguments: &[&str]) -> Result<Vec<serde_json::Value>> {
        let text = self.cli_ok(&[&["--json"], arguments].concat())?;
        let parsed = text.lines().map(serde_json::from_str);
        parsed
            .collect::<Result<_, _>>()
            .with_context(|| format!("not JSON: {text}"))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.gate.command(tools::sekisho()?);
        command.arg("--socket").arg(&self.socket).args(arguments);
        Ok(command)
    }
}

/// A request with nothing but the necessary.
pub fn grant_request(source: IpAddr, service: &str, user: &str, seconds: u64) -> GrantRequest {
    GrantRequest {
        source,
        service: service.to_owned(),
        user: user.to_owned(),
        for_seconds: Some(seconds),
        exact: true,
        factor: None,
        reason: None,
        request_id: None,
    }
}

/// Runs `sekisho run` until it ends by itself: for configurations and machines it must refuse.
pub fn refused_start(rig: &Rig, config: &str) -> Result<Output> {
    fs::write(rig.path("agent.toml"), config)?;
    refused_start_file(&rig.layout.gate, &rig.path("agent.toml"))
}

/// Like [`refused_start`] with a file that is already there. Ends it after ten seconds.
pub fn refused_start_file(gate: &Namespace, config: &Path) -> Result<Output> {
    refused_start_by(gate, config, &[])
}

/// The same by other programs, each of which becomes the next.
pub fn refused_start_by(gate: &Namespace, config: &Path, by: &[&str]) -> Result<Output> {
    let mut command = gate.command("timeout");
    command
        .args(["--kill-after=1", "10"])
        .args(by)
        .arg(tools::sekisho()?);
    command.arg("run").arg("--config").arg(config);
    let output = command.output().context("cannot start sekisho")?;
    ensure!(
        output.status.code() != Some(124),
        "the agent started although it must not:\n{}",
        both(&output)
    );
    Ok(output)
}
