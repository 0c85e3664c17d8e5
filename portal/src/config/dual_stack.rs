//! `[dual_stack]`: the portal's two further names, each reached over one address family only, so
//! that a browser can show which address it has in the other. Absent: nobody is asked to.

use std::net::IpAddr;

use serde::Deserialize;

use crate::family::Family;

/// Both names, or none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DualStack {
    pub(crate) ipv4: Origin,
    pub(crate) ipv6: Origin,
}

impl DualStack {
    /// Where the portal is reached over this family only.
    pub(crate) fn at(&self, family: Family) -> &Origin {
        match family {
            Family::V4 => &self.ipv4,
            Family::V6 => &self.ipv6,
        }
    }

    pub(super) fn check(&self, public_url: Option<&str>) -> Result<(), (&'static str, String)> {
        if self.ipv4 == self.ipv6 {
            return Err(("ipv6", "ipv4 and ipv6 must be two names or ports".into()));
        }
        if public_url.is_none_or(|url| Origin::parse(url.trim_end_matches('/')).is_err()) {
            return Err((
                "dual_stack",
                "[dual_stack] needs public_url to be a name, too: https://access.example.com, \
                 where browsers come back to"
                    .into(),
            ));
        }
        Ok(())
    }
}

/// `https://name[:port]`, letter for letter as browsers write it in `Origin`. No address: a content
/// security policy cannot name one (CSP 3 §6.7.2.8), so no browser would go there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Origin(String);

impl Origin {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let authority = text
            .strip_prefix("https://")
            .ok_or_else(|| format!("{text:?} must start with https://"))?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if host.is_empty() || !host.chars().all(is_letter) || host.parse::<IpAddr>().is_ok() {
            return Err(format!(
                "{text:?} must be https:// and a host name in small letters, without a path: \
                 browsers cannot be allowed to go to an address"
            ));
        }
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|n| n.to_string() == port);
        if port.is_some_and(|port| port == "443" || !is_port(port)) {
            return Err(format!(
                "{text:?} must end with a port other than 443, or with none"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Without scheme and port.
    pub(crate) fn host(&self) -> &str {
        let authority = self.0.strip_prefix("https://").unwrap_or(&self.0);
        authority.split(':').next().unwrap_or(authority)
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}
