//! What the agent says about itself: mode, interfaces, services, how full its tables are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Trial;

/// Who the peer of a request is, decided by its uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// root, or a user the configuration lists: may do everything.
    Operator,
    /// The portal's uid: may grant within the caps, close what it opened, read, write audit events.
    Portal,
}

/// Whether a drop verdict drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Verdicts are carried out.
    Enforce,
    /// What would be dropped passes and is counted as "would drop".
    Observe,
}

impl Mode {
    /// The word used in the configuration, the CLI and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// Body of `PUT /v1/mode`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    pub mode: Mode,
}

/// Body and reply of `PUT /v1/lockdown`: while on, no grant admits a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lockdown {
    pub on: bool,
}

/// How the program is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver, before a socket buffer exists: line rate.
    Native,
    /// After the socket buffer was made: works everywhere, several times slower.
    Generic,
}

impl XdpMode {
    /// The word used in the configuration, the CLI and the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// One interface the filter is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Interface {
    pub name: String,
    /// Kernel interface index; 0: there is no such interface now.
    pub index: u32,
    pub xdp_mode: XdpMode,
    /// Kernel id of the attached program.
    pub program_id: u32,
    /// Whether it is there now. False: traffic on this interface is not filtered.
    #[serde(default)]
    pub attached: bool,
}

/// Entries in use and the most that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fill {
    pub used: u64,
    pub capacity: u64,
}

/// Reply of `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    pub version: String,
    /// Version of the layout shared by program and agent.
    pub abi: u32,
    pub mode: Mode,
    pub lockdown: bool,
    /// When this agent process started, UTC.
    pub started: Timestamp,
    /// True if this agent took over a filter that was already in force.
    pub took_over: bool,
    pub interfaces: Vec<Interface>,
    pub services: u64,
    /// Grants from IPv4 sources.
    pub grants_v4: Fill,
    /// Grants from IPv6 sources.
    pub grants_v6: Fill,
    /// Holders in the ledger that have not ended.
    pub holders: u64,
    /// Deny prefixes that have not ended.
    pub denied: u64,
    /// A configuration in force that awaits its confirm.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// How often an interface got the filter back since this agent started.
    #[serde(default)]
    pub reattached: u64,
    /// When map and ledger last agreed, or were made to. None: not yet.
    #[serde(default)]
    pub agreed: Option<Timestamp>,
    /// Things an operator should look at, in sentences. Empty when all is well.
    pub warnings: Vec<String>,
    /// The role the caller was given.
    pub you_are: Role,
}

/// How packets to a service's targets are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// Passes only with a grant or from a permanent allow prefix.
    Granted,
    /// Open to everybody.
    Public,
}

/// One entry of `GET /v1/services`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    pub name: String,
    pub kind: ServiceKind,
    /// Targets as written in the configuration, e.g. `192.0.2.10 tcp/443`.
    pub targets: Vec<String>,
    /// Directory groups whose members may open it. Empty for public services.
    pub groups: Vec<String>,
    /// Sources that are always admitted, as prefixes.
    pub allow: Vec<String>,
    /// Length of a grant when the request names none, in seconds.
    pub default_seconds: u64,
    /// Longest grant the agent will make, in seconds.
    pub max_seconds: u64,
    /// Whether a grant from an IPv6 address is for the whole /64 around it.
    #[serde(default)]
    pub ipv6_prefix: bool,
    /// A grant unused for this long stops admitting packets, in seconds. None: no idle limit.
    pub idle_seconds: Option<u64>,
}

/// One reason and how often it was given, summed over CPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counter {
    pub reason: String,
    /// What the reason does to the packet in enforce mode: `pass` or `drop`.
    pub action: String,
    /// Packets whose verdict was carried out.
    pub packets: u64,
    /// Packets that passed only because the mode was observe.
    pub would_drop: u64,
}

/// Reply of `GET /v1/counters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    pub counters: Vec<Counter>,
}

/// Reply of `POST /v1/reload`: the difference that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
    /// Grants that ended because their service went away.
    pub closed: u64,
    /// Settings that differ from the running ones but need a restart to take effect.
    pub needs_restart: Vec<String>,
}
