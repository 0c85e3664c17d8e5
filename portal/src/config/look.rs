//! `[look]`: the site's own logo, icon, colours, help texts, languages and link for feedback. A colour in which people could
//! not read is refused here; files are checked when they are opened.

mod colour;

pub(crate) use colour::Colour;

use std::path::PathBuf;

use serde::Deserialize;

use super::Link;

/// Least contrast of text (WCAG 2.2, 1.4.3 at level AA).
const CONTRAST: f64 = 4.5;
/// What stands behind the accent in `static/style.css`: page and card, light and dark.
const LIGHT: [Colour; 2] = [Colour(0xf4, 0xf5, 0xf8), Colour(0xff, 0xff, 0xff)];
const DARK: [Colour; 2] = [Colour(0x10, 0x14, 0x1d), Colour(0x18, 0x1e, 0x2a)];

/// The whole table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Look {
    /// SVG or PNG, beside the portal's name.
    #[serde(default)]
    pub(crate) logo: Option<PathBuf>,
    /// The same where the browser is dark.
    #[serde(default)]
    pub(crate) logo_dark: Option<PathBuf>,
    /// Of buttons, links and marks.
    #[serde(default)]
    accent: Option<Accent>,
    #[serde(default)]
    accent_dark: Option<AccentDark>,
    /// Folder of `help.TAG.md`.
    #[serde(default)]
    pub(crate) help: Option<PathBuf>,
    /// Folder of `TAG.toml`.
    #[serde(default)]
    pub(crate) languages: Option<PathBuf>,
    /// SVG or PNG, in the browser's tab and among its bookmarks.
    #[serde(default)]
    pub(crate) favicon: Option<PathBuf>,
    /// Where people say what they think of the portal.
    #[serde(default)]
    pub(crate) feedback: Option<Link>,
}

impl Look {
    /// The accents on light and on dark pages, if the site has its own. One that is only given for
    /// light pages is made lighter until it can be read on dark ones.
    pub(crate) fn accents(&self) -> (Option<Colour>, Option<Colour>) {
        let light = self.accent.as_ref().map(|accent| accent.0);
        let own = self.accent_dark.as_ref().map(|accent| accent.0);
        let made = light.map(|colour| {
            let steps = (0..=20).map(|step| colour.mixed(Colour::WHITE, f64::from(step) / 20.0));
            let mut readable = steps.filter(|one| unreadable(*one, &DARK).is_none());
            readable.next().unwrap_or(Colour::WHITE)
        });
        (light, own.or(made))
    }
}

/// The least contrast, where it is too small.
fn unreadable(colour: Colour, behind: &[Colour]) -> Option<f64> {
    let least = behind
        .iter()
        .map(|one| colour.contrast(*one))
        .fold(f64::INFINITY, f64::min);
    (least < CONTRAST).then_some(least)
}

fn read(text: &str, behind: &[Colour], what: &str, hint: &str) -> Result<Colour, String> {
    let colour = Colour::parse(text)
        .ok_or_else(|| format!("{text:?} is no colour; write one like \"#2f4b9b\""))?;
    match unreadable(colour, behind) {
        None => Ok(colour),
        Some(least) => Err(format!(
            "{text:?} cannot be read on {what}: its contrast is {least:.2}:1, and must be {CONTRAST}:1 at least (WCAG AA); {hint}"
        )),
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Accent(Colour);

impl TryFrom<String> for Accent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        read(&text, &LIGHT, "light pages", "take a darker one").map(Self)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct AccentDark(Colour);

impl TryFrom<String> for AccentDark {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        read(&text, &DARK, "dark pages", "take a lighter one").map(Self)
    }
}

#[cfg(test)]
mod tests;
