//! What is configured and granted, as `decide` asks for it.

use filter_abi::{Destination, Target};

use crate::Address;

/// A grant that was found, with what it takes to judge it.
pub trait GrantCell {
    /// Packets pass before this moment.
    fn deadline_ns(&self) -> u64;
    /// Longest silence, 0 for none.
    fn idle_ns(&self) -> u64;
    /// When a packet was last admitted.
    fn last_seen_ns(&self) -> u64;
    /// Counts an admitted packet. Called by the entry point after the verdict, never by `decide`.
    fn admit(&self, now_ns: u64);
}

/// The tables of one address family.
pub trait Tables<A: Address> {
    type Grant: GrantCell;

    /// The most specific destination prefix of a generation that holds the address.
    fn destination(&self, generation: u32, address: A) -> Option<Destination>;
    /// When the denial of this source ends, if a deny prefix holds it.
    fn denied_until_ns(&self, source: A) -> Option<u64>;
    /// Whether a permanent allow prefix of the service holds the source.
    fn allowed(&self, generation: u32, service: u32, source: A) -> bool;
    /// The grant of this source for this service.
    fn grant(&self, service: u32, source: A) -> Option<Self::Grant>;
}

/// Everything else.
pub trait Policy {
    /// The most specific target of a destination prefix.
    fn target(&self, prefix: u32, protocol: u8, port: u16) -> Option<Target>;
    /// Nanoseconds of CLOCK_BOOTTIME. Asked for only once a grant or a denial was found.
    fn now_ns(&self) -> u64;
}
