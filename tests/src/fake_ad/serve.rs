//! Connections of the fake: a thread each, messages in order.

use std::{
    io::{self, Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use super::{
    Inside, Port, SEARCHER, Shared,
    answer::{Asked, page, result, root},
    ber,
    stream::Stream,
};

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(120);
/// Of the extended operation StartTLS (RFC 4511, 4.14).
const STARTTLS: &str = "1.3.6.1.4.1.1466.20037";

pub(super) fn accept(listener: &TcpListener, shared: &Shared, port: Port) {
    for stream in listener.incoming().flatten() {
        let shared = shared.clone();
        thread::spawn(move || {
            if shared.inside().tricks.silent {
                thread::sleep(LONG);
            }
            let mut stream = Stream::Plain(stream);
            if port != Port::Plain && stream.secure(&shared.tls).is_err() {
                return;
            }
            let client = Client {
                stream,
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
    stream: Stream,
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
                0x77 => self.extended(id, operation)?,
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

    fn extended(&mut self, id: u32, operation: &[u8]) -> io::Result<()> {
        let parts = ber::all(operation);
        let asked = parts.first().map(|(_, name)| ber::text(name));
        let refused = self.shared.inside().tricks.no_starttls;
        let (code, text) = match asked.as_deref() {
            Some(STARTTLS) if refused => (
                52,
                "00000000: LdapErr: DSID-0C09113E, comment: Error initializing SSL/TLS",
            ),
            // Twice on one connection is an error of the order of operations.
            Some(STARTTLS) if !self.stream.is_plain() => (
                1,
                "00000000: LdapErr: DSID-0C090F78, comment: TLS or SSL already in effect",
            ),
            Some(STARTTLS) => (0, ""),
            _ => (
                2,
                "00000057: LdapErr: DSID-0C090C9A, comment: Error decoding ldap message",
            ),
        };
        self.send(&ber::message(id, &result(0x78, code, text), None))?;
        if code == 0 {
            self.shared.inside().upgrades += 1;
            let tls = self.shared.tls.clone();
            self.stream.secure(&tls)?;
        }
        Ok(())
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
            let is_bare = self.stream.is_plain();
            inside.bare += usize::from(is_bare && !password.is_empty());
            let answer = judge(&inside, is_bare, &dn, password);
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

fn judge(inside: &Inside, is_bare: bool, dn: &str, password: &[u8]) -> (u32, String) {
    if is_bare || inside.tricks.saw_no_tls {
        let text = "00002028: LdapErr: DSID-0C090259, comment: The server requires binds to turn \
                    on integrity checking if SSL\\TLS are not already active on the connection";
        return (8, text.into());
    }
    if dn.is_empty() {
        return (0, String::new());
    }
    let mut entries = inside.forest.entries.iter();
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
