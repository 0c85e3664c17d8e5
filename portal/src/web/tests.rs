//! The router as a browser or a script meets it, with a fake agent behind it.

mod access;
mod captive;
mod cross;
mod desk;
mod enrolment;
mod fit;
mod follow;
mod forms;
mod login;
mod look;
mod owner;
mod recovery;
mod robust;
mod shared;
