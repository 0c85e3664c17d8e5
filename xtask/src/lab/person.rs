//! A person with a phone at a browser: `curl` in a namespace, and codes from `oathtool`, which
//! knows nothing of our own implementation.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    layout::home,
    record::{Lab, User},
};
use crate::{clock, net::Namespace};

/// A reply of the portal.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) took: Duration,
    /// The moment the reply was there.
    pub(super) at: Instant,
}

/// One person at one machine.
pub(super) struct Person {
    user: User,
    at: Namespace,
    url: String,
    ca: PathBuf,
    cookies: PathBuf,
    /// The last time step whose code was typed; each is accepted once.
    used: u64,
}

const STEP: u64 = 30;

impl Person {
    pub(super) fn new(lab: &Lab, name: &str, at: Namespace, url: &str) -> Result<Self> {
        let user = lab
            .users
            .iter()
            .find(|user| user.name == name)
            .context("no such person")?;
        Ok(Self {
            user: user.clone(),
            at,
            url: url.to_owned(),
            ca: lab.portal.ca.clone(),
            cookies: home(&format!("cookies-{name}")),
            used: 0,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.user.name
    }

    /// A code that was not typed yet: of the step before, this one, or the next, which the
    /// portal accepts for clocks that differ. Waits when all three are used up.
    pub(super) fn fresh_code(&mut self) -> Result<String> {
        let step = loop {
            let now = clock::unix_seconds() / STEP;
            let next = (self.used + 1).max(now - 1);
            if next <= now + 1 {
                break next;
            }
            thread::sleep(Duration::from_millis(200));
        };
        self.used = step;
        self.code(step)
    }

    /// The code typed last, once more.
    pub(super) fn used_code(&self) -> Result<String> {
        self.code(self.used)
    }

    /// Six digits that are not valid for any step near now.
    pub(super) fn wrong_code(&self) -> Result<String> {
        let now = clock::unix_seconds() / STEP;
        let valid: Vec<String> = (now - 2..=now + 2)
            .map(|step| self.code(step))
            .collect::<Result<_>>()?;
        let wrong = (0..10).map(|n| format!("{n}{n}{n}{n}{n}{n}"));
        wrong
            .into_iter()
            .find(|code| !valid.contains(code))
            .context("no wrong code left")
    }

    fn code(&self, step: u64) -> Result<String> {
        let mut oathtool = Command::new("oathtool");
        oathtool.args([
            "--totp",
            "--base32",
            "--now",
            &format!("@{}", step * STEP),
            "-",
        ]);
        Ok(piped(&mut oathtool, &self.user.totp_secret)?
            .trim()
            .to_owned())
    }

    pub(super) fn log_in(&self, code: &str, more: &[(&str, &str)]) -> Result<Reply> {
        self.log_in_with(&self.user.password, code, more)
    }

    pub(super) fn log_in_with(
        &self,
        password: &str,
        code: &str,
        more: &[(&str, &str)],
    ) -> Result<Reply> {
        let mut form = vec![
            ("username", &*self.user.name),
            ("password", password),
            ("code", code),
        ];
        form.extend(more);
        self.post("/login", &form)
    }

    /// Posts a form; secrets go through standard input, as nothing secret belongs in an argv.
    pub(super) fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Reply> {
        let body: Vec<_> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let mut curl = self.at.command("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--output",
            "/dev/null",
        ])
        .args([
            "--write-out",
            "%{http_code}",
            "--data-binary",
            "@-",
            "--cacert",
        ])
        .arg(&self.ca)
        .arg("--cookie")
        .arg(&self.cookies)
        .arg("--cookie-jar")
        .arg(&self.cookies)
        .arg(format!("{}{path}", self.url));
        let start = clock::instant();
        let status = piped(&mut curl, &body.join("&"))?;
        let at = clock::instant();
        Ok(Reply {
            status: status.trim().parse()?,
            took: at - start,
            at,
        })
    }
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

fn piped(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{:?}: {}",
            command.get_program(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
