//! LDIF of people (RFC 2849): content records with folding, comments and base64. Addresses of other
//! files (`:<`) and change records are refused, entry by entry.

use data_encoding::BASE64;

use super::{Entry, Wish};

/// One unfolded line and where it begins.
struct Line {
    number: usize,
    bytes: Vec<u8>,
}

/// Err: it is LDIF of another version.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut record: Vec<Line> = Vec::new();
    for line in unfold(bytes) {
        if line.bytes.is_empty() {
            end(&mut entries, &mut record);
        } else if line.bytes.first() == Some(&b'#') {
            // A comment stands anywhere, folded ones included.
        } else if entries.is_empty() && record.is_empty() && is_version(&line.bytes)? {
            // Before the first entry, perhaps without an empty line behind it.
        } else {
            record.push(line);
        }
    }
    end(&mut entries, &mut record);
    Ok(entries)
}

/// Joins folded lines: one that begins with a space goes on with the line before (§2 note 2).
fn unfold(bytes: &[u8]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        match (raw.strip_prefix(b" "), lines.last_mut()) {
            (Some(rest), Some(before)) if !before.bytes.is_empty() => {
                before.bytes.extend_from_slice(rest);
            }
            _ => lines.push(Line {
                number: index + 1,
                bytes: raw.to_vec(),
            }),
        }
    }
    lines
}

fn is_version(line: &[u8]) -> Result<bool, String> {
    let Some(rest) = line.strip_prefix(b"version:") else {
        return Ok(false);
    };
    match rest.trim_ascii() {
        b"1" => Ok(true),
        _ => Err("it is LDIF of another version than 1".into()),
    }
}

fn end(entries: &mut Vec<Entry>, record: &mut Vec<Line>) {
    let lines = std::mem::take(record);
    let Some(first) = lines.first() else { return };
    let line = first.number;
    let read = wish(&lines);
    entries.push(Entry { line, read });
}

fn wish(lines: &[Line]) -> Result<Wish, String> {
    let (mut uid, mut sam) = (None, None);
    for (index, line) in lines.iter().enumerate() {
        let (name, value) = attribute(line)?;
        let name = name.to_ascii_lowercase();
        match (index, name.as_str()) {
            (0, "dn") => {}
            (0, _) => return Err("the entry does not begin with dn:".into()),
            (_, "changetype") if !value.eq_ignore_ascii_case(b"add") => {
                return Err("it is a change, not an entry".into());
            }
            (_, "uid") if uid.is_none() => uid = Some(text(value)?),
            (_, "samaccountname") if sam.is_none() => sam = Some(text(value)?),
            _ => {}
        }
    }
    let user = uid
        .or(sam)
        .ok_or("the entry has neither uid nor sAMAccountName")?;
    Ok(Wish {
        user,
        ..Wish::default()
    })
}

fn text(value: Vec<u8>) -> Result<String, String> {
    String::from_utf8(value).map_err(|_| "its name is not UTF-8".into())
}

/// `name: value`, or `name:: base64`. Options (`;lang-ja`) belong to the name.
fn attribute(line: &Line) -> Result<(String, Vec<u8>), String> {
    let bytes = line.bytes.as_slice();
    let said = |what: &str| format!("line {}: {what}", line.number);
    let colon = bytes.iter().position(|byte| *byte == b':');
    let (name, rest) = colon
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or_else(|| said("there is no colon"))?;
    let name = std::str::from_utf8(name).map_err(|_| said("the attribute cannot be read"))?;
    if name.is_empty() || name.contains(' ') {
        return Err(said("the attribute cannot be read"));
    }
    let value = match rest {
        [b':', b':', encoded @ ..] => {
            let encoded = encoded.trim_ascii();
            BASE64
                .decode(encoded)
                .map_err(|_| said("the base64 cannot be read"))?
        }
        [b':', b'<', ..] => return Err(said("a value in another file is not read")),
        [b':', plain @ ..] => {
            let at = plain.iter().position(|byte| *byte != b' ');
            let spaces = at.unwrap_or(plain.len());
            plain.get(spaces..).unwrap_or_default().to_vec()
        }
        _ => return Err(said("there is no colon")),
    };
    Ok((name.to_owned(), value))
}
