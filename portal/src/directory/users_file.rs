//! The local directory's file: names, groups and argon2id hashes in TOML. Written by verbs in one
//! step (a new file renamed over the old one); a broken one is refused as a whole.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{DirectoryError, hash};

const HEAD: &str = "# Users of the portal. Edit with `sekisho-portal user …`, or by hand.\n\n";

/// One person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Random, so that somebody new with an old name inherits no tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Where notices go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mail: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) disabled: bool,
    /// A PHC string.
    pub(crate) password: String,
}

impl User {
    pub(crate) fn id(&self) -> String {
        self.id
            .clone()
            .unwrap_or_else(|| format!("name:{}", self.name.to_lowercase()))
    }
}

/// The whole file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsersFile {
    #[serde(default, rename = "user")]
    pub(crate) users: Vec<User>,
}

impl UsersFile {
    pub(crate) fn read(path: &Path) -> Result<Self, DirectoryError> {
        let say = |what: String| DirectoryError(format!("users file {}: {what}", path.display()));
        let text = fs::read_to_string(path).map_err(|e| say(e.to_string()))?;
        let file: Self = toml::from_str(&text).map_err(|e| say(e.message().to_owned()))?;
        let mut names = HashMap::new();
        for user in &file.users {
            check_name(&user.name).map_err(say)?;
            hash::check(&user.password)
                .map_err(|what| say(format!("the hash of {} {what}", user.name)))?;
            if names.insert(user.name.to_lowercase(), ()).is_some() {
                return Err(say(format!("{} is there twice", user.name)));
            }
        }
        Ok(file)
    }

    /// As [`UsersFile::read`], but a file that is not there yet is empty.
    pub(crate) fn read_or_new(path: &Path) -> Result<Self, DirectoryError> {
        if path.exists() {
            Self::read(path)
        } else {
            Ok(Self::default())
        }
    }

    /// Replaces the file in one step. Owner and mode stay; a new file is readable by its owner
    /// only, who is the owner of `like`.
    pub(crate) fn write(&self, path: &Path, like: &Path) -> anyhow::Result<()> {
        let text = format!("{HEAD}{}", toml::to_string(self)?);
        let aside = path.with_extension(format!("new-{}", std::process::id()));
        let old = fs::metadata(path).ok();
        let mode = old
            .as_ref()
            .map_or(0o600, |m| m.permissions().mode() & 0o7777);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| crate::key::own_like(&aside, if old.is_some() { path } else { like }))
            .and_then(|()| fs::set_permissions(&aside, fs::Permissions::from_mode(mode)))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&aside, path));
        if written.is_err() {
            let _ = fs::remove_file(&aside);
        }
        Ok(written?)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&User> {
        self.users
            .iter()
            .find(|user| user.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut User> {
        self.users
            .iter_mut()
            .find(|user| user.name.eq_ignore_ascii_case(name))
    }
}

/// Names a local user may have.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(fine) {
        return Ok(());
    }
    Err(format!(
        "user name {name:?} may have 1 to 64 letters, digits, '.', '_', '@' and '-'"
    ))
}
