//! Reads a person out of an LDAP entry. An entry without DN, name or stable id is no person.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ldap3::{SearchEntry, ldap_unescape};

use crate::{
    config::LdapSettings,
    directory::{Account, AccountState},
};

/// What servers say about disabled accounts: Active Directory, 389 Directory Server.
pub(super) const STATE_ATTRIBUTES: [&str; 3] =
    ["userAccountControl", "accountExpires", "nsAccountLock"];
/// ACCOUNTDISABLE of userAccountControl.
const DISABLED: u32 = 2;
/// Seconds from 1601, where accountExpires starts to count in 100 ns, to 1970.
const FROM_1601: i64 = 11_644_473_600;

fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
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

/// The stable id: text, or bytes in hexadecimal.
fn id(entry: &SearchEntry, attribute: &str) -> Option<String> {
    let bytes = entry
        .bin_attrs
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
        .and_then(|(_, values)| values.first());
    match bytes {
        Some(bytes) => Some(HEXLOWER.encode(bytes)),
        // A GUID that happens to be valid text must give the same id as one that is not.
        None if attribute.eq_ignore_ascii_case("objectGUID") => {
            first(entry, attribute).map(|text| HEXLOWER.encode(text.as_bytes()))
        }
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
    let groups = settings
        .member_of
        .as_deref()
        .map_or(&[][..], |of| values(entry, of));
    Ok(Account {
        id: format!("ldap:{id}"),
        name,
        groups: groups.iter().filter_map(|dn| first_value(dn)).collect(),
        state: state(entry, now),
        handle: entry.dn.clone(),
        mail: first(entry, &settings.mail_attribute),
    })
}

fn state(entry: &SearchEntry, now: Timestamp) -> AccountState {
    let control = first(entry, "userAccountControl").and_then(|text| text.parse::<u32>().ok());
    let locked =
        first(entry, "nsAccountLock").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    // Zero and the largest number both mean never.
    let expires = first(entry, "accountExpires")
        .and_then(|text| text.parse::<i64>().ok())
        .filter(|ticks| (1..i64::MAX).contains(ticks))
        .map(|ticks| ticks / 10_000_000 - FROM_1601);
    if locked || control.is_some_and(|control| control & DISABLED != 0) {
        AccountState::Disabled
    } else if expires.is_some_and(|expires| expires <= now.as_second()) {
        AccountState::Expired
    } else {
        AccountState::Active
    }
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
