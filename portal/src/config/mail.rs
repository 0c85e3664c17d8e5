//! `[mail]`: by which server, from whom, and about what people are told. Mail travels under TLS; a
//! plain connection can be expressed to the machine itself only.

use std::{net::IpAddr, path::PathBuf};

use lettre::{Address, message::Mailbox};
use serde::Deserialize;

use super::units::{Length, Whole};
use crate::notices::Kind;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MailTls {
    /// Plain at first, TLS before anything is said; no mail without it.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// To an address of the machine itself only.
    NoneToLoopbackOnly,
}

/// The whole table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    server: Server,
    #[serde(default)]
    pub(crate) tls: MailTls,
    /// PEM file with certificates to trust besides the machine's own.
    #[serde(default)]
    pub(crate) ca: Option<PathBuf>,
    from: Sender,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
    /// Who is told when somebody says "this was not me", of exceptions that end, and once a year to
    /// go through everything.
    #[serde(default)]
    operators: Vec<Receiver>,
    /// Which notices are on; all if absent.
    #[serde(default)]
    notices: Option<Vec<Name>>,
    /// Files `KIND.LANGUAGE.txt` that replace the built-in texts.
    #[serde(default)]
    pub(crate) templates: Option<PathBuf>,
    /// Notices to one person within an hour; what is beyond is told in one.
    #[serde(default = "per_hour")]
    per_hour: Whole<1, 1_000>,
    /// Notices that wait at most.
    #[serde(default = "queue")]
    queue: Whole<10, 1_000_000>,
    /// A notice that could not be sent for so long is given up.
    #[serde(default = "give_up")]
    pub(crate) give_up: Length<60, 1_209_600>,
    /// How long a link "this was not me" works.
    #[serde(default = "give_up")]
    pub(crate) link: Length<60, 1_209_600>,
    #[serde(default = "timeout")]
    pub(crate) timeout: Length<1, 120>,
}

fn per_hour() -> Whole<1, 1_000> {
    Whole::of::<20>()
}

fn queue() -> Whole<10, 1_000_000> {
    Whole::of::<10_000>()
}

fn give_up() -> Length<60, 1_209_600> {
    Length::of::<259_200>()
}

fn timeout() -> Length<1, 120> {
    Length::of::<20>()
}

/// `host:port`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Server {
    host: String,
    port: u16,
}

impl TryFrom<String> for Server {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port = port.parse().ok().filter(|port| *port > 0)?;
            (!host.is_empty()).then(|| (host.to_owned(), port))
        });
        let (host, port) = parts
            .ok_or_else(|| format!("{text:?} is no server; write \"mail.example.com:587\""))?;
        Ok(Self { host, port })
    }
}

/// `access@example.com` or `Name <access@example.com>`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Sender(Mailbox);

impl TryFrom<String> for Sender {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = text.parse().map(Self);
        read.map_err(|_| format!("{text:?} is no sender; write \"Access <access@example.com>\""))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Receiver(String);

impl Receiver {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Receiver {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse::<Address>() {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(format!("{text:?} is no mail address")),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Name(Kind);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Kind::of_name(&text).map(Self).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.map(Kind::name).to_vec();
            format!("no notice {text:?}; there are {}", names.join(", "))
        })
    }
}

impl Mail {
    pub(crate) fn host(&self) -> &str {
        &self.server.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    pub(crate) fn from(&self) -> &Mailbox {
        &self.from.0
    }

    pub(crate) fn operators(&self) -> impl Iterator<Item = &str> {
        self.operators.iter().map(Receiver::as_str)
    }

    /// True: people are told of it. The one that stands for others always is.
    pub(crate) fn is_on(&self, kind: Kind) -> bool {
        let listed = |kinds: &Vec<Name>| kinds.iter().any(|name| name.0 == kind);
        matches!(kind, Kind::Folded | Kind::Reported) || self.notices.as_ref().is_none_or(listed)
    }

    pub(crate) fn per_hour(&self) -> i64 {
        i64::from(self.per_hour.value())
    }

    pub(crate) fn queue(&self) -> i64 {
        i64::from(self.queue.value())
    }

    /// What one value cannot know of the others.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.user.is_some() != self.password_file.is_some() {
            let text = "user and password_file of [mail] go together";
            return Err(("password_file", text.into()));
        }
        let host = self.host();
        let is_loopback = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if self.tls == MailTls::NoneToLoopbackOnly && !is_loopback {
            return Err((
                "server",
                format!(
                    "tls = \"none-to-loopback-only\" is for 127.0.0.1, ::1 or localhost, not {host}; use \"starttls\" or \"tls\""
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mail, String> {
        let mail: Mail = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        mail.check().map_err(|(_, text)| text)?;
        Ok(mail)
    }

    #[test]
    fn a_short_table_is_enough() {
        let mail = read("server = \"mail.example.com:587\"\nfrom = \"a@example.com\"").unwrap();
        assert_eq!((mail.host(), mail.port()), ("mail.example.com", 587));
        assert_eq!(mail.tls, MailTls::Starttls);
        assert_eq!((mail.per_hour(), mail.queue()), (20, 10_000));
        assert!(Kind::ALL.into_iter().all(|kind| mail.is_on(kind)));
        let six = read("server = \"[::1]:25\"\nfrom = \"A <a@example.com>\"\ntls = \"none-to-loopback-only\"\nnotices = [\"new-device\"]").unwrap();
        assert_eq!(six.host(), "::1");
        assert!(six.is_on(Kind::NewDevice) && !six.is_on(Kind::NewNetwork));
    }

    #[test]
    fn mistakes_are_told() {
        let from = "from = \"a@example.com\"\n";
        for (text, what) in [
            ("server = \"mail.example.com\"", "no server"),
            ("server = \"mail.example.com:0\"", "no server"),
            (
                "server = \"192.0.2.1:25\"\ntls = \"none-to-loopback-only\"",
                "is for 127.0.0.1",
            ),
            (
                "server = \"localhost.example.com:25\"\ntls = \"none-to-loopback-only\"",
                "is for 127.0.0.1",
            ),
            ("server = \"m:25\"\nuser = \"u\"", "go together"),
            ("server = \"m:25\"\nnotices = [\"everything\"]", "no notice"),
            (
                "server = \"m:25\"\noperators = [\"a@b\\r\\nBcc: c@d\"]",
                "no mail address",
            ),
            ("server = \"m:25\"\nqueue = 1", "not within"),
        ] {
            let error = read(&format!("{from}{text}")).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
        assert!(
            read("server = \"m:25\"\nfrom = \"nobody\"")
                .unwrap_err()
                .contains("no sender")
        );
    }
}
