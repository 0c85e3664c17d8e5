//! Everything that touches the kernel: the embedded object, its maps, its links and pins.
//!
//! Only this folder names aya or makes a raw system call. The rest of the agent sees [`Maps`].

mod attach;
mod barrier;
mod error;
mod family;
mod layout;
mod link_query;
mod map;
mod maps;
mod object;
mod outgoing;
mod pins;
mod predecessor;
mod probe;
mod require;
mod samples;
mod settle;
mod sources;
mod syscall;

use std::collections::BTreeMap;

use agent_api::Source;
use filter_abi::{Grant, Impact, ImpactKey};
use ipnet::IpNet;

use crate::policy::Policy;

pub use attach::{Attached, Keeper, Loaded, Seen, Watched, detach_all, running_program};
pub use error::KernelError;
pub use maps::FilterMaps;
pub use object::OBJECT;
pub use pins::Pins;
pub use predecessor::Before;
pub use require::require;
pub use samples::{Dropped, Samples};

/// Which grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantId {
    pub source: Source,
    pub service: u32,
}

/// What the program is told beside the generational tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub observe: bool,
    pub lockdown: bool,
    /// EtherTypes that pass unread; at most four.
    pub ether_types: Vec<u16>,
}

/// The answer to a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    pub passes: bool,
    /// `Reason as u32`.
    pub reason: u32,
    /// Number of the service the packet was judged by, 0 for none.
    pub service: u32,
}

/// What a scan calls with each piece.
pub type Show<'a> = &'a mut dyn FnMut(&[(GrantId, Grant)]);

/// A program that can be asked about packets.
pub trait Judge {
    /// What the program says of a frame, by its maps as they are, as if it had come at `at_ns` of
    /// CLOCK_BOOTTIME, or now if that is 0. It leaves no trace.
    fn probe(&self, frame: &[u8], at_ns: u64) -> Result<Probed, KernelError>;
}

/// The maps, as the engine uses them, and the program that was loaded with them. Tests bring a
/// table in memory.
pub trait Maps: Judge + Send + Sync {
    /// The grant as the kernel holds it now.
    fn read(&self, id: GrantId) -> Result<Option<Grant>, KernelError>;
    /// Inserts or replaces one grant; [`KernelError::Full`] when no entry is free.
    fn put(&self, id: GrantId, grant: Grant) -> Result<(), KernelError>;
    /// Says how many grants are about to come, IPv4 and IPv6, so that room is made once.
    fn make_room(&self, _grants: [u64; 2]) -> Result<(), KernelError> {
        Ok(())
    }
    /// Removes one grant. Ok if it was not there.
    fn remove(&self, id: GrantId) -> Result<(), KernelError>;
    /// Inserts or replaces many.
    fn put_many(&self, grants: &[(GrantId, Grant)]) -> Result<(), KernelError>;
    /// Removes many; those that are not there do not matter.
    fn remove_many(&self, ids: &[GrantId]) -> Result<(), KernelError>;
    /// Shows every grant, in pieces. What changes meanwhile may be missed or seen twice.
    fn scan(&self, show: Show<'_>) -> Result<(), KernelError>;
    /// Puts other tables and switches in force, all at once: no packet sees half of two.
    fn apply(&self, policy: &Policy, switches: &Switches) -> Result<(), KernelError>;
    /// Puts other switches in force.
    fn switch(&self, switches: &Switches) -> Result<(), KernelError>;
    /// Makes the deny tables hold exactly these prefixes until these boot-time moments.
    fn deny(&self, denies: &BTreeMap<IpNet, u64>) -> Result<(), KernelError>;
    /// What observe mode let pass, with its times on CLOCK_BOOTTIME.
    fn impact(&self) -> Result<Vec<(ImpactKey, Impact)>, KernelError>;
    /// Forgets that.
    fn clear_impact(&self) -> Result<(), KernelError>;
    /// Until when, in nanoseconds of CLOCK_BOOTTIME, the agent is taken for alive.
    fn heartbeat(&self, alive_until_ns: u64) -> Result<(), KernelError>;
    /// Per-CPU counters, summed; `filter_abi::COUNTERS` of them.
    fn counters(&self) -> Result<Vec<u64>, KernelError>;
}
