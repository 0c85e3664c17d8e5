//! `[[access]]`: which factors a service asks for, and from where. Services without an entry ask
//! for password and code. Two factors of one category are two steps, not two factors: refused.

use std::fmt;

use ipnet::IpNet;
use serde::Deserialize;

/// A kind of proof, by its RFC 8176 word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FactorKind {
    /// The directory password: something known.
    Pwd,
    /// A one-time code: something held.
    Otp,
}

/// What a factor rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Knowledge,
    Possession,
}

impl FactorKind {
    pub(crate) fn category(self) -> Category {
        match self {
            Self::Pwd => Category::Knowledge,
            Self::Otp => Category::Possession,
        }
    }
}

impl fmt::Display for FactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pwd => "pwd",
            Self::Otp => "otp",
        })
    }
}

/// One entry. The first entry of a service whose `sources` hold the client's address counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Access {
    pub(crate) service: String,
    /// `["pwd", "otp"]` (three items with the user name) or `["otp"]` (two items).
    #[serde(default = "both")]
    pub(crate) factors: Vec<FactorKind>,
    /// Only from these prefixes. Empty: from anywhere.
    #[serde(default)]
    pub(crate) sources: Vec<IpNet>,
}

fn both() -> Vec<FactorKind> {
    vec![FactorKind::Pwd, FactorKind::Otp]
}

impl Access {
    pub(super) fn check(&self) -> Result<(), String> {
        let service = &self.service;
        for (index, factor) in self.factors.iter().enumerate() {
            if self
                .factors
                .iter()
                .skip(index + 1)
                .any(|f| f.category() == factor.category())
            {
                return Err(format!(
                    "service {service:?} asks for two factors of the same category; \
                     use one of each, e.g. [\"pwd\", \"otp\"]"
                ));
            }
        }
        if !self.factors.contains(&FactorKind::Otp) {
            return Err(format!(
                "service {service:?} must ask for \"otp\": a password alone opens nothing"
            ));
        }
        Ok(())
    }

    /// True: this entry speaks of requests from `source`.
    pub(crate) fn covers(&self, source: std::net::IpAddr) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|prefix| prefix.contains(&source))
    }
}
