//! Reads a person out of an LDAP entry. An entry without DN, name or stable id is no person.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ldap3::{SearchEntry, ldap_unescape};

use crate::{
    config::LdapSettings,
    directory::{Account, Dn},
};

mod state;

pub(super) use state::ATTRIBUTES as STATE_ATTRIBUTES;

pub(super) fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
    // Servers may answer in another case than they were asked in.
    entry
        .attrs
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
        .map_or(&[], |(_, values)| values.as_slice())
}

/// The first value of an attribute.
pub(super) fn first(entry: &SearchEntry, attribute: &str) -> Option<String> {
    values(entry, attribute).first().cloned()
}

/// A GUID as Windows writes it: the first three parts are little-endian (MS-DTYP 2.3.4).
fn guid(bytes: &[u8]) -> Option<String> {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes else {
        return None;
    };
    let (two, six) = rest.split_at_checked(2)?;
    (six.len() == 6).then(|| {
        let first = HEXLOWER.encode(&[*d, *c, *b, *a]);
        let (second, third) = (HEXLOWER.encode(&[*f, *e]), HEXLOWER.encode(&[*h, *g]));
        let (two, six) = (HEXLOWER.encode(two), HEXLOWER.encode(six));
        format!("{first}-{second}-{third}-{two}-{six}")
    })
}

/// The bytes of a GUID that [`guid`] wrote.
pub(super) fn guid_bytes(text: &str) -> Option<Vec<u8>> {
    let hex: String = text.chars().filter(|letter| *letter != '-').collect();
    let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes.as_slice() else {
        return None;
    };
    let mut plain = vec![*d, *c, *b, *a, *f, *e, *h, *g];
    plain.extend_from_slice(rest);
    (plain.len() == 16).then_some(plain)
}

/// The stable id: text, bytes in hexadecimal, or the usual text of a GUID.
fn id(entry: &SearchEntry, attribute: &str) -> Option<String> {
    let bytes = entry
        .bin_attrs
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
        .and_then(|(_, values)| values.first());
    if attribute.eq_ignore_ascii_case("objectGUID") {
        // A GUID that happens to be valid text must give the same id as one that is not.
        let text = first(entry, attribute);
        let bytes = bytes.map(Vec::as_slice);
        return guid(bytes.or(text.as_deref().map(str::as_bytes))?);
    }
    match bytes {
        Some(bytes) => Some(HEXLOWER.encode(bytes)),
        None => first(entry, attribute),
    }
}

/// Err: what the entry lacks.
pub(super) fn account(
    settings: &LdapSettings,
    entry: &SearchEntry,
    now: Timestamp,
) -> Result<Account, String> {
    let lacks = |what: &str| format!("the entry {:?} has no {what}", entry.dn);
    if entry.dn.is_empty() {
        return Err("an entry without a DN".into());
    }
    let id = id(entry, &settings.id_attribute)
        .filter(|id| !id.is_empty())
        .ok_or_else(|| lacks(&settings.id_attribute))?;
    let name = first(entry, &settings.name_attribute)
        .filter(|name| !name.is_empty() && name.len() <= 256)
        .ok_or_else(|| lacks(&settings.name_attribute))?;
    let (groups, group_dns) = groups(settings, entry);
    Ok(Account {
        id: format!("ldap:{id}"),
        name,
        groups,
        group_dns,
        state: state::of(entry, now),
        handle: entry.dn.clone(),
        mail: first(entry, &settings.mail_attribute),
    })
}

/// Names and full names of the groups on the entry. Where it is said where groups lie, one that
/// lies elsewhere is none: somebody who may make groups there could give it another one's name.
fn groups(settings: &LdapSettings, entry: &SearchEntry) -> (Vec<String>, Vec<String>) {
    let listed = settings
        .member_of
        .as_deref()
        .map_or(&[][..], |of| values(entry, of));
    let within = |dn: &Option<Dn>| {
        let base = settings.groups_within.as_ref();
        base.is_none_or(|base| dn.as_ref().is_some_and(|dn| dn.is_within(base)))
    };
    listed
        .iter()
        .filter_map(|text| {
            let dn = Some(Dn::parse(text)).filter(within)?;
            Some((first_value(text)?, full_name(dn, text)))
        })
        .unzip()
}

/// The one spelling; of what cannot be read the text itself, which is nobody's full name.
pub(super) fn full_name(dn: Option<Dn>, text: &str) -> String {
    dn.map_or_else(|| text.to_owned(), |dn| dn.to_string())
}

/// The value of a DN's first part: `staff` of `cn=staff,ou=groups,dc=example`.
pub(super) fn first_value(dn: &str) -> Option<String> {
    let mut end = dn.len();
    let mut escaped = false;
    for (at, letter) in dn.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' | '+' => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (_, value) = dn.get(..end)?.split_once('=')?;
    Some(unescape(value.trim())).filter(|value| !value.is_empty())
}

/// RFC 4514 §2.4: `\,` stands for itself, `\2c` for the byte.
fn unescape(value: &str) -> String {
    let mut hex = String::with_capacity(value.len());
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(next)) if !next.is_ascii_hexdigit() => {
                // Kept out of the reach of the hexadecimal reading below.
                let plain = letters.next().unwrap_or('\\');
                let mut bytes = [0; 4];
                for byte in plain.encode_utf8(&mut bytes).bytes() {
                    hex.push_str(&format!("\\{byte:02x}"));
                }
            }
            _ => hex.push(letter),
        }
    }
    ldap_unescape(hex.as_str()).map_or_else(|_| value.to_owned(), std::borrow::Cow::into_owned)
}
