//! The configuration: one TOML file, every key known, every number bounded, every default safe.
//! An invalid one is refused with file, line, column and what to do, before anything is opened.

mod access;
mod cautions;
mod clock;
mod desk;
mod directory;
mod dual_stack;
mod enrolment;
mod exceptions;
mod follow;
mod limits;
mod link;
mod look;
mod mail;
mod network;
mod probe;
mod recovery;
mod review;
mod shared;
mod shield;
mod units;

pub(crate) use access::{Access, Category, FactorKind, Ways};
pub(crate) use clock::ClockCheck;
pub(crate) use desk::{Act, Desk};
pub(crate) use directory::{Directory, LdapSettings, Nested, Watch};
pub(crate) use dual_stack::{DualStack, Origin};
pub(crate) use enrolment::{Enrolment, Hours, Unfit};
pub(crate) use exceptions::Exceptions;
pub(crate) use follow::Follow;
pub(crate) use limits::Limits;
pub(crate) use link::Link;
pub(crate) use look::{Colour, Look};
pub(crate) use mail::{Mail, MailTls};
pub(crate) use network::{CertificateSource, Proxies, Tls};
pub(crate) use probe::Probe;
pub(crate) use recovery::{Opens, Recovery};
pub(crate) use review::Review;
pub(crate) use shared::Shared;
pub(crate) use shield::Shield;
pub(crate) use units::Length;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::text::Language;

/// Exit code for a configuration that cannot be used.
pub(crate) const EXIT_CONFIG: u8 = 64;

/// Why the configuration cannot be used; says file, line and column where they are known.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {message}", path.display(), place(*at))]
pub(crate) struct ConfigError {
    path: PathBuf,
    at: Option<(usize, usize)>,
    message: String,
}

fn place(at: Option<(usize, usize)>) -> String {
    at.map(|(line, column)| format!(":{line}:{column}"))
        .unwrap_or_default()
}

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) portal: Portal,
    pub(crate) tls: Tls,
    #[serde(default)]
    pub(crate) proxies: Proxies,
    pub(crate) directory: Directory,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) shield: Shield,
    #[serde(default)]
    pub(crate) shared: Shared,
    #[serde(default)]
    pub(crate) dual_stack: Option<DualStack>,
    #[serde(default)]
    pub(crate) access: Vec<Access>,
    #[serde(default)]
    pub(crate) probe: Vec<Probe>,
    #[serde(default)]
    pub(crate) recovery: Recovery,
    #[serde(default)]
    pub(crate) clock: ClockCheck,
    #[serde(default)]
    pub(crate) exceptions: Exceptions,
    #[serde(default)]
    pub(crate) mail: Option<Mail>,
    #[serde(default)]
    pub(crate) look: Look,
    #[serde(default)]
    pub(crate) desk: Option<Desk>,
    #[serde(default)]
    pub(crate) enrolment: Enrolment,
    #[serde(default)]
    pub(crate) review: Review,
}

/// `[portal]`: names, addresses and files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Portal {
    /// Page title and heading.
    pub(crate) name: String,
    /// Issuer in the authenticator app, also shown on the log-in page.
    pub(crate) issuer: String,
    /// Account in the authenticator app; `{user}` stands for the user name.
    #[serde(default = "account")]
    pub(crate) account: String,
    /// The footer's line: whom to ask.
    pub(crate) contact: String,
    pub(crate) listen: Vec<SocketAddr>,
    /// What people type; the first listen address if absent.
    #[serde(default)]
    pub(crate) public_url: Option<String>,
    /// Directory of `portal.sqlite`.
    #[serde(default = "data")]
    pub(crate) data: PathBuf,
    #[serde(default = "key_file")]
    pub(crate) key_file: PathBuf,
    #[serde(default = "agent_socket")]
    pub(crate) agent_socket: PathBuf,
    /// A person who never had a token may enrol one with the password alone.
    #[serde(default)]
    pub(crate) enrol_at_first_login: bool,
    /// What a live cookie may do at another address.
    #[serde(default)]
    pub(crate) follow: Follow,
    #[serde(default)]
    pub(crate) default_language: Language,
    /// IANA name, e.g. `Asia/Tokyo`; the machine's if absent.
    #[serde(default)]
    pub(crate) time_zone: Option<Zone>,
}

/// A time zone by its IANA name.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Zone(pub TimeZone);

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        TimeZone::get(&name).map(Self).map_err(|_| {
            format!("no time zone {name:?}; use a name such as \"Asia/Tokyo\" or \"UTC\"")
        })
    }
}

fn account() -> String {
    "{user}".into()
}

fn data() -> PathBuf {
    "/var/lib/sekisho-portal".into()
}

fn key_file() -> PathBuf {
    "/etc/sekisho/portal.key".into()
}

fn agent_socket() -> PathBuf {
    agent_api::DEFAULT_SOCKET.into()
}

impl Portal {
    pub(crate) fn time_zone(&self) -> TimeZone {
        self.time_zone
            .as_ref()
            .map_or_else(TimeZone::system, |zone| zone.0.clone())
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("portal.sqlite")
    }

    /// Where people reach the portal, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        match (&self.public_url, self.listen.first()) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(address)) if address.port() == 443 => match address.ip() {
                std::net::IpAddr::V4(ip) => format!("https://{ip}"),
                std::net::IpAddr::V6(ip) => format!("https://[{ip}]"),
            },
            (None, Some(address)) => format!("https://{address}"),
            (None, None) => String::new(),
        }
    }
}

impl Config {
    /// Where browsers know this portal by, if it has names of one address family each.
    pub(crate) fn origins(&self) -> Vec<Origin> {
        let Some(dual) = &self.dual_stack else {
            return Vec::new();
        };
        let mut origins = vec![dual.ipv4.clone(), dual.ipv6.clone()];
        if let Ok(public) = Origin::parse(&self.portal.url())
            && !origins.contains(&public)
        {
            origins.push(public);
        }
        origins
    }

    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError {
            path: path.to_owned(),
            at: None,
            message: format!("cannot read the configuration: {e}; name it with --config FILE"),
        })?;
        Self::parse(path, &text)
    }

    /// Checks a configuration's text; `path` is only for the message.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| ConfigError {
            path: path.to_owned(),
            at: e.span().map(|span| line_and_column(text, span.start)),
            message: e.message().to_owned(),
        })?;
        config.check().map_err(|(key, message)| ConfigError {
            path: path.to_owned(),
            at: find(text, key),
            message,
        })?;
        Ok(config)
    }

    /// What one value cannot know of the others. Err: the key to point at, and the sentence.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let portal = &self.portal;
        for (key, value) in [("name", &portal.name), ("issuer", &portal.issuer)] {
            if value.trim().is_empty() || value.chars().count() > 80 {
                return Err((key, format!("{key} must have 1 to 80 characters")));
            }
        }
        if portal.issuer.contains(':') {
            return Err((
                "issuer",
                "issuer must not contain ':', which parts issuer and account in the app".into(),
            ));
        }
        if !portal.account.contains("{user}") || portal.account.contains(':') {
            return Err(("account", "account must contain {user} and no ':'".into()));
        }
        if portal.listen.is_empty() {
            return Err((
                "listen",
                "listen needs at least one address, e.g. \"192.0.2.1:8443\"".into(),
            ));
        }
        if let Some(url) = &portal.public_url
            && !url.starts_with("https://")
        {
            return Err(("public_url", "public_url must start with https://".into()));
        }
        if let Language::Other(_) = portal.default_language
            && self.look.languages.is_none()
        {
            let tag = portal.default_language.tag();
            return Err((
                "default_language",
                format!(
                    "{tag:?} is not built in; en and ja are, and a folder that `languages` of [look] names may hold {tag}.toml"
                ),
            ));
        }
        self.tls.check()?;
        self.limits.check()?;
        if let Some(dual) = &self.dual_stack {
            dual.check(portal.public_url.as_deref())?;
        }
        if let Some(mail) = &self.mail {
            mail.check()?;
        }
        if let Some(desk) = &self.desk {
            desk.check()?;
        }
        self.enrolment.check()?;
        self.access
            .iter()
            .try_for_each(|access| access.check().map_err(|m| ("factors", m)))
    }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// The first line that sets `key` or opens the table `key`.
fn find(text: &str, key: &str) -> Option<(usize, usize)> {
    text.lines().enumerate().find_map(|(index, line)| {
        let trimmed = line.trim_start();
        let is_key = trimmed
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='));
        let is_table = trimmed.trim_end() == format!("[{key}]");
        (is_key || is_table).then(|| (index + 1, line.len() - trimmed.len() + 1))
    })
}

#[cfg(test)]
mod tests;
