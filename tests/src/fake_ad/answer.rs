//! What the fake says to a search: entries with the attributes asked for, whole or by pieces, a page
//! at a time, and a referral among them.

use super::{BASE, Entry, Forest, Port, Tricks, ber, filter};

const PAGED: &[u8] = b"1.2.840.113556.1.4.319";
/// What the Global Catalog has of a person.
const PARTIAL: [&str; 9] = [
    "objectCategory",
    "objectClass",
    "sAMAccountName",
    "userPrincipalName",
    "userAccountControl",
    "objectGUID",
    "cn",
    "member",
    "memberOf",
];

/// What a search asks for.
pub(super) struct Asked {
    pub(super) port: Port,
    pub(super) base: String,
    pub(super) scope: u32,
    pub(super) size: usize,
    /// Size and where to go on.
    pub(super) page: Option<(usize, usize)>,
    pub(super) wanted: Vec<String>,
}

impl Asked {
    pub(super) fn answer(
        &self,
        id: u32,
        filter: ber::Element<'_>,
        forest: &Forest,
        tricks: &Tricks,
    ) -> Vec<u8> {
        if tricks.only_referral {
            return ber::message(id, &result(0x65, 10, "0000202B: RefErr"), None);
        }
        let base = self.base.to_lowercase();
        let is_below = |entry: &&Entry| {
            let dn = entry.dn.to_lowercase();
            match self.scope {
                0 => dn == base,
                _ => dn.ends_with(&base),
            }
        };
        let mut found: Vec<&Entry> = forest
            .entries
            .iter()
            .filter(is_below)
            .filter(|entry| filter::fits(filter, entry, forest))
            .collect();
        if tricks.copies > 0 {
            found = found.repeat(tricks.copies);
        }
        let too_many = tricks.copies == 0 && self.size > 0 && found.len() > self.size;
        if too_many {
            found.truncate(self.size);
        }
        let (from, size) = self
            .page
            .map_or((0, found.len()), |(size, from)| (from, size));
        let left = found.len().saturating_sub(from + size);
        let mut bytes = Vec::new();
        for entry in found.into_iter().skip(from).take(size) {
            bytes.extend(ber::message(id, &self.entry(entry, forest, tricks), None));
        }
        if let Some(url) = &tricks.referral
            && self.scope != 0
        {
            let reference = ber::encode(0x73, &ber::octets(url));
            bytes.extend(ber::message(id, &reference, None));
        }
        let code = if too_many { 4 } else { 0 };
        let next = if left > 0 {
            (from + size).to_string()
        } else {
            String::new()
        };
        let control = self.page.map(|_| paged(&next));
        bytes.extend(ber::message(
            id,
            &result(0x65, code, ""),
            control.as_deref(),
        ));
        bytes
    }

    fn entry(&self, entry: &Entry, forest: &Forest, tricks: &Tricks) -> Vec<u8> {
        let mut attributes = Vec::new();
        for wanted in &self.wanted {
            let (name, range) = wanted.split_once(';').unwrap_or((wanted, ""));
            let partial = PARTIAL.iter().any(|one| one.eq_ignore_ascii_case(name));
            if self.port == Port::GlobalCatalog && !partial {
                continue;
            }
            let values = match name.eq_ignore_ascii_case("memberOf") {
                true => forest.member_of(&entry.dn),
                false => entry.values(name).to_vec(),
            };
            let written = entry.names().find(|one| one.eq_ignore_ascii_case(name));
            let written = written.map_or(name, String::as_str);
            for (name, values) in pieces(written, range, &values, tricks) {
                let values: Vec<u8> = values.iter().flat_map(ber::octets).collect();
                let mut attribute = ber::octets(name);
                attribute.extend(ber::encode(0x31, &values));
                attributes.extend(ber::encode(0x30, &attribute));
            }
        }
        let mut content = ber::octets(&entry.dn);
        content.extend(ber::encode(0x30, &attributes));
        ber::encode(0x64, &content)
    }
}

/// An attribute as it is answered: whole, or the piece asked for and, first, an empty whole.
fn pieces(
    name: &str,
    range: &str,
    values: &[Vec<u8>],
    tricks: &Tricks,
) -> Vec<(String, Vec<Vec<u8>>)> {
    let most = tricks.piece;
    if values.is_empty() {
        return Vec::new();
    }
    if range.is_empty() && (most == 0 || values.len() <= most) {
        return vec![(name.to_owned(), values.to_vec())];
    }
    let from = range
        .strip_prefix("range=")
        .and_then(|rest| rest.split('-').next());
    let from: usize = from.and_then(|number| number.parse().ok()).unwrap_or(0);
    let end = from + most.max(1);
    let (piece, to) = if tricks.endless {
        let again = values.iter().cycle().take(end - from).cloned();
        (again.collect(), (end - 1).to_string())
    } else if end < values.len() {
        let piece = values.get(from..end).unwrap_or_default().to_vec();
        (piece, (end - 1).to_string())
    } else {
        let piece = values.get(from..).unwrap_or_default().to_vec();
        (piece, "*".to_owned())
    };
    vec![
        (name.to_owned(), Vec::new()),
        (format!("{name};range={from}-{to}"), piece),
    ]
}

/// The root entry, shown to everybody.
pub(super) fn root(id: u32) -> Vec<u8> {
    let attribute = |name: &str, value: &str| {
        let mut inside = ber::octets(name);
        inside.extend(ber::encode(0x31, &ber::octets(value)));
        ber::encode(0x30, &inside)
    };
    let mut attributes = attribute("defaultNamingContext", BASE);
    attributes.extend(attribute("isGlobalCatalogReady", "TRUE"));
    attributes.extend(attribute("supportedCapabilities", "1.2.840.113556.1.4.800"));
    let mut content = ber::octets("");
    content.extend(ber::encode(0x30, &attributes));
    let mut bytes = ber::message(id, &ber::encode(0x64, &content), None);
    bytes.extend(ber::message(id, &result(0x65, 0, ""), None));
    bytes
}

pub(super) fn result(tag: u8, code: u32, text: &str) -> Vec<u8> {
    let mut content = ber::encode(0x0a, &[u8::try_from(code).unwrap_or(80)]);
    content.extend(ber::octets(""));
    content.extend(ber::octets(text));
    if code == 10 {
        let url = ber::octets("ldap://elsewhere.example.org/DC=example,DC=org");
        content.extend(ber::encode(0xa3, &url));
    }
    ber::encode(tag, &content)
}

/// The paged results control of a request (RFC 2696): size, and where the last page ended.
pub(super) fn page(controls: &[ber::Element<'_>]) -> Option<(usize, usize)> {
    let (_, controls) = controls.iter().find(|(tag, _)| *tag == 0xa0)?;
    let control = ber::all(controls)
        .into_iter()
        .map(|(_, control)| ber::all(control))
        .find(|parts| parts.first().is_some_and(|(_, oid)| *oid == PAGED))?;
    let (_, value) = control.last()?;
    let ((_, inside), _) = ber::split(value)?;
    let parts = ber::all(inside);
    let (_, size) = parts.first()?;
    let (_, cookie) = parts.get(1)?;
    let from = ber::text(cookie).parse().unwrap_or(0);
    Some((usize::try_from(ber::value(size)).ok()?, from))
}

fn paged(next: &str) -> Vec<u8> {
    let mut inside = ber::number(0x02, 0);
    inside.extend(ber::octets(next));
    let mut control = ber::octets(PAGED);
    control.extend(ber::octets(ber::encode(0x30, &inside)));
    ber::encode(0x30, &control)
}
