//! What the kernel program and user space must agree on: keys, values, reasons, map names.
//!
//! Plain data, and the hashes that both sides must compute alike; the layout is asserted at compile
//! time. Any change of a
//! layout, a name or the order of reasons raises [`ABI_VERSION`], which is part of the pin path,
//! so that a map of another version is never opened by mistake.
#![no_std]
#![forbid(unsafe_code)]

mod bytes;
mod exact;
mod map;
mod probe;
mod reason;
mod sources;
mod track;

pub use bytes::Bytes;
pub use exact::{ExactFamily, ExactV4, ExactV6};
pub use map::{
    AllowKey, Cpu, DenyValue, Destination, DestinationKey, Grant, GrantKey, Limit, LimitKey, Panel,
    SHEET_WORDS, Settings, Sources, Target, TargetKey, TrieKey, V4, V6, names,
};
pub use probe::Probe;
pub use reason::{Action, Reason, Reasons};
pub use sources::{Mark, WORDS_MIN, mark};
pub use track::{
    FlowKey, FlowRecord, FragmentKey, FragmentRecord, Impact, ImpactKey, SAMPLE_BYTES, Sample,
    state,
};

/// Version of everything in this crate.
pub const ABI_VERSION: u32 = 3;

/// Counters are two runs of one per reason: verdicts carried out, then what observe mode let pass.
pub const COUNTERS: u32 = 2 * Reason::COUNT;

/// Most tags in front of the network header that are looked through.
pub const VLAN_TAGS_MAX: usize = 2;

/// Most IPv6 extension headers that are looked through.
pub const EXTENSION_HEADERS_MAX: usize = 6;
