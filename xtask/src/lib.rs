//! The verbs of `cargo xtask`, one file each, and the network building blocks that the
//! end-to-end tests share with the laboratory.

pub mod bench;
pub mod build;
pub mod clock;
pub mod codes;
pub mod command;
pub mod curl;
pub mod fuzz;
pub mod lab;
pub mod lint;
pub mod net;
pub mod setup;
pub mod test;
pub mod tidy;
pub mod traffic;
