//! Connections of the fake: a thread each, messages in order.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};

use super::{BASE, Entry, Forest, Port, SEARCHER, Shared, Tricks, ber, filter};

const PAGED: &[u8] = b"1.2.840.113556.1.4.319";
/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(120);
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

pub(super) fn accept(listener: &TcpListener, shared: &Shared, port: Port) {
    for stream in listener.incoming().flatten() {
        let shared = shared.clone();
        thread::spawn(move || {
            if shared.inside().tricks.silent {
                thread::sleep(LONG);
            }
            let Ok(tls) = ServerConnection::new(shared.tls.clone()) else {
                return;
            };
            let client = Client {
                stream: StreamOwned::new(tls, stream),
                shared,
                port,
                bound: String::new(),
            };
            // The other side may break off at any time.
            drop(client.serve());
        });
    }
}

struct Client {
    stream: StreamOwned<ServerConnection, TcpStream>,
    shared: Shared,
    port: Port,
    /// As whom, in lower case.
    bound: String,
}

impl Client {
    fn serve(mut self) -> io::Result<()> {
        while let Some(message) = self.read()? {
            let parts = ber::all(&message);
            let [(_, id), (tag, operation), rest @ ..] = parts.as_slice() else {
                return Ok(());
            };
            if self.shared.inside().tricks.silent {
                thread::sleep(LONG);
            }
            let id = ber::value(id);
            match tag {
                0x60 => self.bind(id, operation)?,
                0x63 => self.search(id, operation, rest)?,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// The content of the next message.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut one = [0];
        loop {
            if let Some(((0x30, content), _)) = ber::split(&bytes) {
                return Ok(Some(content.to_vec()));
            }
            if bytes.len() > 1 << 20 || self.stream.read(&mut one)? == 0 {
                return Ok(None);
            }
            bytes.extend(one);
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    fn bind(&mut self, id: u32, operation: &[u8]) -> io::Result<()> {
        let parts = ber::all(operation);
        let (Some((_, name)), Some((_, password))) = (parts.get(1), parts.get(2)) else {
            return Ok(());
        };
        let dn = ber::text(name).to_lowercase();
        let (stalled, answer) = {
            let mut inside = self.shared.inside();
            *inside.binds.entry(dn.clone()).or_default() += 1;
            let stalled = inside
                .tricks
                .stalled
                .iter()
                .any(|one| one.to_lowercase() == dn);
            let answer = judge(&inside.forest, &inside.tricks, &dn, password);
            (stalled, answer)
        };
        if stalled {
            thread::sleep(LONG);
        }
        self.bound = if answer.0 == 0 { dn } else { String::new() };
        let result = result(0x61, answer.0, &answer.1);
        self.send(&ber::message(id, &result, None))
    }

    fn search(
        &mut self,
        id: u32,
        operation: &[u8],
        controls: &[ber::Element<'_>],
    ) -> io::Result<()> {
        let parts = ber::all(operation);
        let [
            (_, base),
            (_, scope),
            _,
            (_, size),
            _,
            _,
            filter,
            (_, wanted),
        ] = parts.as_slice()
        else {
            return Ok(());
        };
        let base = ber::text(base);
        let asked = Asked {
            port: self.port,
            scope: ber::value(scope),
            size: usize::try_from(ber::value(size)).unwrap_or(0),
            page: page(controls),
            wanted: ber::all(wanted)
                .iter()
                .map(|(_, name)| ber::text(name))
                .collect(),
            base,
        };
        let bytes = {
            let mut inside = self.shared.inside();
            inside.searches += 1;
            if asked.base.is_empty() && asked.scope == 0 {
                root(id)
            } else if !inside.tricks.garbage.is_empty() {
                inside.tricks.garbage.clone()
            } else if self.bound != SEARCHER.to_lowercase() {
                let text = "000004DC: LdapErr: DSID-0C090A5E, comment: In order to perform this \
                            operation a successful bind must be completed on the connection.";
                ber::message(id, &result(0x65, 1, text), None)
            } else {
                asked.answer(id, *filter, &inside.forest, &inside.tricks)
            }
        };
        self.send(&bytes)
    }
}

fn judge(forest: &Forest, tricks: &Tricks, dn: &str, password: &[u8]) -> (u32, String) {
    if tricks.saw_no_tls {
        let text = "00002028: LdapErr: DSID-0C090259, comment: The server requires binds to turn \
                    on integrity checking if SSL\\TLS are not already active on the connection";
        return (8, text.into());
    }
    if dn.is_empty() {
        return (0, String::new());
    }
    let mut entries = forest.entries.iter();
    let judged = match entries.find(|entry| entry.dn.to_lowercase() == dn) {
        Some(entry) => entry.judge(password),
        None => Err("525"),
    };
    match judged {
        Ok(()) => (0, String::new()),
        Err(code) => {
            let text = format!(
                "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data \
                 {code}, v2580\0"
            );
            (49, text)
        }
    }
}

/// What a search asks for.
struct Asked {
    port: Port,
    base: String,
    scope: u32,
    size: usize,
    /// Size and where to go on.
    page: Option<(usize, usize)>,
    wanted: Vec<String>,
}

impl Asked {
    fn answer(
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
fn root(id: u32) -> Vec<u8> {
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

fn result(tag: u8, code: u32, text: &str) -> Vec<u8> {
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
fn page(controls: &[ber::Element<'_>]) -> Option<(usize, usize)> {
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
