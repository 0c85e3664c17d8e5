//! A portal's directory asked through `sekisho-portal directory test`, in a scratch folder: what the
//! tests of every kind of directory do, and how what it said is read.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::clock;

use crate::{
    slapd::Certificates,
    tools::{self, both},
};

/// A folder of its own, with a CA and a certificate for 127.0.0.1.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
    pub certificates: Certificates,
}

impl Scratch {
    pub fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::make(&folder.path().join("tls"), "IP:127.0.0.1")?;
        Ok(Self {
            folder,
            certificates,
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks for a person with a password. `directory`: the lines of `[directory]`.
    pub fn ask(&self, directory: &str, user: &str, password: &str) -> Result<Said> {
        let verb = ["directory", "test", "--user", user];
        let started = clock::instant();
        let output = self.run(directory, &verb, password)?;
        Ok(Said {
            output,
            took: started.elapsed(),
        })
    }

    /// One of the portal's verbs, with something on its standard input.
    pub fn run(&self, directory: &str, verb: &[&str], input: &str) -> Result<Output> {
        let folder = self.folder();
        let config = folder.join("portal.toml");
        fs::write(
            &config,
            format!(
                "[portal]\nname = \"Test\"\nissuer = \"Test\"\ncontact = \"desk\"\n\
                 listen = [\"127.0.0.1:1\"]\ndata = {folder:?}\nkey_file = \"/nowhere/key\"\n\
                 [tls]\nself_signed = {folder:?}\n[directory]\n{directory}"
            ),
        )?;
        let mut child = Command::new(tools::portal()?)
            .arg("--config")
            .arg(&config)
            .arg("--json")
            .args(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        // A verb that ends before it reads is told by its output.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        Ok(child.wait_with_output()?)
    }
}

/// What the verb said.
#[derive(Debug)]
pub struct Said {
    pub output: Output,
    pub took: Duration,
}

impl Said {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.output.stdout).with_context(|| both(&self.output))
    }

    /// The password's result of somebody who was found.
    pub fn password(&self) -> Result<String> {
        let json = self.json()?;
        ensure!(json.get("found") == Some(&Value::Bool(true)), "{json}");
        let word = json.get("password").and_then(Value::as_str);
        Ok(word.unwrap_or("not asked").to_owned())
    }

    /// An error unless nobody was found.
    pub fn is_nobody(&self) -> Result<()> {
        let json = self.json()?;
        ensure!(
            json.get("found") == Some(&Value::Bool(false)) && !self.output.status.success(),
            "{json}"
        );
        Ok(())
    }

    /// No answer: it says so in a sentence, in time, and did not fall over. Gives what it said.
    pub fn is_unavailable(&self) -> Result<String> {
        let text = both(&self.output);
        ensure!(self.output.status.code() == Some(1), "{text}");
        ensure!(text.contains("the directory is unavailable"), "{text}");
        ensure!(!text.contains("panicked"), "{text}");
        ensure!(self.took < Duration::from_secs(20), "took {:?}", self.took);
        Ok(text)
    }
}
