//! The shared secret of a token, as it is made, read from other systems, and given to an app.

use data_encoding::{BASE32_NOPAD, Specification};
use zeroize::Zeroizing;

use super::Recipe;

/// RFC 4226 §4 R6 recommends 160 bits.
const SEED_BYTES: usize = 20;
/// RFC 4226 §4 R6 demands 128 bits; shorter imported seeds are marked weak.
const STRONG_BYTES: usize = 16;
/// 80 bits is the shortest that is in use anywhere; less is a typing error.
const IMPORT_BYTES: std::ops::RangeInclusive<usize> = 10..=64;

/// The shared secret of a token; its `Debug` shows nothing.
#[derive(Clone)]
pub(crate) struct Seed(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// Why a text is no seed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SeedError {
    #[error("the secret is not Base32 (letters A to Z and digits 2 to 7)")]
    NotBase32,
    #[error("the secret has {0} bits; 80 to 512 are taken")]
    Length(usize),
}

impl Seed {
    pub(crate) fn random() -> Self {
        Self(Zeroizing::new(
            crate::random::bytes::<SEED_BYTES>().to_vec(),
        ))
    }

    /// One that was stored.
    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// One of another system.
    pub(crate) fn imported(bytes: Zeroizing<Vec<u8>>) -> Result<Self, SeedError> {
        match IMPORT_BYTES.contains(&bytes.len()) {
            true => Ok(Self(bytes)),
            false => Err(SeedError::Length(bytes.len() * 8)),
        }
    }

    /// Reads what other systems print: any case, blanks, dashes and padding are ignored.
    pub(crate) fn from_base32(text: &str) -> Result<Self, SeedError> {
        let mut specification: Specification = BASE32_NOPAD.specification();
        specification.ignore.push_str(" -=\t\r\n");
        specification.translate.from = "abcdefghijklmnopqrstuvwxyz".into();
        specification.translate.to = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".into();
        specification.check_trailing_bits = false;
        let encoding = specification.encoding().map_err(|_| SeedError::NotBase32)?;
        let bytes = encoding
            .decode(text.as_bytes())
            .map_err(|_| SeedError::NotBase32)?;
        Self::imported(Zeroizing::new(bytes))
    }

    pub(crate) fn is_weak(&self) -> bool {
        self.0.len() < STRONG_BYTES
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Base32 in groups of four, for typing.
    pub(crate) fn grouped(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(BASE32_NOPAD.encode(&self.0));
        let mut out = String::with_capacity(text.len() + text.len() / 4);
        for (index, letter) in text.chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                out.push(' ');
            }
            out.push(letter);
        }
        Zeroizing::new(out)
    }

    /// `otpauth://totp/issuer:account?secret=…`, for the QR code.
    pub(crate) fn url(&self, issuer: &str, account: &str) -> Option<Zeroizing<String>> {
        // A ':' would part issuer and account in the wrong place.
        let account = account.replace(':', "_");
        let totp = Recipe::STANDARD
            .builder(self, 0)
            .with_issuer(Some(issuer))
            .with_account_name(account);
        totp.build_noncompliant().to_url().ok().map(Zeroizing::new)
    }

    /// The code of a moment, as the app shows it.
    #[cfg(test)]
    pub(crate) fn code_at(&self, at: jiff::Timestamp) -> String {
        Recipe::STANDARD.code(self, at.as_second() / 30).unwrap()
    }
}
