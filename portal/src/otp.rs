//! One-time codes: seeds, how a token makes its codes (RFC 4226 by a counter, RFC 6238 by time),
//! and which step a typed code belongs to. Taking the step is the store's compare-and-set, not here.

mod code;
mod recipe;
mod seed;

pub(crate) use code::Code;
pub(crate) use recipe::{Algorithm, Moves, Position, Reach, Recipe};
pub(crate) use seed::Seed;

#[cfg(test)]
mod tests;
