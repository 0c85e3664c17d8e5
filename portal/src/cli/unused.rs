//! `token suspend-unused`: tokens that nobody used for long are suspended, after a look at them.

use agent_api::AuditKind;
use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    desk::Desk,
    output::{exact, time},
};
use crate::{audit::draft, config::Length};

const DAY: u32 = 24 * 3600;

/// A length in days: `90d`, `12w`.
pub(super) type Days = Length<DAY, { 3_650 * DAY }>;

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// How long a token must have been unused, e.g. 90d or 12w; at least a day.
    #[arg(long = "for", value_parser = Days::parse)]
    length: Days,
    /// Only of people whose name fits; `*` stands for anything, e.g. 'ext-*'.
    #[arg(long, default_value = "*")]
    user_filter: String,
    /// Suspend them; without it the verb only says which it would.
    #[arg(long)]
    apply: bool,
}

#[derive(Serialize)]
struct Listed {
    id: String,
    user: String,
    device: String,
    last_used: Option<Timestamp>,
    /// `would-suspend`, `suspended`, or `used-meanwhile`.
    result: &'static str,
}

pub(super) async fn carry_out(desk: &Desk, asked: Asked) -> Result<()> {
    let before = desk.now().as_second() - asked.length.seconds();
    let mut listed = Vec::new();
    for token in desk.store.unused_tokens(before).await? {
        if !fits(
            &asked.user_filter.to_lowercase(),
            &token.user_name.to_lowercase(),
        ) {
            continue;
        }
        let result = match asked.apply {
            false => "would-suspend",
            true if desk.store.suspend_unused(&token.id, before).await? => "suspended",
            true => "used-meanwhile",
        };
        if result == "suspended" {
            let mut entry = draft(AuditKind::Token, "suspended");
            entry.user = Some(token.user_name.clone());
            entry.token = Some(token.id.clone());
            entry.reason = Some(format!(
                "unused for {} days",
                asked.length.seconds() / i64::from(DAY)
            ));
            desk.record(entry).await?;
            desk.notices.token(&token, &token.name, "suspended").await;
        }
        listed.push(Listed {
            id: token.id,
            user: token.user_name,
            device: token.name,
            last_used: token.last_used.map(exact),
            result,
        });
    }
    let head = ["id", "user", "device", "last used", "result"];
    desk.out.list(&listed, &head, "no unused tokens", |row| {
        let used = row.last_used.map(|at| time(at.as_second()));
        vec![
            row.id.clone(),
            row.user.clone(),
            row.device.clone(),
            used.unwrap_or_else(|| "never".into()),
            row.result.into(),
        ]
    })?;
    if !asked.apply {
        let note = format!("{} tokens; nothing was done, add --apply.", listed.len());
        desk.out.note(&note);
    }
    Ok(())
}

/// True: the name fits the pattern.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [
            ("*", "alice"),
            ("al*", "alice"),
            ("*ce", "alice"),
            ("a*i*e", "alice"),
            ("alice", "alice"),
            ("**", ""),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("al", "alice"),
            ("b*", "alice"),
            ("*x*", "alice"),
            ("", "alice"),
            ("a*lice*lice", "alice"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
