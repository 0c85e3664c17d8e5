//! The site's own look, opened from the files that `[look]` names: a sheet with its colours, logos,
//! help texts. What could run, load something or hide something is refused at start.

mod markup;
mod picture;

pub(crate) use markup::{Block, Span};
pub(crate) use picture::Picture;

use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{
    config,
    config::Colour,
    text::{Language, Texts},
};

/// Longest help text, in bytes.
const HELP_MAX: u64 = 64 * 1024;

/// Why a file of the site's look is not used.
#[derive(Debug, thiserror::Error)]
#[error("look {file}: {what}")]
pub(crate) struct LookError {
    file: String,
    what: String,
}

impl LookError {
    fn new(path: &Path, what: impl Into<String>) -> Self {
        Self {
            file: path.display().to_string(),
            what: what.into(),
        }
    }
}

/// Everything, ready to be shown.
#[derive(Debug)]
pub(crate) struct Look {
    sheet: Option<String>,
    logo: Option<Picture>,
    logo_dark: Option<Picture>,
    favicon: Option<Picture>,
    help: Vec<(Language, Vec<Block>)>,
    version: String,
}

impl Look {
    pub(crate) fn open(config: &config::Look, texts: &Texts) -> Result<Self, LookError> {
        let picture = |path: &Option<_>| path.as_deref().map(Picture::open).transpose();
        let mut look = Self {
            sheet: sheet(config.accents()),
            logo: picture(&config.logo)?,
            logo_dark: picture(&config.logo_dark)?,
            favicon: picture(&config.favicon)?,
            help: match &config.help {
                Some(folder) => help(folder, texts)?,
                None => Vec::new(),
            },
            version: String::new(),
        };
        let parts = ["look.css", "logo", "logo-dark", "favicon"].into_iter();
        let digest = parts
            .filter_map(|name| look.file(name))
            .fold(Sha256::new(), |hash, (_, bytes)| hash.chain_update(bytes));
        look.version = HEXLOWER.encode(digest.finalize().get(..6).unwrap_or_default());
        Ok(look)
    }

    /// The digest in the addresses of its files.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn has_sheet(&self) -> bool {
        self.sheet.is_some()
    }

    pub(crate) fn has_logo(&self) -> bool {
        self.logo.is_some()
    }

    pub(crate) fn has_logo_dark(&self) -> bool {
        self.logo_dark.is_some()
    }

    /// Media type of the site's own icon.
    pub(crate) fn favicon_type(&self) -> Option<&'static str> {
        self.favicon.as_ref().map(|icon| icon.kind().media_type())
    }

    /// Media type and bytes of what is served under `/static/`.
    pub(crate) fn file(&self, name: &str) -> Option<(&'static str, &[u8])> {
        let picture = |picture: &'_ Picture| picture.kind().media_type();
        match name {
            "look.css" => {
                let sheet = self.sheet.as_deref()?;
                Some(("text/css; charset=utf-8", sheet.as_bytes()))
            }
            "logo" => self.logo.as_ref().map(|p| (picture(p), p.bytes())),
            "logo-dark" => self.logo_dark.as_ref().map(|p| (picture(p), p.bytes())),
            "favicon" => self.favicon.as_ref().map(|p| (picture(p), p.bytes())),
            _ => None,
        }
    }

    /// The site's own help in a language, or in the default one.
    pub(crate) fn help(&self, language: Language, default: Language) -> Option<HelpText<'_>> {
        let of = |wanted| self.help.iter().find(|(own, _)| *own == wanted);
        of(language)
            .or_else(|| of(default))
            .map(|(own, blocks)| HelpText {
                language: *own,
                blocks,
            })
    }
}

/// A help text and the language it is in.
#[derive(Debug)]
pub(crate) struct HelpText<'a> {
    pub(crate) language: Language,
    pub(crate) blocks: &'a [Block],
}

/// Colours by the names that `static/style.css` uses. Whatever a colour is, it is printed by us.
fn sheet((light, dark): (Option<Colour>, Option<Colour>)) -> Option<String> {
    let part = |accent: Colour, over: Colour| {
        format!("--accent: {accent}; --link: {accent}; --mark: {accent}; --accent-over: {over};")
    };
    let light = light.map(|accent| {
        let over = accent.mixed(Colour::BLACK, 0.2);
        format!(":root {{ {} }}\n", part(accent, over))
    });
    let dark = dark.map(|accent| {
        let over = accent.mixed(Colour::WHITE, 0.3);
        format!(
            "@media screen and (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n",
            part(accent, over)
        )
    });
    match (light, dark) {
        (None, None) => None,
        (light, dark) => Some(light.unwrap_or_default() + &dark.unwrap_or_default()),
    }
}

/// The files `help.TAG.md` of a folder. Another name ending in `.md` is a mistake in writing it.
fn help(folder: &Path, texts: &Texts) -> Result<Vec<(Language, Vec<Block>)>, LookError> {
    let entries = std::fs::read_dir(folder)
        .map_err(|e| LookError::new(folder, format!("the folder cannot be read: {e}")))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|e| LookError::new(folder, e.to_string()))?
            .path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| name.ends_with(".md")) else {
            continue;
        };
        let tag = name
            .strip_prefix("help.")
            .and_then(|rest| rest.strip_suffix(".md"));
        let language = tag.and_then(|tag| texts.known(tag)).ok_or_else(|| {
            let what = "no language has this name; name it help.TAG.md, where TAG is \
                        en, ja or a language that has a file of texts";
            LookError::new(&path, what)
        })?;
        let text = read(&path, HELP_MAX)?;
        let text = String::from_utf8(text).map_err(|_| LookError::new(&path, "it is no UTF-8"))?;
        let blocks = markup::parse(&text)
            .map_err(|(line, what)| LookError::new(&path, format!("line {line}: {what}")))?;
        found.push((language, blocks));
    }
    Ok(found)
}

/// A file's bytes, when there are not too many.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, LookError> {
    let say = |what: String| LookError::new(path, what);
    let length = std::fs::metadata(path)
        .map_err(|e| say(format!("cannot be read: {e}")))?
        .len();
    if length > most {
        return Err(say(format!("it has more than {most} bytes")));
    }
    std::fs::read(path).map_err(|e| say(format!("cannot be read: {e}")))
}

#[cfg(test)]
mod tests;
