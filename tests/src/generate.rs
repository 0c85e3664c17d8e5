//! Steps to feed to every reader of the verdict table at once: packets of all kinds from few
//! addresses, so that grants, flows, fragments and rates are really met, and what else happens in
//! between. All of it follows from one seed.

mod change;
mod dice;
mod draft;
mod mutate;
mod site;
mod stream;
mod text;
mod traffic;
mod tricks;

pub use change::{Change, Step};
pub use dice::Dice;
pub use draft::{Draft, Piece};
pub use site::{destinations, site};
pub use stream::Stream;
pub use text::{Episode, Expected, of_hex};

#[cfg(test)]
mod tests;
