//! `sekisho doctor`: what this machine, its interfaces, the configuration and the agent are like,
//! each finding with what it means and what to do. It changes nothing and repairs nothing.

mod agent;
mod interface;
mod machine;

use std::{path::PathBuf, process::ExitCode};

use agent_api::{Client, DEFAULT_SOCKET};
use clap::Args;
use serde::Serialize;

use super::{
    check,
    print::{self, Output},
};
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/sekisho/agent.toml")]
    config: PathBuf,
}

/// How bad it is; also the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// What was looked at: `kernel`, `interface eth0`.
    subject: String,
    /// What was found and what it means.
    found: String,
    /// What to do about it; empty when there is nothing to do.
    advice: String,
}

/// Findings about one subject.
#[derive(Debug)]
struct Notes<'a> {
    subject: String,
    all: &'a mut Vec<Finding>,
}

impl<'a> Notes<'a> {
    fn new(subject: impl Into<String>, all: &'a mut Vec<Finding>) -> Self {
        Self {
            subject: subject.into(),
            all,
        }
    }

    fn ok(&mut self, found: impl Into<String>) {
        self.add(Level::Ok, found, "");
    }

    fn warning(&mut self, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Warning, found, advice);
    }

    fn problem(&mut self, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Problem, found, advice);
    }

    fn add(&mut self, level: Level, found: impl Into<String>, advice: impl Into<String>) {
        self.all.push(Finding {
            level,
            subject: self.subject.clone(),
            found: found.into(),
            advice: advice.into(),
        });
    }
}

impl Doctor {
    pub(super) async fn execute(self, socket: PathBuf, output: Output) -> anyhow::Result<ExitCode> {
        let mut findings = Vec::new();
        let config = configuration(&self.config, &mut findings);
        machine::look(config.as_ref(), &mut findings);
        let socket = match &config {
            Some(config) if socket.as_os_str() == DEFAULT_SOCKET => config.socket.clone(),
            _ => socket,
        };
        let status = agent::look(&Client::new(socket), &mut findings).await;
        if let Some(config) = &config {
            for name in &config.filter.interfaces {
                interface::look(name, config, status.as_ref(), &mut findings);
            }
            agent::portal(config, &mut findings).await;
        }
        let worst = findings.iter().map(|finding| finding.level).max();
        match output {
            Output::Json => print::json(&serde_json::json!({ "findings": findings }))?,
            Output::Text => show(&findings),
        }
        Ok(ExitCode::from(match worst {
            None | Some(Level::Ok) => 0,
            Some(Level::Warning) => 1,
            Some(Level::Problem) => 2,
        }))
    }
}

fn configuration(path: &std::path::Path, findings: &mut Vec<Finding>) -> Option<Config> {
    let mut notes = Notes::new("configuration", findings);
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            notes.problem(
                error.to_string(),
                "correct it; `sekisho check` says the same",
            );
            return None;
        }
    };
    notes.ok(format!("{} is valid", path.display()));
    for warning in check::warnings(&config) {
        // The interfaces are looked at one by one.
        if !warning.starts_with("there is no interface") {
            notes.warning(warning, "change it if it is not meant so");
        }
    }
    if let Some(cut) = check::own_connection(&config) {
        notes.warning(cut, "do that before the mode is enforce");
    }
    Some(config)
}

fn show(findings: &[Finding]) {
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok     ",
            Level::Warning => "WARNING",
            Level::Problem => "PROBLEM",
        };
        print::line(format!("{level} {}: {}", finding.subject, finding.found));
        if !finding.advice.is_empty() {
            print::line(format!("        -> {}", finding.advice));
        }
    }
}
