//! Random identifiers and secrets, all from the system's generator.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use sha2::{Digest as _, Sha256};

/// Random bytes from a generator that is seeded and reseeded by the system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    rand::fill(&mut out);
    out
}

/// A short identifier without meaning, e.g. `t-k3f9q2mb`; not a secret.
pub(crate) fn id(kind: char) -> String {
    format!(
        "{kind}-{}",
        BASE32_NOPAD.encode(&bytes::<5>()).to_lowercase()
    )
}

/// 256 bits for cookies and handles.
pub(crate) fn handle() -> String {
    BASE64URL_NOPAD.encode(&bytes::<32>())
}

/// Joins the portal's page, log and audit.
pub(crate) fn request_id() -> String {
    BASE32_NOPAD.encode(&bytes::<5>())
}

/// What is stored of a secret that is itself random.
pub(crate) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}
