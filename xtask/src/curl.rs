//! `curl` as a browser: with cookies, in a namespace, and what it sends on standard input, since
//! nothing secret belongs in an argv.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{clock, command, net::Namespace};

/// A browser at one place. Remembers cookies in a file.
#[derive(Clone, Debug)]
pub struct Browser {
    at: Option<Namespace>,
    ca: PathBuf,
    cookies: PathBuf,
    headers: Vec<String>,
    names: Vec<String>,
    /// Seconds that a reply may take.
    patience: u32,
}

/// A reply.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    /// As received, one line each.
    pub headers: String,
    pub body: String,
    pub took: Duration,
    /// The moment the reply was there.
    pub at: Instant,
}

impl Page {
    /// The value of a header; names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Browser {
    /// A browser that trusts one authority and keeps its cookies in a file.
    pub fn new(at: Option<Namespace>, ca: &Path, cookies: impl Into<PathBuf>) -> Self {
        Self {
            at,
            ca: ca.to_owned(),
            cookies: cookies.into(),
            headers: Vec::new(),
            names: Vec::new(),
            patience: 30,
        }
    }

    /// The same browser sending one header more, e.g. `Accept-Language: ja`.
    #[must_use]
    pub fn with_header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    /// The same browser that waits for a reply only so many seconds.
    #[must_use]
    pub fn with_patience(mut self, seconds: u32) -> Self {
        self.patience = seconds;
        self
    }

    /// The same browser where a name stands for this address and port, as DNS would say.
    #[must_use]
    pub fn with_name(mut self, name: &str, at: SocketAddr) -> Self {
        let (ip, port) = (at.ip(), at.port());
        self.names.push(match at {
            SocketAddr::V4(_) => format!("{name}:{port}:{ip}"),
            SocketAddr::V6(_) => format!("{name}:{port}:[{ip}]"),
        });
        self
    }

    pub fn get(&self, url: &str) -> Result<Page> {
        self.run(url, &[], "")
    }

    pub fn post(&self, url: &str, form: &[(&str, &str)]) -> Result<Page> {
        self.post_body(url, &encoded(form))
    }

    /// Posts a body as it is, as a form.
    pub fn post_body(&self, url: &str, body: &str) -> Result<Page> {
        self.run(url, &["--data-binary", "@-"], body)
    }

    fn run(&self, url: &str, arguments: &[&str], body: &str) -> Result<Page> {
        let mut curl = match &self.at {
            Some(namespace) => namespace.command("curl"),
            None => Command::new("curl"),
        };
        curl.args(["--silent", "--show-error", "--include", "--max-time"])
            .arg(self.patience.to_string())
            .args(["--header", "Expect:"])
            .arg("--cacert")
            .arg(&self.ca)
            .arg("--cookie")
            .arg(&self.cookies)
            .arg("--cookie-jar")
            .arg(&self.cookies)
            .args(self.headers.iter().flat_map(|line| ["--header", line]))
            .args(self.names.iter().flat_map(|name| ["--resolve", name]))
            .args(arguments)
            .arg(url);
        let start = clock::instant();
        let reply = command::piped(&mut curl, body)?;
        let at = clock::instant();
        parse(&reply, at - start, at)
    }
}

fn parse(reply: &str, took: Duration, at: Instant) -> Result<Page> {
    let (head, body) = reply
        .split_once("\r\n\r\n")
        .context("a reply without headers")?;
    let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first
        .split(' ')
        .nth(1)
        .context("a reply without a status")?
        .parse()?;
    Ok(Page {
        status,
        headers: headers.to_owned(),
        body: body.to_owned(),
        took,
        at,
    })
}

/// A form as a browser would send it.
pub fn encoded(form: &[(&str, &str)]) -> String {
    let fields: Vec<_> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    fields.join("&")
}

fn escaped(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_survives_every_letter() {
        assert_eq!(
            encoded(&[("a", "x y"), ("b", "&=é")]),
            "a=x%20y&b=%26%3D%C3%A9"
        );
    }

    #[test]
    fn status_headers_and_body_are_told_apart() {
        let reply = "HTTP/2 401 \r\nContent-Type: text/html\r\nx-id: 7\r\n\r\n<p>\r\n\r\nno</p>";
        let page = parse(reply, Duration::ZERO, clock::instant()).unwrap();
        assert_eq!((page.status, page.header("X-Id")), (401, Some("7")));
        assert_eq!(page.body, "<p>\r\n\r\nno</p>");
    }
}
