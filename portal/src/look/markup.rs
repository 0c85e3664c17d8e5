//! The little markup of help texts: headings, paragraphs, lists, links. It is read into blocks that
//! a template prints like all words, so nothing in it can become HTML of its own.

use crate::config::Link;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Under the page's own title: `#` is the first kind, all others the second.
    Heading {
        first: bool,
        text: String,
    },
    Paragraph(Vec<Span>),
    List {
        ordered: bool,
        items: Vec<Vec<Span>>,
    },
}

/// Words, or words that lead somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Text(String),
    Link { text: String, to: String },
}

/// Reads a text. Err: the line, from 1, and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Block>, (usize, String)> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let read = |text: &str| spans(text).map_err(|what| (index + 1, what));
        if line.is_empty() {
            open = false;
        } else if let Some((marks, text)) = heading(line) {
            blocks.push(Block::Heading {
                first: marks == 1,
                text: text.to_owned(),
            });
            open = false;
        } else if let Some((ordered, text)) = item(line) {
            let item = read(text)?;
            match blocks.last_mut() {
                Some(Block::List {
                    ordered: own,
                    items,
                }) if open && *own == ordered => {
                    items.push(item);
                }
                _ => blocks.push(Block::List {
                    ordered,
                    items: vec![item],
                }),
            }
            open = true;
        } else {
            go_on(&mut blocks, open, read(line)?);
            open = true;
        }
    }
    Ok(blocks)
}

/// A line that begins nothing goes on with what stands before it.
fn go_on(blocks: &mut Vec<Block>, open: bool, more: Vec<Span>) {
    let before = match blocks.last_mut().filter(|_| open) {
        Some(Block::Paragraph(spans)) => Some(spans),
        Some(Block::List { items, .. }) => items.last_mut(),
        _ => None,
    };
    match before {
        Some(spans) => {
            spans.push(Span::Text(" ".into()));
            spans.extend(more);
        }
        None => blocks.push(Block::Paragraph(more)),
    }
}

/// `## Text`: how many marks, and the text.
fn heading(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches('#');
    let marks = line.len() - text.len();
    (matches!(marks, 1..=6) && text.starts_with(' ')).then(|| (marks, text.trim()))
}

/// `- text`, `* text` or `1. text`.
fn item(line: &str) -> Option<(bool, &str)> {
    let dotted = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
    if let Some(text) = dotted {
        return Some((false, text.trim()));
    }
    let (number, text) = line.split_once(". ")?;
    let is_number = matches!(number.len(), 1..=3) && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| (true, text.trim()))
}

/// `[words](address)` among words. What does not look like it stays as it is written.
fn spans(text: &str) -> Result<Vec<Span>, String> {
    let mut spans = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('[') {
        plain.push_str(before);
        let link = from
            .split_once("](")
            .filter(|(words, _)| !words.contains('['))
            .and_then(|(words, rest)| Some((words, rest.split_once(')')?)));
        match link {
            Some((words, (to, after))) if !words.trim().is_empty() => {
                Link::check(to)?;
                if !plain.is_empty() {
                    spans.push(Span::Text(std::mem::take(&mut plain)));
                }
                spans.push(Span::Link {
                    text: words.trim().to_owned(),
                    to: to.to_owned(),
                });
                rest = after;
            }
            _ => {
                plain.push('[');
                rest = from;
            }
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        spans.push(Span::Text(plain));
    }
    Ok(spans)
}

#[cfg(test)]
mod tests;
