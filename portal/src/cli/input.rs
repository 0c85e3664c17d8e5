//! Secrets for verbs: asked for without echo at a terminal, else one line of standard input. Never
//! an argument, where every user of the machine could read it.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, bail};
use zeroize::Zeroizing;

const LINE_MAX: u64 = 4096;

/// Whether a typed secret must be typed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Once,
    Twice,
}

/// A secret without its line end.
pub(super) fn secret(what: &str, typed: Typed) -> Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mut line = Zeroizing::new(String::new());
        stdin
            .lock()
            .take(LINE_MAX)
            .read_line(&mut line)
            .with_context(|| format!("cannot read the {what} from standard input"))?;
        let trimmed = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(Zeroizing::new(
            trimmed.strip_suffix('\r').unwrap_or(trimmed).to_owned(),
        ));
    }
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .with_context(|| format!("cannot read the {what} from the terminal"))
    };
    let first = ask(format!("{what}: "))?;
    if typed == Typed::Twice && *ask(format!("{what} again: "))? != *first {
        bail!("the two {what}s differ; nothing was changed");
    }
    Ok(first)
}
