//! An address that a page of the portal may lead to: `https:` or `mailto:`, and nothing that could
//! end the attribute it stands in.

use serde::Deserialize;

/// Longest address, in bytes.
const LINK_MAX: usize = 500;

/// One that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Link(String);

impl Link {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Only `https:` and `mailto:` lead out of here.
    pub(crate) fn check(to: &str) -> Result<(), String> {
        let rest = to
            .strip_prefix("https://")
            .or_else(|| to.strip_prefix("mailto:"));
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '\\');
        match rest {
            Some(rest) if !rest.is_empty() && to.len() <= LINK_MAX && !to.contains(odd) => Ok(()),
            _ => Err(format!(
                "the link to {to:?} is not taken; links begin with https:// or mailto: and hold no blanks or quotes"
            )),
        }
    }
}

impl TryFrom<String> for Link {
    type Error = String;

    fn try_from(to: String) -> Result<Self, String> {
        Self::check(&to)?;
        Ok(Self(to))
    }
}
