//! Files of other systems' tokens: PSKC (RFC 6030), comma-separated lists, and the file of the
//! google-authenticator PAM module. Reading changes nothing; each token stands for itself, so that
//! one bad line does not hide the good ones.

mod google;
mod list;
mod pskc;

pub(crate) use google::read as google;
pub(crate) use list::{Secrets, read as list};
pub(crate) use pskc::{Unlock, read as pskc};

use zeroize::Zeroizing;

use crate::otp::{Recipe, Seed};

/// No file of tokens is larger.
pub(crate) const LARGEST: u64 = 10 * 1024 * 1024;

/// One token of a file.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) serial: String,
    pub(crate) seed: Seed,
    pub(crate) recipe: Recipe,
    /// The last step that counts as used.
    pub(crate) last: i64,
}

/// Where it stood, and what it is or why it is none.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) place: String,
    pub(crate) token: Result<Imported, String>,
}

/// The whole file is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FileError(String);

/// What is printed on a token: letters, digits, dots, dashes.
fn serial(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=64).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    match fits {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?} is no serial number: 1 to 64 letters, digits, '-', '.' or '_'"
        )),
    }
}

fn seed(bytes: Zeroizing<Vec<u8>>) -> Result<Seed, String> {
    Seed::imported(bytes).map_err(|e| e.to_string())
}

/// The last used counter where the next one is known.
fn before(next: i64) -> Result<i64, String> {
    match (0..i64::MAX).contains(&next) {
        true => Ok(next - 1),
        false => Err(format!("{next} is no counter")),
    }
}

#[cfg(test)]
mod tests;
