//! The web portal: proves who somebody is by directory password and one-time code, and asks the
//! agent to open services for the address they prove themselves from. It cannot open anything
//! itself: it has no path to the filter, and asking needs a proof that only the checks can make.

#![forbid(unsafe_code)]

mod access;
mod admit;
mod audit;
pub mod cli;
mod client_addr;
mod clock;
mod codes;
mod config;
mod crossing;
mod directory;
mod enrol;
mod family;
mod follow;
mod grants;
mod health;
mod key;
mod leavers;
mod limits;
mod live;
mod lockout;
mod login;
mod pace;
mod portal;
mod proof;
mod random;
mod recheck;
mod redeem;
mod serve;
mod shared;
mod store;
#[cfg(test)]
mod testing;
mod text;
mod totp;
mod vault;
mod web;
