//! The configuration: one TOML file, read and checked in full before anything is touched.
//!
//! Unknown keys are refused. Every error says the file, the line and column, what is wrong and
//! what to do; all of them are reported, not only the first.

mod duration;
mod error;
mod file;
mod replace;
mod target;
mod traffic;
mod validate;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use agent_api::{Mode, ServiceKind, XdpMode};
use ipnet::IpNet;

pub use duration::{parse_seconds, seconds_text};
pub use error::{Complaint, ConfigError};
pub use replace::{Staged, sibling};
pub use target::{Ports, Target};
pub use traffic::{AgentDown, Answer, Rate};

/// Everything the agent was told, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub socket: PathBuf,
    pub ledger: PathBuf,
    /// uids beside 0 that may do everything.
    pub operators: Vec<u32>,
    pub filter: Filter,
    pub portal: Option<Portal>,
    pub services: Vec<Service>,
    /// What it was read from, to return to it after a trial of another.
    pub text: Arc<str>,
}

/// What concerns the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub interfaces: Vec<String>,
    pub xdp_mode: XdpMode,
    /// Used at the very first start; later the ledger remembers what an operator set.
    pub mode: Mode,
    /// Grants for each address family.
    pub capacity: u32,
    /// True: ports of a protected address without a service pass.
    pub other_ports_pass: bool,
    pub protect: Vec<IpNet>,
    pub pass_ether_types: Vec<u16>,
    /// ICMP errors to one destination.
    pub icmp_errors: Rate,
    /// Dropped packets a second that each CPU shows the agent.
    pub drop_samples: u32,
    pub bpffs: PathBuf,
    pub debug_log: bool,
}

/// The web portal, as far as the agent must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portal {
    pub uid: u32,
    pub gid: u32,
    pub endpoints: Vec<SocketAddr>,
    /// Packets of one source to them.
    pub rate: Rate,
}

/// A named set of targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub kind: ServiceKind,
    pub targets: Vec<Target>,
    pub groups: Vec<String>,
    pub allow: Vec<IpNet>,
    pub default_seconds: u64,
    pub max_seconds: u64,
    pub idle_seconds: Option<u64>,
    /// Of a public service, for each source. None: any.
    pub rate: Option<Rate>,
    pub answer: Answer,
    pub agent_down: AgentDown,
    /// Whether a grant from an IPv6 address is for the whole /64 around it.
    pub ipv6_prefix: bool,
}

/// Name of the public service made of the portal's endpoints.
pub const PORTAL_SERVICE: &str = "portal";

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &std::path::Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` is only for messages.
    pub fn parse(path: &std::path::Path, text: &str) -> Result<Self, ConfigError> {
        let complaint = |span: std::ops::Range<usize>, message: String| ConfigError::Invalid {
            path: path.to_owned(),
            complaints: vec![Complaint::at(text, span.start, message)],
        };
        let file: file::File = toml::from_str(text).map_err(|error| {
            complaint(
                error.span().unwrap_or(0..0),
                error.message().trim_end().to_owned(),
            )
        })?;
        let config = validate::validate(file).map_err(|found| ConfigError::Invalid {
            path: path.to_owned(),
            complaints: found
                .into_iter()
                .map(|(span, message)| Complaint::at(text, span.start, message))
                .collect(),
        })?;
        Ok(Self {
            text: text.into(),
            ..config
        })
    }

    /// The service of that name, the portal's own included.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

#[cfg(test)]
mod tests;
