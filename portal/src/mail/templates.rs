//! The texts of notices, built in for each kind and language and replaced by files of the same name.
//! A text that lacks a value its kind needs, or names one that nobody fills in, is refused at start.

use std::path::Path;

use crate::{
    notices::{COMMON, Kind},
    text::Language,
};

/// Longest file of a text, in bytes.
const FILE_MAX: u64 = 64 * 1024;
const SUBJECT_MAX: usize = 200;

/// Why a text is not used: file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("mail template {file}: {what}")]
pub(crate) struct TemplateError {
    file: String,
    what: String,
}

/// One text.
#[derive(Clone, Debug)]
struct Template {
    subject: String,
    body: String,
}

/// All texts.
#[derive(Debug)]
pub(crate) struct Templates {
    all: Vec<(Kind, Language, Template)>,
    /// What a language without texts of its own falls back to.
    default: Language,
}

/// A text with its values filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) subject: String,
    pub(crate) body: String,
}

/// `new-network.ja.txt`.
fn file_name(kind: Kind, language: Language) -> String {
    format!("{}.{}.txt", kind.name(), language.tag())
}

impl Templates {
    /// Reads the built-in texts and those in `folder`, which count before them.
    pub(crate) fn load(folder: Option<&Path>, default: Language) -> Result<Self, TemplateError> {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            for language in Language::ALL {
                let name = file_name(kind, language);
                let own = folder.map(|folder| folder.join(&name));
                let (file, text) = match own.filter(|path| path.exists()) {
                    Some(path) => (path.display().to_string(), read(&path)?),
                    None => (name, built_in(kind, language).to_owned()),
                };
                let template = parse(kind, &text).map_err(|what| TemplateError { file, what })?;
                all.push((kind, language, template));
            }
        }
        if let Some(folder) = folder {
            no_strangers(folder)?;
        }
        Ok(Self { all, default })
    }

    /// The text of a kind. What `values` does not name stays empty.
    pub(crate) fn fill(&self, kind: Kind, language: Language, values: &[(&str, &str)]) -> Filled {
        let of = |wanted| self.all.iter().find(|(k, l, _)| (*k, *l) == (kind, wanted));
        let found = of(language).or_else(|| of(self.default));
        let found = found.or_else(|| of(Language::En));
        let (subject, body) = found.map_or(("", ""), |(_, _, template)| {
            (template.subject.as_str(), template.body.as_str())
        });
        Filled {
            subject: fill_once(subject, values),
            body: fill_once(body, values),
        }
    }
}

fn built_in(kind: Kind, language: Language) -> &'static str {
    let [en, ja] = match kind {
        Kind::NewNetwork => [
            include_str!("../../mails/new-network.en.txt"),
            include_str!("../../mails/new-network.ja.txt"),
        ],
        Kind::NewDevice => [
            include_str!("../../mails/new-device.en.txt"),
            include_str!("../../mails/new-device.ja.txt"),
        ],
        Kind::DeviceSuspended => [
            include_str!("../../mails/device-suspended.en.txt"),
            include_str!("../../mails/device-suspended.ja.txt"),
        ],
        Kind::DeviceRevoked => [
            include_str!("../../mails/device-revoked.en.txt"),
            include_str!("../../mails/device-revoked.ja.txt"),
        ],
        Kind::RecoveryUsed => [
            include_str!("../../mails/recovery-used.en.txt"),
            include_str!("../../mails/recovery-used.ja.txt"),
        ],
        Kind::TicketIssued => [
            include_str!("../../mails/ticket-issued.en.txt"),
            include_str!("../../mails/ticket-issued.ja.txt"),
        ],
        Kind::LockedOut => [
            include_str!("../../mails/locked-out.en.txt"),
            include_str!("../../mails/locked-out.ja.txt"),
        ],
        Kind::ExceptionGranted => [
            include_str!("../../mails/exception-granted.en.txt"),
            include_str!("../../mails/exception-granted.ja.txt"),
        ],
        Kind::ExceptionEnding => [
            include_str!("../../mails/exception-ending.en.txt"),
            include_str!("../../mails/exception-ending.ja.txt"),
        ],
        Kind::DeskAction => [
            include_str!("../../mails/desk-action.en.txt"),
            include_str!("../../mails/desk-action.ja.txt"),
        ],
        Kind::Folded => [
            include_str!("../../mails/folded.en.txt"),
            include_str!("../../mails/folded.ja.txt"),
        ],
        Kind::Reported => [
            include_str!("../../mails/reported.en.txt"),
            include_str!("../../mails/reported.ja.txt"),
        ],
        Kind::CaseWaiting => [
            include_str!("../../mails/case-waiting.en.txt"),
            include_str!("../../mails/case-waiting.ja.txt"),
        ],
        Kind::Review => [
            include_str!("../../mails/review.en.txt"),
            include_str!("../../mails/review.ja.txt"),
        ],
    };
    match language {
        Language::Ja => ja,
        Language::En | Language::Other(_) => en,
    }
}

fn read(path: &Path) -> Result<String, TemplateError> {
    let say = |what: String| TemplateError {
        file: path.display().to_string(),
        what,
    };
    let length = std::fs::metadata(path)
        .map_err(|e| say(e.to_string()))?
        .len();
    if length > FILE_MAX {
        return Err(say(format!("it has more than {FILE_MAX} bytes")));
    }
    std::fs::read_to_string(path).map_err(|e| say(format!("cannot be read: {e}")))
}

/// A file whose name is no kind's is a mistake in writing that name.
fn no_strangers(folder: &Path) -> Result<(), TemplateError> {
    let say = |file: &Path, what: String| TemplateError {
        file: file.display().to_string(),
        what,
    };
    let entries = std::fs::read_dir(folder)
        .map_err(|e| say(folder, format!("the folder cannot be read: {e}")))?;
    for entry in entries {
        let path = entry.map_err(|e| say(folder, e.to_string()))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        let known = Kind::ALL.into_iter().any(|kind| {
            Language::ALL
                .into_iter()
                .any(|l| file_name(kind, l) == name)
        });
        if name.ends_with(".txt") && !known {
            let what = "no notice and language have this name; see `mail preview --help`";
            return Err(say(&path, what.into()));
        }
    }
    Ok(())
}

/// The first line is `Subject: …`, the second is empty, the rest is the body.
fn parse(kind: Kind, text: &str) -> Result<Template, String> {
    let text = text.replace("\r\n", "\n");
    let (head, body) = text
        .split_once("\n\n")
        .ok_or("it has no empty line after the subject")?;
    let subject = head
        .strip_prefix("Subject:")
        .ok_or("its first line must begin with \"Subject:\"")?
        .trim();
    if subject.is_empty() || subject.contains('\n') || subject.chars().count() > SUBJECT_MAX {
        return Err(format!(
            "its subject must be one line of 1 to {SUBJECT_MAX} characters"
        ));
    }
    let named: Vec<&str> = places(subject).chain(places(body)).collect();
    let may = |name: &str| COMMON.contains(&name) || kind.needs().contains(&name);
    if let Some(unknown) = named.iter().find(|name| !may(name)) {
        let known: Vec<String> = COMMON
            .iter()
            .chain(kind.needs())
            .map(|name| format!("{{{name}}}"))
            .collect();
        let known = known.join(" ");
        return Err(format!(
            "{{{unknown}}} is no value of {}; there are {known}",
            kind.name()
        ));
    }
    if let Some(missing) = kind.needs().iter().find(|name| !named.contains(name)) {
        return Err(format!("it must use {{{missing}}}"));
    }
    if places(subject).any(|name| name == "link") {
        return Err("{link} belongs in the body, where it stays whole".into());
    }
    Ok(Template {
        subject: subject.to_owned(),
        body: body.to_owned(),
    })
}

/// The names in braces.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then_some(name)
    })
}

/// Puts the values in their places. A value is not looked into for further places: people choose
/// some of them.
fn fill_once(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        match from.split_once('}') {
            Some((name, after)) if places(rest).next() == Some(name) => {
                let value = values.iter().find(|(known, _)| *known == name);
                out.push_str(value.map_or("", |(_, value)| value));
                rest = after;
            }
            _ => {
                out.push('{');
                rest = from;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
