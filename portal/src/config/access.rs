//! `[[access]]`: which factors a service asks of whom, and from where. Services without an entry
//! ask for the password with a code or a passkey. Two factors of one category are two steps, not
//! two factors: refused.

use std::fmt;

use ipnet::IpNet;
use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer as _, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::units::Length;
use crate::directory::Account;

/// A kind of proof, by the word it has in the configuration and in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FactorKind {
    /// The directory password: something known.
    Pwd,
    /// A one-time code: something held.
    Otp,
    /// A passkey that asked for a PIN, a finger or a face itself: something held, and more.
    Passkey,
    /// One of the printed codes; stands in for something held where `[recovery]` says so.
    #[serde(skip)]
    Recovery,
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
            Self::Otp | Self::Passkey | Self::Recovery => Category::Possession,
        }
    }

    /// Reads what it prints.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Pwd, Self::Otp, Self::Passkey, Self::Recovery]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pwd => "pwd",
            Self::Otp => "otp",
            Self::Passkey => "passkey",
            Self::Recovery => "recovery",
        }
    }
}

impl fmt::Display for FactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Lists of factors; each alone is enough.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Lists")]
pub(crate) struct Ways(Vec<Vec<FactorKind>>);

/// One list, or several.
#[derive(Deserialize)]
struct Lists(Vec<Item>);

/// A word of one list, or a list of several.
enum Item {
    Word(FactorKind),
    List(Vec<FactorKind>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a factor such as \"otp\", or a list of factors")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Item, E> {
                FactorKind::deserialize(word.into_deserializer()).map(Item::Word)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Item, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Item::List)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl TryFrom<Lists> for Ways {
    type Error = &'static str;

    fn try_from(Lists(items): Lists) -> Result<Self, Self::Error> {
        let (mut words, mut lists) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Word(word) => words.push(word),
                Item::List(list) => lists.push(list),
            }
        }
        match (words.is_empty(), lists.is_empty()) {
            (false, false) => Err("factors are one list of words, or a list of lists"),
            (false, true) => Ok(Self(vec![words])),
            (true, _) => Ok(Self(lists)),
        }
    }
}

impl Default for Ways {
    fn default() -> Self {
        Self(vec![
            vec![FactorKind::Pwd, FactorKind::Otp],
            vec![FactorKind::Pwd, FactorKind::Passkey],
        ])
    }
}

impl Ways {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[FactorKind]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Err: a sentence about `what`, which asks for too little or for one category twice.
    pub(super) fn check(&self, what: &str) -> Result<(), String> {
        if self.0.is_empty() {
            return Err(format!(
                "{what} must ask for \"otp\" or \"passkey\"; it asks for nothing"
            ));
        }
        self.0.iter().try_for_each(|list| check_list(what, list))
    }
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists: Vec<String> = self
            .iter()
            .map(|list| {
                let words: Vec<String> = list.iter().map(ToString::to_string).collect();
                words.join(" ")
            })
            .collect();
        f.write_str(&lists.join(" | "))
    }
}

/// One entry. The first entry of a service that covers the person and the client's address counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Access {
    pub(crate) service: String,
    /// `["pwd", "otp"]`, or several lists of which any is enough: `[["pwd", "otp"], ["passkey"]]`.
    #[serde(default)]
    pub(crate) factors: Ways,
    /// Only from these prefixes. Empty: from anywhere.
    #[serde(default)]
    pub(crate) sources: Vec<IpNet>,
    /// Only for people in one of these directory groups. Empty: for all whom the service admits.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Open for not longer than this at a time.
    #[serde(default)]
    pub(crate) longest: Option<Length<60, 86_400>>,
    /// Opening and extending want a code or a passkey shown not longer ago than this.
    #[serde(default)]
    pub(crate) fresh: Option<Length<30, 86_400>>,
}

impl Access {
    pub(super) fn check(&self) -> Result<(), String> {
        self.factors.check(&format!("service {:?}", self.service))
    }

    /// True: this entry speaks of requests of `account` from `source`.
    pub(crate) fn covers(&self, account: &Account, source: std::net::IpAddr) -> bool {
        let from = self.sources.is_empty() || self.sources.iter().any(|net| net.contains(&source));
        from && (self.groups.is_empty() || account.is_in_any(&self.groups))
    }
}

fn check_list(what: &str, list: &[FactorKind]) -> Result<(), String> {
    for (index, factor) in list.iter().enumerate() {
        let mut rest = list.iter().skip(index + 1);
        if rest.any(|other| other.category() == factor.category()) {
            return Err(format!(
                "{what} asks for two factors of the same category; \
                 use one of each, e.g. [\"pwd\", \"otp\"]"
            ));
        }
    }
    if list.iter().all(|f| f.category() == Category::Knowledge) {
        return Err(format!(
            "{what} must ask for \"otp\" or \"passkey\": a password alone opens nothing"
        ));
    }
    Ok(())
}
