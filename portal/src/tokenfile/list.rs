//! Comma-separated lists of OATH tokens as makers of hardware send them: serial, secret, type, and
//! where they differ from the usual, digits, period or counter, and hash function. A first line
//! with these names may put them in another order.

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

use super::{FileError, Imported, Read, before, seed, serial};
use crate::otp::{Algorithm, Moves, Recipe, Seed};

/// How secrets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Secrets {
    Hex,
    Base32,
}

const NAMES: [&str; 7] = [
    "serial",
    "secret",
    "type",
    "digits",
    "period",
    "algorithm",
    "counter",
];
const MOST: usize = 100_000;

/// Reads the whole list.
pub(crate) fn read(text: &str, secrets: Secrets) -> Result<Vec<Read>, FileError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut order: Vec<String> = NAMES.map(str::to_owned).to_vec();
    let (mut read, mut begun) = (Vec::new(), false);
    for (index, record) in reader.records().enumerate() {
        if index == MOST {
            return Err(FileError(format!("more than {MOST} lines; split the file")));
        }
        let at = match &record {
            Ok(record) => record.position(),
            Err(failure) => failure.position(),
        };
        let line = at.map_or(1, |at| line_of(text, at.byte()));
        let place = format!("line {line}");
        let record = match record {
            Ok(record) => record,
            Err(failure) => {
                let token = Err(failure.to_string());
                read.push(Read { place, token });
                continue;
            }
        };
        if record.get(0).is_some_and(|cell| cell.starts_with('#')) {
            continue;
        }
        let is_first = !std::mem::replace(&mut begun, true);
        if is_first
            && record
                .iter()
                .any(|cell| cell.eq_ignore_ascii_case("serial"))
        {
            order = record.iter().map(str::to_ascii_lowercase).collect();
            if let Some(unknown) = order.iter().find(|name| !NAMES.contains(&name.as_str())) {
                return Err(FileError(format!(
                    "{place}: there is no column {unknown:?}; columns are {}",
                    NAMES.join(", ")
                )));
            }
            continue;
        }
        let cell = |name: &str| {
            let at = order.iter().position(|own| own == name)?;
            record.get(at).filter(|text| !text.is_empty())
        };
        let token = one(cell, secrets);
        read.push(Read { place, token });
    }
    match read.is_empty() {
        true => Err(FileError("there is no token in it".into())),
        false => Ok(read),
    }
}

/// The line at a byte. The reader's own count is one behind where lines end in CR LF.
fn line_of(text: &str, byte: u64) -> usize {
    let upto = usize::try_from(byte)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let before = text.as_bytes().iter().take(upto);
    1 + before.filter(|byte| **byte == b'\n').count()
}

fn one<'a>(cell: impl Fn(&str) -> Option<&'a str>, secrets: Secrets) -> Result<Imported, String> {
    let number = |name: &str, default: i64| match cell(name) {
        None => Ok(default),
        Some(text) => text
            .parse::<i64>()
            .map_err(|_| format!("{name}: {text:?} is no number")),
    };
    let serial = serial(cell("serial").ok_or("there is no serial")?)?;
    let secret = cell("secret").ok_or("there is no secret")?;
    let seed = match secrets {
        Secrets::Base32 => Seed::from_base32(secret).map_err(|e| e.to_string())?,
        Secrets::Hex => {
            let bytes = HEXLOWER_PERMISSIVE.decode(secret.as_bytes());
            seed(Zeroizing::new(bytes.map_err(
                |_| "the secret is not hexadecimal; is it --secrets base32?",
            )?))?
        }
    };
    let period = number("period", 30)?;
    let (moves, last) = match cell("type").unwrap_or("hotp").to_ascii_lowercase().as_str() {
        "hotp" => (Moves::Press, before(number("counter", 0)?)?),
        "totp" => {
            let seconds = u32::try_from(period).map_err(|_| format!("period: {period} s"))?;
            (Moves::Time(seconds), 0)
        }
        other => return Err(format!("type: {other:?} is neither hotp nor totp")),
    };
    let algorithm: Algorithm = cell("algorithm").unwrap_or("sha1").parse()?;
    let digits = number("digits", 6)?;
    let recipe = u8::try_from(digits)
        .ok()
        .and_then(|n| Recipe::new(moves, algorithm, n));
    let recipe =
        recipe.ok_or_else(|| format!("there are no tokens of {digits} digits and {period} s"))?;
    Ok(Imported {
        serial,
        seed,
        recipe,
        last,
    })
}
