//! The file that the google-authenticator PAM module keeps for each user: the secret, options in
//! lines that begin with a quote, and emergency codes, which are too short to be taken over.

use zeroize::Zeroizing;

use super::{FileError, Imported, before};
use crate::otp::{Algorithm, Moves, Recipe, Seed};

/// The token, and how many emergency codes were left behind.
pub(crate) fn read(text: &str) -> Result<(Imported, usize), FileError> {
    let mut lines = text.lines().map(str::trim_end);
    let secret = Zeroizing::new(lines.next().unwrap_or_default().to_owned());
    let seed = Seed::from_base32(&secret)
        .map_err(|e| FileError(format!("line 1 must be the secret: {e}")))?;
    let (mut moves, mut last, mut emergency) = (None, 0, 0);
    let mut period = 30;
    for (index, line) in lines.enumerate() {
        let number = index + 2;
        let bad = |what: &str| FileError(format!("line {number}: {what}"));
        let Some(option) = line.strip_prefix("\" ") else {
            match line.len() {
                0 => {}
                8 if line.chars().all(|c| c.is_ascii_digit()) => emergency += 1,
                _ => return Err(bad("neither an option nor an emergency code")),
            }
            continue;
        };
        let mut words = option.split_whitespace();
        match (words.next(), words.next()) {
            (Some("TOTP_AUTH"), _) => moves = Some(false),
            (Some("HOTP_COUNTER"), Some(next)) => {
                moves = Some(true);
                let next = next.parse().map_err(|_| bad("no number"))?;
                last = before(next).map_err(|e| bad(&e))?;
            }
            (Some("STEP_SIZE"), Some(seconds)) => {
                period = seconds.parse().map_err(|_| bad("no number of seconds"))?;
            }
            // Limits and windows are the portal's own.
            _ => {}
        }
    }
    let moves = match moves {
        Some(true) => Moves::Press,
        Some(false) => Moves::Time(period),
        None => {
            return Err(FileError(
                "neither TOTP_AUTH nor HOTP_COUNTER stands in it: not a google-authenticator file"
                    .into(),
            ));
        }
    };
    let recipe = Recipe::new(moves, Algorithm::Sha1, 6)
        .ok_or_else(|| FileError(format!("a step of {period} s is not known")))?;
    let token = Imported {
        serial: String::new(),
        seed,
        recipe,
        last,
    };
    Ok((token, emergency))
}
