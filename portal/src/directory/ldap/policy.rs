//! The password policy control (draft-behera-ldap-password-policy-10 §6): what a server says beside
//! the result of a bind. What cannot be read says nothing.

use ldap3::{LdapResult, controls::RawControl};

const OID: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// What the control said that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Error 0: right, but too old.
    Expired,
    /// Error 1.
    Locked,
    /// Error 2: right, but somebody else set it.
    ChangeAfterReset,
    /// Warning 1: too old, and the server lets it pass so many times more.
    Grace(u32),
}

/// Asks for the control; a server that does not know it ignores it.
pub(super) fn request() -> RawControl {
    RawControl {
        ctype: OID.into(),
        crit: false,
        val: None,
    }
}

/// What the answer's control says.
pub(super) fn of(result: &LdapResult) -> Option<Policy> {
    let control = result.ctrls.iter().find(|control| control.1.ctype == OID)?;
    decode(control.1.val.as_deref()?)
}

/// `SEQUENCE { warning [0] CHOICE { timeBeforeExpiration [0], graceAuthNsRemaining [1] } OPTIONAL,
/// error [1] ENUMERATED OPTIONAL }`, in the short lengths that fit it.
fn decode(value: &[u8]) -> Option<Policy> {
    let (0x30, mut inside, []) = element(value)? else {
        return None;
    };
    let mut grace = None;
    while !inside.is_empty() {
        let (tag, content, rest) = element(inside)?;
        inside = rest;
        match (tag, content) {
            (0xa0, warning) => {
                if let Some((0x81, left, _)) = element(warning) {
                    grace = Some(Policy::Grace(number(left)?));
                }
            }
            (0x81, [0]) => return Some(Policy::Expired),
            (0x81, [1]) => return Some(Policy::Locked),
            (0x81, [2]) => return Some(Policy::ChangeAfterReset),
            _ => {}
        }
    }
    grace
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length, rest @ ..] = bytes else {
        return None;
    };
    // Longer forms would be more than this control can hold.
    let length = usize::from(*length);
    if length > 127 {
        return None;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn number(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 4 {
        return None;
    }
    Some(
        bytes
            .iter()
            .fold(0, |sum: u32, byte| (sum << 8) | u32::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_warnings_are_read() {
        for (bytes, expected) in [
            (&b"\x30\x03\x81\x01\x00"[..], Some(Policy::Expired)),
            (b"\x30\x03\x81\x01\x01", Some(Policy::Locked)),
            (b"\x30\x03\x81\x01\x02", Some(Policy::ChangeAfterReset)),
            (b"\x30\x05\xa0\x03\x81\x01\x02", Some(Policy::Grace(2))),
            (b"\x30\x05\xa0\x03\x80\x01\x3c", None),
            (b"\x30\x03\x81\x01\x06", None),
            (b"\x30\x00", None),
        ] {
            assert_eq!(decode(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_such_control_says_nothing() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x05\x81\x01\x00",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x04\x01\x00",
            b"\x30\x03\x81\x7f\x00",
            b"\x30\x04\xa0\x02\x81\x00",
            b"\x30\x03\x81\x01\x00junk",
        ] {
            assert_eq!(decode(bytes), None, "{bytes:x?}");
        }
    }
}
