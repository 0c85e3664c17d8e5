//! A mail as its reader sees it: headers unfolded, encoded words and the body decoded.

use std::process::{Command, Stdio};

use xtask::command;

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The envelope's.
    pub to: String,
    pub subject: String,
    pub body: String,
    /// One header a line.
    pub head: String,
}

impl Letter {
    pub(super) fn read(to: String, raw: &str) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((raw, ""));
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let of = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let body = match of("Content-Transfer-Encoding:").as_str() {
            "base64" => base64(body),
            "quoted-printable" => quoted_printable(body),
            _ => body.to_owned(),
        };
        let subject = words(&of("Subject:"));
        Self {
            to,
            subject,
            body,
            head,
        }
    }

    /// Subject and body.
    pub fn whole(&self) -> String {
        format!("{}\n{}", self.subject, self.body)
    }

    /// The address of a page in the body.
    pub fn link(&self) -> Option<&str> {
        self.body
            .split_whitespace()
            .find(|word| word.starts_with("https://") && word.contains("/not-me?link="))
    }
}

fn base64(text: &str) -> String {
    let mut decode = Command::new("base64");
    decode
        .args(["--decode", "--ignore-garbage"])
        .stdin(Stdio::piped());
    command::piped(&mut decode, text).unwrap_or_default()
}

fn quoted_printable(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match (
            first,
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()),
        ) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 2047: encoded words, joined where only a space is between them.
fn words(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let mut was_encoded = false;
    while let Some((before, after)) = rest.split_once("=?utf-8?b?") {
        if !(was_encoded && before.trim().is_empty()) {
            out.push_str(before);
        }
        let (encoded, tail) = after.split_once("?=").unwrap_or((after, ""));
        out.push_str(&base64(encoded));
        rest = tail;
        was_encoded = true;
    }
    out.push_str(rest);
    out
}
