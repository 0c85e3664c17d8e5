//! As much of BER (X.690) as LDAP uses: definite lengths, tags of one byte.

/// Tag and content.
pub(super) type Element<'a> = (u8, &'a [u8]);

/// One element, encoded.
pub(super) fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = content.len();
    match u8::try_from(length) {
        Ok(short) if short < 128 => bytes.push(short),
        _ => {
            bytes.push(0x84);
            bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    bytes.extend(content);
    bytes
}

pub(super) fn octets(content: impl AsRef<[u8]>) -> Vec<u8> {
    encode(0x04, content.as_ref())
}

/// An INTEGER or, by its tag, an ENUMERATED.
pub(super) fn number(tag: u8, value: u32) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(value.to_be_bytes());
    encode(tag, &bytes)
}

/// A message with its id.
pub(super) fn message(id: u32, operation: &[u8], controls: Option<&[u8]>) -> Vec<u8> {
    let mut inside = number(0x02, id);
    inside.extend(operation);
    if let Some(controls) = controls {
        inside.extend(encode(0xa0, controls));
    }
    encode(0x30, &inside)
}

/// The first element and what follows it.
pub(super) fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let [tag, length, rest @ ..] = bytes else {
        return None;
    };
    let (length, rest) = match length {
        0..=127 => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let sum = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (sum, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((*tag, content), rest))
}

/// All elements in a row; stops at the first that is none.
pub(super) fn all(mut bytes: &[u8]) -> Vec<Element<'_>> {
    let mut elements = Vec::new();
    while let Some((element, rest)) = split(bytes) {
        elements.push(element);
        bytes = rest;
    }
    elements
}

pub(super) fn value(content: &[u8]) -> u32 {
    content
        .iter()
        .fold(0, |sum, byte| sum.wrapping_shl(8) | u32::from(*byte))
}

pub(super) fn text(content: &[u8]) -> String {
    String::from_utf8_lossy(content).into_owned()
}
