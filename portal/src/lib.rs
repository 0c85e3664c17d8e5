//! The web portal: proves who somebody is by directory password and one-time code
//! or passkey, and asks the
//! agent to open services for the address they prove themselves from. It cannot open anything
//! itself: it has no path to the filter, and asking needs a proof that only the checks can make.

#![forbid(unsafe_code)]

mod access;
mod admit;
mod audit;
mod banner;
mod bulk;
pub mod cli;
mod client_addr;
mod clock;
mod codes;
mod config;
mod crossing;
mod desk;
mod directory;
mod enrol;
mod exceptions;
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
mod look;
mod lost;
mod mail;
mod not_me;
mod notices;
mod ntp;
mod otp;
mod pace;
mod passkeys;
mod portal;
mod proof;
mod random;
mod recheck;
mod recovery;
mod redeem;
mod reports;
mod resync;
mod review;
mod serve;
mod shared;
mod stepup;
mod store;
#[cfg(test)]
mod testing;
mod text;
mod tokenfile;
mod vault;
mod web;
