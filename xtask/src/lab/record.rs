//! `target/lab.json`: where everything in a running laboratory is. Other tools read it, so its
//! shape stays as it is.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{command, net::Namespace};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lab {
    pub namespaces: Namespaces,
    pub addresses: Addresses,
    pub interfaces: Interfaces,
    pub portal: Portal,
    pub users: Vec<User>,
    pub services: Vec<Service>,
    pub agent_socket: PathBuf,
    /// Program and first arguments that run the portal's own verbs.
    pub portal_admin: Vec<String>,
    /// The agent's configuration.
    pub config: PathBuf,
    pub bin: Bin,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Namespaces {
    pub client: String,
    pub neighbour: String,
    pub gate: String,
    pub server: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    pub client_v4: String,
    pub client_v6: String,
    pub neighbour_v4: String,
    pub neighbour_v6: String,
    pub gate_v4: String,
    pub gate_v6: String,
    pub server_v4: String,
    pub server_v6: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interfaces {
    pub client: String,
    pub gate_outer: String,
    pub gate_inner: String,
    pub server: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Portal {
    pub url_v4: String,
    pub url_v6: String,
    pub ca: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub password: String,
    pub totp_secret: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub targets: Vec<String>,
    pub groups: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bin {
    pub sekisho: PathBuf,
    pub portal: PathBuf,
}

impl Lab {
    pub(super) fn save(&self) -> Result<()> {
        let file = file();
        fs::write(&file, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// `sekisho …` against this laboratory's agent.
    pub fn sekisho(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.bin.sekisho);
        command.arg("--socket").arg(&self.agent_socket);
        command
    }

    pub(super) fn command_line(&self, arguments: &[&str]) -> String {
        command::shown(self.sekisho().args(arguments))
    }

    pub fn client(&self) -> Namespace {
        Namespace::named(&*self.namespaces.client)
    }

    pub fn neighbour(&self) -> Namespace {
        Namespace::named(&*self.namespaces.neighbour)
    }

    pub fn server(&self) -> Namespace {
        Namespace::named(&*self.namespaces.server)
    }
}

pub(super) fn file() -> PathBuf {
    command::target_dir().join("lab.json")
}

pub(super) fn remove() -> Result<()> {
    let file = file();
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}
