//! `[[probe]]`: an address at which a service answers over HTTPS, for the browser to look whether
//! it does. The portal itself asks nobody.

use serde::Deserialize;

use super::Origin;

/// One service's address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub(crate) service: String,
    pub(crate) url: ProbeUrl,
}

/// `https://name[:port]/path`; no address, as in [`Origin`].
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ProbeUrl {
    origin: Origin,
    path: String,
}

impl ProbeUrl {
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl std::fmt::Display for ProbeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin.as_str(), self.path)
    }
}

impl TryFrom<String> for ProbeUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let scheme = "https://".len();
        let start = text
            .get(scheme..)
            .and_then(|rest| rest.find('/'))
            .map_or(text.len(), |at| at + scheme);
        let (origin, path) = text.split_at_checked(start).unwrap_or((&text, ""));
        if !path.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("{text:?} must be written in ASCII without blanks"));
        }
        Ok(Self {
            origin: Origin::parse(origin)?,
            path: path.to_owned(),
        })
    }
}
