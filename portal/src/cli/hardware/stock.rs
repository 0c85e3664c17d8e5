//! Puts the tokens of a maker's file in stock, line by line, and says of each what became of it.

use std::time::Duration;

use agent_api::AuditKind;
use anyhow::{Result, bail};
use serde::Serialize;

use crate::{
    audit::draft,
    cli::{Done, desk::Desk},
    codes::{self, Codes},
    store::{StockRow, Stocked},
    tokenfile::{Imported, Read},
};

#[derive(Serialize)]
struct Line {
    place: String,
    serial: Option<String>,
    kind: Option<String>,
    weak: bool,
    result: &'static str,
    reason: Option<String>,
}

/// Takes line by line. What went into the stock before something failed stays there, so it is
/// reported and recorded before the failure is told.
pub(super) async fn stock(desk: &Desk, read: Vec<Read>, codes: Option<&Codes>) -> Result<Done> {
    let mut lines = Vec::with_capacity(read.len());
    let mut seen = std::collections::BTreeSet::new();
    let mut stopped = None;
    for Read { place, token } in read {
        let token = token.and_then(|token| match seen.insert(token.serial.clone()) {
            true => Ok(token),
            false => Err(format!("serial {} stands twice in the file", token.serial)),
        });
        lines.push(match token {
            Ok(token) => match take(desk, &place, &token, codes).await {
                Ok(line) => line,
                Err(failure) => {
                    stopped = Some(failure.context(format!(
                        "stopped at {place}; what is listed as imported is in stock, and the same \
                         file can be imported again"
                    )));
                    break;
                }
            },
            Err(reason) => Line {
                place,
                serial: None,
                kind: None,
                weak: false,
                result: "bad",
                reason: Some(reason),
            },
        });
    }
    let bad = report(desk, &lines, codes.is_some(), stopped.is_some()).await?;
    match stopped {
        Some(failure) => Err(failure),
        None if bad == 0 => Ok(Done::All),
        None => Ok(Done::Partly),
    }
}

/// Records what was stocked and shows the lines; gives how many were left out.
async fn report(desk: &Desk, lines: &[Line], applied: bool, stopped: bool) -> Result<usize> {
    let count = |result| lines.iter().filter(|line| line.result == result).count();
    let (good, bad) = (
        count("imported") + count("good"),
        count("bad") + count("there"),
    );
    // First: who reads the table may have gone.
    if applied {
        let mut entry = draft(AuditKind::Token, "stocked");
        let end = if stopped { ", then it stopped" } else { "" };
        entry.reason = Some(format!("{good} hardware tokens, {bad} lines left out{end}"));
        desk.record(entry).await?;
    }
    let head = ["where", "serial", "kind", "result", "why"];
    desk.out.list(lines, &head, "no tokens", |line| {
        let weak = if line.weak { " (weak secret)" } else { "" };
        vec![
            line.place.clone(),
            line.serial.clone().unwrap_or_default(),
            line.kind.clone().unwrap_or_default(),
            format!("{}{weak}", line.result),
            line.reason.clone().unwrap_or_default(),
        ]
    })?;
    if !applied {
        desk.out.warn(&format!(
            "{good} good, {bad} not; nothing is imported without --apply"
        ));
    }
    Ok(bad)
}

/// Puts a token in stock; without the key it only looks whether that could be done.
async fn take(desk: &Desk, place: &str, token: &Imported, codes: Option<&Codes>) -> Result<Line> {
    let known = |result, reason: Option<&str>| Line {
        place: place.to_owned(),
        serial: Some(token.serial.clone()),
        kind: Some(token.recipe.to_string()),
        weak: token.seed.is_weak(),
        result,
        reason: reason.map(str::to_owned),
    };
    let there = "it is in stock already, or somebody's";
    let Some(codes) = codes else {
        return Ok(match desk.store.knows_serial(&token.serial).await? {
            true => known("there", Some(there)),
            false => known("good", None),
        });
    };
    // Another verb may rotate the key between sealing and writing; then once more with the new key.
    for tried in 0..5 {
        if tried > 1 {
            // The database is sealed anew a moment before the key file is replaced.
            desk.clock.sleep(Duration::from_millis(200)).await;
        }
        let place = codes::stock_place(&token.serial);
        let (secret, key_id) = codes.seal_at(place, token.seed.bytes())?;
        let row = StockRow {
            serial: token.serial.clone(),
            secret,
            kind: token.recipe.to_string(),
            last: token.last,
            weak: token.seed.is_weak(),
            imported: desk.now().as_second(),
        };
        match desk.store.add_stock(&row, &key_id).await? {
            Stocked::Done => return Ok(known("imported", None)),
            Stocked::There => return Ok(known("there", Some(there))),
            Stocked::OtherKey => codes.take_key()?,
        }
    }
    bail!("the key is rotated again and again")
}

#[cfg(test)]
mod tests;
