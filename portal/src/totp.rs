//! Time-based one-time codes (RFC 6238: SHA-1, 6 digits, 30 s): seeds, what the app is given, and
//! which step a typed code belongs to. Taking the step is the store's compare-and-set, not here.

use data_encoding::{BASE32_NOPAD, Specification};
use jiff::Timestamp;
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

pub(crate) const STEP_SECONDS: u64 = 30;
/// RFC 4226 §4 R6 recommends 160 bits.
const SEED_BYTES: usize = 20;
/// RFC 4226 §4 R6 demands 128 bits; shorter imported seeds are marked weak.
const STRONG_BYTES: usize = 16;
/// 80 bits is the shortest that is in use anywhere; less is a typing error.
const IMPORT_BYTES: std::ops::RangeInclusive<usize> = 10..=64;
/// How far the hint at enrolment looks for a phone's wrong clock: ten minutes.
const FAR_STEPS: u16 = 20;

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

    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
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
        let bytes = Zeroizing::new(bytes);
        if !IMPORT_BYTES.contains(&bytes.len()) {
            return Err(SeedError::Length(bytes.len() * 8));
        }
        Ok(Self(bytes))
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
        let totp = self
            .builder(0)
            .with_issuer(Some(issuer))
            .with_account_name(account);
        totp.build_noncompliant().to_url().ok().map(Zeroizing::new)
    }

    fn builder(&self, skew: u16) -> Builder {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(skew)
            .with_step_duration(STEP_SECONDS)
            .with_secret(self.0.as_slice())
    }

    fn totp(&self, skew: u16) -> Totp {
        // Imported seeds may be shorter than the RFC wants; they are marked, not refused.
        self.builder(skew).build_noncompliant()
    }

    /// The step `code` belongs to, if it is within `skew` steps of `now`.
    pub(crate) fn step_of(&self, code: &Code, now: Timestamp, skew: u16) -> Option<i64> {
        let now = u64::try_from(now.as_second()).ok()?;
        let step = self.totp(skew).check(&code.0, now)?;
        i64::try_from(step).ok()
    }

    /// For the hint at enrolment only, elsewhere it would be an oracle: how many seconds the
    /// phone's clock is ahead (or behind, negative), if the code fits a step not far away.
    pub(crate) fn clock_offset(&self, code: &Code, now: Timestamp) -> Option<i64> {
        let step = self.step_of(code, now, FAR_STEPS)?;
        Some(step * STEP_SECONDS.cast_signed() - now.as_second())
    }

    /// The code of a moment, as the app shows it.
    #[cfg(test)]
    pub(crate) fn code_at(&self, at: Timestamp) -> String {
        self.totp(0)
            .generate(u64::try_from(at.as_second()).unwrap())
            .to_string()
    }
}

/// The step of a moment.
pub(crate) fn step_at(now: Timestamp) -> i64 {
    now.as_second().div_euclid(STEP_SECONDS.cast_signed())
}

/// Six typed digits; its `Debug` shows nothing.
pub(crate) struct Code(Zeroizing<String>);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(…)")
    }
}

impl Code {
    /// Blanks and dashes are ignored and full-width digits (a Japanese keyboard) are read; anything
    /// else than six digits is none.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let mut digits = Zeroizing::new(String::with_capacity(6));
        for letter in typed
            .chars()
            .filter(|c| !c.is_whitespace() && !"-‐ー".contains(*c))
        {
            let digit = match letter {
                '0'..='9' => letter,
                '０'..='９' => {
                    char::from_u32(u32::from(letter) - u32::from('０') + u32::from('0'))?
                }
                _ => return None,
            };
            if digits.len() == 6 {
                return None;
            }
            digits.push(digit);
        }
        (digits.len() == 6).then_some(Self(digits))
    }
}

#[cfg(test)]
mod tests;
