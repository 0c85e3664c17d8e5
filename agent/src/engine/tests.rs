//! The engine over a table in memory and a clock that the test moves.

mod closing;
mod journal;
mod many;
mod opening;
mod prefixes;
mod reconciling;
mod rollout;
pub(crate) mod world;
