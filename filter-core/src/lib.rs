//! What happens to a packet: parse it, then decide. Pure; it runs on any laptop.
//!
//! [`decide`] is the product's promise on one screen. It reads the packet through a [`Window`] and
//! asks a [`Policy`] for what is configured and granted; the kernel program and the tests bring
//! one of each. It never allocates, never loops without a bound, and has no way to answer "pass"
//! for a protected address except by the rows of the verdict table that say so.
#![cfg_attr(not(any(test, feature = "fixtures")), no_std)]
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets are bounded by REACH and a packet's length, and words that carry several numbers are taken apart along the bits they were made of"
)]

mod decide;
mod ethernet;
mod flow;
mod impact;
mod ipv4;
mod ipv6;
mod policy;
mod quick;
mod rate;
mod reply;
mod upper;
mod window;

#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;

pub use decide::{Decision, decide, table};
pub use flow::{Address, Flow, Kind, Payload, Piece, Sheet, Upper};
pub use policy::{GrantCell, Place, Policy, Tables};
pub use quick::quick;
pub use reply::outgoing;
pub use window::{REACH, Slice, Window};

#[cfg(test)]
mod tests;
