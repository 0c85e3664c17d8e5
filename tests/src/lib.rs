//! What the end-to-end tests share: networks of their own, the two daemons as child processes,
//! raw packets, and the programs that play the outside world. Everything a test makes is gone
//! when its values are dropped.

pub mod agent;
pub mod bench;
pub mod browser;
pub mod compare;
pub mod fake_ad;
pub mod generate;
pub mod lane;
pub mod loaded;
pub mod lookup;
pub mod oracle;
pub mod packet;
pub mod portal;
pub mod rig;
pub mod slapd;
pub mod smtp;
pub mod story;
pub mod tools;
pub mod wire;

pub use agent::Agent;
pub use portal::Portal;
pub use rig::Rig;
