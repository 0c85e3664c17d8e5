//! A language by its tag. Two are built in; any other well-formed tag may have a file of its own,
//! and whether it has one, only [`super::Texts`] knows.

use serde::Deserialize;

/// A language the pages may exist in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Language {
    #[default]
    En,
    Ja,
    /// From a file.
    Other(Tag),
}

/// A BCP 47 tag in lower case, such as `de` or `pt-br`; what is not used of the eight bytes is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag([u8; 8]);

impl Tag {
    fn parse(text: &str) -> Option<Self> {
        let (primary, region) = text.split_once('-').unwrap_or((text, "xx"));
        let letters = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase());
        let fits = matches!(primary.len(), 2 | 3)
            && letters(primary)
            && matches!(region.len(), 2..=4)
            && region
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        (fits && text.len() <= bytes.len()).then_some(Self(bytes))
    }

    fn as_str(&self) -> &str {
        let used = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(used).unwrap_or_default()
    }
}

impl Language {
    /// Those that need no file.
    pub(crate) const ALL: [Self; 2] = [Self::En, Self::Ja];

    /// The BCP 47 tag.
    pub(crate) fn tag(&self) -> &str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
            Self::Other(tag) => tag.as_str(),
        }
    }

    /// None: no tag as we write them. The language need not exist here.
    pub(crate) fn of_tag(tag: &str) -> Option<Self> {
        match tag {
            "en" => Some(Self::En),
            "ja" => Some(Self::Ja),
            _ => Tag::parse(tag).map(Self::Other),
        }
    }
}

impl TryFrom<String> for Language {
    type Error = String;

    fn try_from(tag: String) -> Result<Self, String> {
        Self::of_tag(&tag)
            .ok_or_else(|| format!("{tag:?} is no language; write \"en\", \"ja\" or \"de\""))
    }
}

/// What a browser asks for, best first (RFC 9110 §12.5.4): whole ranges and, after each, the
/// language alone, in lower case.
pub(super) fn wanted(accept: &str) -> Vec<String> {
    let mut wanted: Vec<(f32, String)> = Vec::new();
    for part in accept.split(',').take(20) {
        let (range, weight) = part.split_once(';').unwrap_or((part, "q=1"));
        let weight: Option<f32> = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|q| q.parse().ok());
        if let Some(weight) = weight.filter(|weight| *weight > 0.0) {
            wanted.push((weight, range.trim().to_ascii_lowercase()));
        }
    }
    // Stable: of equal weights the first written stays first.
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let both = |range: String| {
        let primary = range.split('-').next().unwrap_or_default().to_owned();
        [range, primary]
    };
    wanted.into_iter().flat_map(|(_, r)| both(r)).collect()
}
