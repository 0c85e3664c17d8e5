//! The daemon that owns the filter and the ledger, and the `sekisho` command.
//!
//! In reading order: what was configured, what it means for the kernel, the kernel itself, the
//! durable record, the engine that keeps them agreeing, the socket that speaks to it, and the
//! command line. The agent never speaks LDAP, and HTTP only on its own Unix socket.

pub mod clock;
pub mod config;
pub mod drops;
mod lock;

pub mod policy;

pub mod kernel;
pub mod ledger;

pub mod engine;

pub mod api;
pub mod metrics;

pub mod cli;
