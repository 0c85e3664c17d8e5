//! What is configured, granted and remembered, as `decide` asks for it.

use filter_abi::{
    Destination, FlowKey, FlowRecord, FragmentKey, FragmentRecord, GrantKey, ImpactKey, Limit,
    Settings, Target,
};

use crate::{Address, Window};

/// A grant that was found, with what it takes to judge it.
pub trait GrantCell {
    /// Packets pass before this moment.
    fn deadline_ns(&self) -> u64;
    /// Longest silence, 0 for none.
    fn idle_ns(&self) -> u64;
    /// When a packet was last admitted.
    fn last_seen_ns(&self) -> u64;
}

/// What does not depend on the family.
pub trait Policy {
    /// The most specific target of a destination prefix.
    fn target(&self, prefix: u32, protocol: u8, port: u16) -> Option<Target>;
    /// The rate of a public service.
    fn limit(&self, generation: u32, service: u32) -> Option<Limit>;
    /// Nanoseconds of CLOCK_BOOTTIME, at most one tick of the kernel old. Asked for only once
    /// something was found that ends.
    fn now_ns(&self) -> u64;
    /// The agent is taken for gone from this moment on.
    fn alive_until_ns(&self) -> u64;
    /// Counts a packet that observe mode let pass.
    fn keep_impact(&self, key: &ImpactKey);
}

/// What is known of a destination and one protocol and port of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// `Destination::flags`.
    pub flags: u32,
    /// `Target::NONE` where there is none: what was looked up and not found is still a value,
    /// because the kernel's verifier lets no program carry along what was never written.
    pub target: Target,
}

impl Place {
    /// The same, however it was found.
    #[inline(always)]
    pub(crate) fn forget(self, window: &impl Window) -> Self {
        let Target { service, flags } = self.target;
        let target = window.forget(u64::from(service) | u64::from(flags) << 32);
        Self {
            flags: window.forget(u64::from(self.flags)) as u32,
            target: Target {
                service: target as u32,
                flags: (target >> 32) as u32,
            },
        }
    }
}

/// The tables of one address family. What `decide` asks to be kept, a policy that only asks
/// ("what if") leaves undone.
pub trait Tables<A: Address>: Policy {
    type Grant: GrantCell;

    /// The most specific destination prefix of a generation that holds the address.
    fn destination(&self, generation: u32, address: A) -> Option<Destination>;

    /// The destination and its target, which a policy may know by a shorter way.
    #[inline(always)]
    fn place(&self, generation: u32, address: A, protocol: u8, port: u16) -> Option<Place> {
        let destination = self.destination(generation, address)?;
        Some(Place {
            flags: destination.flags,
            target: self
                .target(destination.prefix, protocol, port)
                .unwrap_or(Target::NONE),
        })
    }

    /// The target of a single address and port, if a policy knows it by a shorter way; with no
    /// flag of the destination. `Target::NONE` says nothing.
    #[inline(always)]
    fn exact(&self, _generation: u32, _address: A, _protocol: u8, _port: u16) -> Target {
        Target::NONE
    }

    /// When the denial of this source ends, if a deny prefix holds it.
    fn denied_until_ns(&self, source: A) -> Option<u64>;
    /// Whether a permanent allow prefix of the service holds the source.
    fn allowed(&self, generation: u32, service: u32, source: A) -> bool;

    /// False: the source surely holds no grant.
    #[inline(always)]
    fn may_hold(&self, _settings: &Settings, _source: A) -> bool {
        true
    }

    /// The grant of this key.
    fn grant(&self, key: GrantKey<A>) -> Option<Self::Grant>;
    /// Counts a packet that the grant admitted.
    fn admit(&self, grant: &Self::Grant, now_ns: u64);

    /// When the next packet of a rate conforms, 0 if nothing is known.
    fn due_ns(&self, key: GrantKey<A>) -> u64;
    fn keep_due(&self, key: GrantKey<A>, due_ns: u64);

    fn fragment(&self, key: &FragmentKey<A>) -> Option<FragmentRecord>;
    fn keep_fragment(&self, key: &FragmentKey<A>, record: FragmentRecord);

    fn flow(&self, key: &FlowKey<A>) -> Option<FlowRecord>;
    fn keep_flow(&self, key: &FlowKey<A>, record: FlowRecord);
}
