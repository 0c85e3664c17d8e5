//! Whether a search filter fits an entry (RFC 4511 §4.5.1.7), without regard to case, and Active
//! Directory's rule for members of members.

use super::{Entry, Forest, ber};

const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

pub(super) fn fits(filter: ber::Element<'_>, entry: &Entry, forest: &Forest) -> bool {
    let (tag, content) = filter;
    let inner = || ber::all(content);
    match tag {
        0xa0 => inner().into_iter().all(|one| fits(one, entry, forest)),
        0xa1 => inner().into_iter().any(|one| fits(one, entry, forest)),
        0xa2 => !inner().into_iter().any(|one| fits(one, entry, forest)),
        0xa3 => match inner().as_slice() {
            [(_, name), (_, value)] => has(entry, &ber::text(name), value),
            _ => false,
        },
        0xa9 => chained(&inner(), entry, forest),
        0x87 => {
            let name = ber::text(content);
            name.eq_ignore_ascii_case("objectClass") || !entry.values(&name).is_empty()
        }
        _ => false,
    }
}

fn has(entry: &Entry, name: &str, value: &[u8]) -> bool {
    let values = entry.values(name);
    values.iter().any(|one| one.eq_ignore_ascii_case(value))
}

/// `(member:1.2.840.113556.1.4.1941:=DN)`: the DN is a member, or a member of a member.
fn chained(parts: &[ber::Element<'_>], entry: &Entry, forest: &Forest) -> bool {
    let part = |tag| parts.iter().find(|(found, _)| *found == tag);
    let text = |tag| part(tag).map(|(_, content)| ber::text(content));
    let (Some(rule), Some(name), Some(dn)) = (text(0x81), text(0x82), text(0x83)) else {
        return false;
    };
    rule == IN_CHAIN
        && name.eq_ignore_ascii_case("member")
        && forest.contains(entry, &dn, &mut Vec::new())
}
