//! `[directory]`: where users and groups live. A plain LDAP connection and unverified certificates
//! cannot be expressed.

mod flavour;
mod watch;

pub(crate) use flavour::Nested;
pub(crate) use watch::Watch;

use std::path::PathBuf;

use serde::Deserialize;

use super::units::{Length, Whole};
use crate::directory::Dn;
use flavour::Flavour;

/// One of the two kinds, each with the settings it needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) enum Directory {
    Local(LocalSettings),
    Ldap(Box<LdapSettings>),
}

impl Directory {
    /// How leavers are looked for.
    pub(crate) fn watch(&self) -> &Watch {
        match self {
            Self::Local(settings) => &settings.watch,
            Self::Ldap(settings) => &settings.watch,
        }
    }
}

/// The local users file.
#[derive(Clone, Debug)]
pub(crate) struct LocalSettings {
    pub(crate) file: PathBuf,
    pub(crate) watch: Watch,
}

/// One or more LDAP servers that hold the same entries.
#[derive(Clone, Debug)]
pub(crate) struct LdapSettings {
    /// `ldaps://host[:port]`, or `ldap://` with StartTLS. Tried in order.
    pub(crate) urls: Vec<String>,
    pub(crate) starttls: bool,
    /// PEM file with certificates to trust besides the machine's own.
    pub(crate) ca: Option<PathBuf>,
    /// Who searches; anonymous if absent.
    pub(crate) bind_dn: Option<String>,
    pub(crate) bind_password_file: Option<PathBuf>,
    pub(crate) base: String,
    /// `{user}` stands for the escaped user name.
    pub(crate) user_filter: String,
    pub(crate) name_attribute: String,
    /// Stable id: `entryUUID`, `objectGUID`, …
    pub(crate) id_attribute: String,
    /// Groups listed on the person's entry; None: not asked for.
    pub(crate) member_of: Option<String>,
    /// Groups found by a search; None: no search.
    pub(crate) group_base: Option<String>,
    /// Where groups must lie to count, those on the person's entry, too. None: anywhere; a flavour's
    /// own `group_base` says where to search, not that groups elsewhere are somebody else's.
    pub(crate) groups_within: Option<Dn>,
    /// `{dn}` and `{user}` stand for the escaped DN and name.
    pub(crate) group_filter: String,
    pub(crate) group_attribute: String,
    /// Where notices go: `mail`, …
    pub(crate) mail_attribute: String,
    /// How groups within groups are found.
    pub(crate) nested: Nested,
    pub(crate) timeout: Length<1, 60>,
    pub(crate) connections: Whole<1, 64>,
    pub(crate) watch: Watch,
}

impl LdapSettings {
    /// Whether groups count in a part of the directory only.
    pub(crate) fn narrows_groups(&self) -> bool {
        let all = Dn::parse(&self.base);
        let within = self.groups_within.as_ref();
        within.is_some_and(|within| within.is_full() && all.as_ref() != Some(within))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Local,
    Ldap,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    kind: Kind,
    file: Option<PathBuf>,
    urls: Option<Vec<String>>,
    starttls: Option<bool>,
    ca: Option<PathBuf>,
    bind_dn: Option<String>,
    bind_password_file: Option<PathBuf>,
    base: Option<String>,
    user_filter: Option<String>,
    name_attribute: Option<String>,
    id_attribute: Option<String>,
    member_of: Option<String>,
    group_base: Option<String>,
    group_filter: Option<String>,
    group_attribute: Option<String>,
    mail_attribute: Option<String>,
    timeout: Option<Length<1, 60>>,
    connections: Option<Whole<1, 64>>,
    flavour: Option<Flavour>,
    nested: Option<Nested>,
    watch: Option<Length<5, 3600>>,
    watch_share: Option<Whole<1, 100>>,
    watch_least: Option<Whole<1, 100_000>>,
}

impl TryFrom<Raw> for Directory {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        match raw.kind {
            Kind::Local => raw.local(),
            Kind::Ldap => raw.ldap(),
        }
    }
}

impl Raw {
    fn watch(&self) -> Watch {
        let usual = Watch::default();
        Watch {
            every: self.watch.unwrap_or(usual.every),
            share: self.watch_share.unwrap_or(usual.share),
            least: self.watch_least.unwrap_or(usual.least),
        }
    }

    fn local(self) -> Result<Directory, String> {
        if self.urls.is_some() || self.base.is_some() || self.bind_dn.is_some() {
            return Err(
                "kind = \"local\" takes only `file`; LDAP keys need kind = \"ldap\"".into(),
            );
        }
        let watch = self.watch();
        let file = self
            .file
            .ok_or("kind = \"local\" needs `file`, the users file")?;
        Ok(Directory::Local(LocalSettings { file, watch }))
    }

    fn ldap(self) -> Result<Directory, String> {
        if self.file.is_some() {
            return Err("kind = \"ldap\" does not take `file`".into());
        }
        let watch = self.watch();
        let urls = self.urls.filter(|urls| !urls.is_empty());
        let urls =
            urls.ok_or("kind = \"ldap\" needs `urls`, e.g. [\"ldaps://dc1.example.com\"]")?;
        let starttls = self.starttls.unwrap_or(false);
        for url in &urls {
            check_url(url, starttls)?;
        }
        if self.bind_dn.is_some() != self.bind_password_file.is_some() {
            return Err("bind_dn and bind_password_file go together".into());
        }
        let base = self
            .base
            .ok_or("kind = \"ldap\" needs `base`, where people are searched")?;
        let usual = self.flavour.unwrap_or_default().usual(&base);
        let text = |set: Option<String>, usual: &str| set.unwrap_or_else(|| usual.to_owned());
        let nested = self.nested.unwrap_or(usual.nested);
        let user_filter = text(self.user_filter, usual.user_filter);
        check_filter("user_filter", &user_filter, &["{user}"])?;
        let group_filter = text(self.group_filter, nested.group_filter());
        check_filter("group_filter", &group_filter, &["{dn}", "{user}"])?;
        let groups_within = match self.group_base.as_deref() {
            None => None,
            Some(base) => Some(Dn::parse(base).ok_or_else(|| {
                format!("group_base {base:?} is no DN; write e.g. \"ou=groups,dc=example,dc=com\"")
            })?),
        };
        let group_base = self.group_base.or(usual.group_base);
        nested.check(group_base.as_deref(), &group_filter)?;
        let member_of = text(self.member_of, "memberOf");
        Ok(Directory::Ldap(Box::new(LdapSettings {
            urls,
            starttls,
            ca: self.ca,
            bind_dn: self.bind_dn,
            bind_password_file: self.bind_password_file,
            base,
            user_filter,
            name_attribute: text(self.name_attribute, usual.name_attribute),
            id_attribute: text(self.id_attribute, usual.id_attribute),
            member_of: Some(member_of).filter(|name| name != "none"),
            group_base,
            groups_within,
            group_filter,
            group_attribute: text(self.group_attribute, "cn"),
            mail_attribute: text(self.mail_attribute, "mail"),
            nested,
            timeout: self.timeout.unwrap_or(Length::of::<5>()),
            connections: self.connections.unwrap_or(Whole::of::<8>()),
            watch,
        })))
    }
}

fn check_url(url: &str, starttls: bool) -> Result<(), String> {
    let fine = if starttls {
        url.starts_with("ldap://")
    } else {
        url.starts_with("ldaps://")
    };
    if fine {
        return Ok(());
    }
    Err(format!(
        "{url:?}: passwords travel only under TLS; use ldaps://, or ldap:// with starttls = true"
    ))
}

fn check_filter(key: &str, filter: &str, any_of: &[&str]) -> Result<(), String> {
    if !any_of.iter().any(|mark| filter.contains(mark)) {
        return Err(format!("{key} must contain {}", any_of.join(" or ")));
    }
    let probe = filter.replace("{user}", "x").replace("{dn}", "x");
    ldap3::parse_filter(&probe)
        .map(|_| ())
        .map_err(|_| format!("{key} {filter:?} is no LDAP filter; write e.g. \"(uid={{user}})\""))
}
