//! A language's file, compared with the English one: every key there and none too many, every text
//! saying something, the same `{places}`. All mistakes are told at once, each by its key.

use std::{collections::BTreeSet, path::Path};

use super::{ENGLISH, Language};

/// Longest file, in bytes.
const FILE_MAX: u64 = 256 * 1024;

/// Why a language's file is not used.
#[derive(Debug, thiserror::Error)]
#[error("texts {file}: {}", what.join("; "))]
pub(crate) struct TextsError {
    pub(super) file: String,
    pub(super) what: Vec<String>,
}

impl TextsError {
    pub(super) fn new(path: &Path, what: impl Into<String>) -> Self {
        Self {
            file: path.display().to_string(),
            what: vec![what.into()],
        }
    }
}

/// Reads and checks one file.
pub(crate) fn read(path: &Path) -> Result<String, TextsError> {
    let say = |what: String| TextsError::new(path, what);
    let length = std::fs::metadata(path)
        .map_err(|e| say(format!("cannot be read: {e}")))?
        .len();
    if length > FILE_MAX {
        return Err(say(format!("it has more than {FILE_MAX} bytes")));
    }
    let text =
        std::fs::read_to_string(path).map_err(|e| say(format!("cannot be read as text: {e}")))?;
    match mistakes(&text) {
        what if what.is_empty() => Ok(text),
        what => Err(TextsError {
            file: path.display().to_string(),
            what,
        }),
    }
}

/// The language that a file's name names.
pub(super) fn language_of(path: &Path) -> Result<Language, TextsError> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let found = stem.and_then(Language::of_tag);
    found.ok_or_else(|| {
        let what = "its name is no language tag; name it like de.toml or pt-br.toml";
        TextsError::new(path, what)
    })
}

/// What is wrong with a language's text.
pub(super) fn mistakes(text: &str) -> Vec<String> {
    let (Ok(english), own) = (ENGLISH.parse::<toml::Table>(), text.parse::<toml::Table>()) else {
        return vec!["the built-in texts do not load".into()];
    };
    let own = match own {
        Ok(own) => own,
        Err(e) => return vec![format!("it is no TOML: {}", e.to_string().trim())],
    };
    let mut found = Vec::new();
    for (part, keys) in &english {
        let Some(keys) = keys.as_table() else {
            continue;
        };
        let none = toml::Table::new();
        let given = own.get(part).and_then(toml::Value::as_table);
        let given = given.unwrap_or(&none);
        for (key, value) in keys {
            let english = value.as_str().unwrap_or_default();
            found.extend(mistake(english, given.get(key)).map(|m| format!("{part}.{key} {m}")));
        }
        let unknown = given.keys().filter(|key| !keys.contains_key(*key));
        found.extend(unknown.map(|key| format!("{part}.{key} is no text of the portal's")));
    }
    let strangers = own.keys().filter(|part| !english.contains_key(*part));
    found.extend(strangers.map(|part| format!("[{part}] is no part of the portal's texts")));
    found
}

fn mistake(english: &str, own: Option<&toml::Value>) -> Option<String> {
    let Some(own) = own else {
        return Some("is missing".into());
    };
    let Some(own) = own.as_str() else {
        return Some("must be a text in quotes".into());
    };
    if own.trim().is_empty() {
        return Some("says nothing".into());
    }
    let (wanted, given) = (places(english), places(own));
    let list = |names: BTreeSet<&str>| {
        let named: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
        match named.is_empty() {
            true => "no place".to_owned(),
            false => named.join(" "),
        }
    };
    (wanted != given).then(|| format!("must hold {}, and holds {}", list(wanted), list(given)))
}

fn places(text: &str) -> BTreeSet<&str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .collect()
}
