//! Packets with the verdict each must get, and the world they are judged in.
//!
//! The same list runs on the host, through the loaded program, and over wires. Checksums are left
//! zero: the filter never looks at them.
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test data: a wrong length must stop the test at once"
)]

mod frame;
mod kept;
mod list;
mod world;

use filter_abi::{Reason, Settings};

pub use frame::{Extension, Frame, V4Packet, V6Packet, icmp, tcp, tcp_from, udp, udp_from};
pub use list::all;
pub use world::{HostGrant, Kept, Trie, World};

/// One packet and what must be said of it in enforce mode.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// What is special about the packet.
    pub name: &'static str,
    pub frame: Vec<u8>,
    pub reason: Reason,
}

/// Settings under which all fixtures run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    Enforce,
    Observe,
    Lockdown,
}

impl Setting {
    pub const ALL: [Self; 3] = [Self::Enforce, Self::Observe, Self::Lockdown];

    /// The bit in `Settings::flags`.
    pub const fn flag(self) -> u32 {
        match self {
            Self::Enforce => 0,
            Self::Observe => Settings::OBSERVE,
            Self::Lockdown => Settings::LOCKDOWN,
        }
    }

    /// What becomes of a fixture's reason: whatever found a grant says `Lockdown` while that is on.
    pub const fn reason(self, reason: Reason) -> Reason {
        match (self, reason) {
            (
                Self::Lockdown,
                Reason::Granted | Reason::Expired | Reason::Idle | Reason::AgentDown,
            ) => Reason::Lockdown,
            _ => reason,
        }
    }

    /// The counter that must go up by one, and whether the packet passes.
    pub fn outcome(self, reason: Reason) -> (u32, bool) {
        let reason = self.reason(reason);
        let passes = matches!(reason.action(), filter_abi::Action::Pass);
        if self == Self::Observe && reason.opened_by_observe() {
            (reason as u32 + Reason::COUNT, true)
        } else {
            (reason as u32, passes)
        }
    }
}
