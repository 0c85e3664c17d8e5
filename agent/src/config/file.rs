//! The file as written: names and types of the keys, with the place of each value.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::traffic::{AgentDown, Answer};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) agent: Agent,
    pub(super) filter: Filter,
    pub(super) portal: Option<Portal>,
    #[serde(default)]
    pub(super) grants: Grants,
    #[serde(default)]
    pub(super) service: Vec<Service>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agent {
    pub(super) socket: Option<PathBuf>,
    pub(super) ledger: Option<PathBuf>,
    #[serde(default)]
    pub(super) operators: Vec<Spanned<User>>,
}

/// A user by name or by number.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a user name or a numeric uid")]
pub(super) enum User {
    Number(u32),
    Name(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) interfaces: Spanned<Vec<Spanned<String>>>,
    #[serde(default = "native")]
    pub(super) xdp_mode: agent_api::XdpMode,
    #[serde(default = "enforce")]
    pub(super) mode: agent_api::Mode,
    pub(super) capacity: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) other_ports: OtherPorts,
    #[serde(default)]
    pub(super) protect: Vec<Spanned<String>>,
    pub(super) pass_ether_types: Option<Spanned<Vec<u16>>>,
    pub(super) icmp_errors: Option<Spanned<String>>,
    #[serde(default = "drop_samples")]
    pub(super) drop_samples: u32,
    pub(super) bpffs: Option<PathBuf>,
    #[serde(default)]
    pub(super) debug_log: bool,
}

fn native() -> agent_api::XdpMode {
    agent_api::XdpMode::Native
}

fn enforce() -> agent_api::Mode {
    agent_api::Mode::Enforce
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OtherPorts {
    #[default]
    Drop,
    Pass,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Portal {
    pub(super) user: Spanned<User>,
    #[serde(default)]
    pub(super) endpoints: Vec<Spanned<String>>,
    pub(super) rate: Option<Spanned<String>>,
    pub(super) burst: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grants {
    pub(super) default: Option<Spanned<String>>,
    pub(super) max: Option<Spanned<String>>,
    pub(super) idle: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: Spanned<String>,
    #[serde(default = "granted")]
    pub(super) kind: agent_api::ServiceKind,
    pub(super) targets: Spanned<Vec<Spanned<String>>>,
    pub(super) groups: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) allow: Vec<Spanned<String>>,
    pub(super) default: Option<Spanned<String>>,
    pub(super) max: Option<Spanned<String>>,
    pub(super) idle: Option<Spanned<String>>,
    pub(super) rate: Option<Spanned<String>>,
    pub(super) burst: Option<Spanned<u32>>,
    pub(super) answer: Option<Spanned<Answer>>,
    pub(super) agent_down: Option<Spanned<AgentDown>>,
    pub(super) ipv6_grants: Option<Spanned<Ipv6Grants>>,
}

/// What a grant from an IPv6 address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ipv6Grants {
    Address,
    Prefix,
}

/// Packets a second, for each processor.
fn drop_samples() -> u32 {
    100
}

fn granted() -> agent_api::ServiceKind {
    agent_api::ServiceKind::Granted
}
