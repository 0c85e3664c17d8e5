//! The kernel object, built from source by build.rs and embedded: one file to install.

use aya::include_bytes_aligned;

/// An ELF file for the BPF target.
pub static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter"));

/// Name of the program inside it.
pub(super) const PROGRAM: &str = "sekisho";
