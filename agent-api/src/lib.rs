//! What is said over the agent's socket: requests, replies, and a small client.
//!
//! HTTP/JSON on a Unix socket, versioned under `/v1`; `curl --unix-socket` speaks it too. This
//! crate holds the words only. It decides nothing: who may say what is decided in the agent, by
//! the uid the kernel reports for the peer.

mod audit;
mod client;
mod drops;
mod grant;
mod inspect;
mod problem;
mod rollout;
mod source;
mod status;

pub use audit::{AuditChain, AuditDraft, AuditKind, AuditPage, AuditQuery, AuditRecord};
pub use client::{Client, ClientError, Events};
pub use drops::{DroppedPacket, Talker, Talkers};
pub use grant::{
    CloseRequest, Closed, ClosedHolder, Deny, DenyRequest, Grant, GrantPage, GrantQuery,
    GrantRequest, Holder,
};
pub use inspect::{ExplainRequest, Explained, ExplainedGrant, Impact, ImpactEntry};
pub use problem::{Problem, ProblemCode};
pub use rollout::{
    ConfigApplied, ConfigRequest, ConfigSettled, Connection, Difference, LostAccess, ServiceChange,
    Trial,
};
pub use source::Source;
pub use status::{
    Applied, Counter, Counters, Fill, Interface, Lockdown, Mode, ModeRequest, Role, Service,
    ServiceKind, Status, XdpMode,
};

/// Where the agent listens unless the configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/sekisho/agent.sock";
