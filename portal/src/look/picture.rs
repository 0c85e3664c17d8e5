//! A logo or an icon: a PNG, or an SVG that draws and does nothing else. It is served as a file of its own with
//! its own type and never becomes part of a page.

use std::path::Path;

use super::{LookError, read};

/// Largest one, in bytes.
const SIZE_MAX: u64 = 256 * 1024;
/// Widest and highest PNG, in pixels.
const EDGE_MAX: u32 = 4096;
const SVG: &str = "http://www.w3.org/2000/svg";
/// Elements that run, embed or change what was checked.
const REFUSED: [&str; 12] = [
    "script",
    "foreignObject",
    "iframe",
    "embed",
    "object",
    "audio",
    "video",
    "handler",
    "animate",
    "animateMotion",
    "animateTransform",
    "set",
];

/// What a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Svg,
    Png,
}

impl Kind {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
        }
    }
}

/// A picture that was looked at.
#[derive(Debug)]
pub(crate) struct Picture {
    kind: Kind,
    bytes: Vec<u8>,
}

impl Picture {
    pub(super) fn open(path: &Path) -> Result<Self, LookError> {
        let say = |what: String| LookError::new(path, what);
        let bytes = read(path, SIZE_MAX)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        let (kind, checked) = match ending {
            Some("svg") => (Kind::Svg, check_svg(&bytes)),
            Some("png") => (Kind::Png, check_png(&bytes)),
            _ => return Err(say("a logo or an icon is a file .svg or .png".into())),
        };
        checked.map_err(say)?;
        Ok(Self { kind, bytes })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Signature and size (PNG specification, 5.2 and 11.2.2).
fn check_png(bytes: &[u8]) -> Result<(), String> {
    let head = bytes
        .strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")
        .ok_or("it is no PNG")?;
    let edge = |at: usize| -> Option<u32> {
        let four: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(four))
    };
    match (edge(0), edge(4)) {
        (Some(1..=EDGE_MAX), Some(1..=EDGE_MAX)) => Ok(()),
        (Some(width), Some(height)) => Err(format!(
            "it has {width} × {height} pixels; at most {EDGE_MAX} each way"
        )),
        _ => Err("it is cut off".into()),
    }
}

/// Well-formed, without a document type (so no entities), and nothing in it that runs or loads.
fn check_svg(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8")?;
    let document = roxmltree::Document::parse(text).map_err(|e| format!("it is no SVG: {e}"))?;
    if !document.root_element().has_tag_name((SVG, "svg")) {
        return Err("it is no SVG: its root is no svg element of SVG's namespace".into());
    }
    for node in document.descendants() {
        if node.is_pi() {
            return Err(
                "it has a processing instruction, such as a style sheet's; remove it".into(),
            );
        }
        let name = node.tag_name().name();
        if REFUSED
            .iter()
            .any(|refused| name.eq_ignore_ascii_case(refused))
        {
            return Err(format!(
                "it has an element <{name}>; only drawings are taken"
            ));
        }
        let mut texts = node.descendants().filter_map(|node| node.text());
        if name == "style" && texts.any(loads) {
            return Err("its style loads something; only what is in the file is taken".into());
        }
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value().trim());
            if name.to_ascii_lowercase().starts_with("on") {
                return Err(format!("it has an attribute {name}, which runs a script"));
            }
            let outside = matches!(name, "href" | "src") && !value.starts_with('#');
            if outside || loads(value) {
                return Err(format!(
                    "its attribute {name} refers to something outside the file; only #names are taken"
                ));
            }
        }
    }
    Ok(())
}

/// In a style: an import, an escape that could hide one, or an address that is no `#name`.
fn loads(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mut addresses = lower.split("url(").skip(1);
    lower.contains("@import")
        || lower.contains('\\')
        || lower.contains("image-set(")
        || addresses.any(|rest| {
            let rest = rest.trim_start().trim_start_matches(['"', '\'']);
            !rest.starts_with('#')
        })
}

#[cfg(test)]
mod tests;
