//! `directory status` and `directory sweep`.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    cli::{Done, desk::Desk, output},
    leavers::{Condition, Mode, Report, Sweep, Watched},
};

#[derive(Serialize)]
struct Standing {
    condition: &'static str,
    every_seconds: i64,
    /// Since everybody was looked up.
    age_seconds: i64,
    #[serde(flatten)]
    watched: Watched,
}

/// Not all is well: the exit code says so, too.
pub(super) async fn status(desk: &Desk) -> Result<Done> {
    let watched = Watched::read(&desk.store).await?;
    let watch = desk.config.directory.watch();
    let now = desk.now().as_second();
    let condition = watched.condition(now, watch);
    let standing = Standing {
        condition: condition.word().unwrap_or("fine"),
        every_seconds: watch.every.seconds(),
        age_seconds: watched.age(now),
        watched,
    };
    desk.out.say(&standing, &standing.sentences())?;
    Ok(match condition {
        Condition::Fine => Done::All,
        Condition::Stale { .. } | Condition::Held { .. } => Done::Partly,
    })
}

impl Standing {
    fn sentences(&self) -> String {
        let (Some(at), Some(last)) = (self.watched.at, &self.watched.last) else {
            let why = self.watched.failing.as_deref();
            return format!(
                "Nobody was looked up yet: {}.",
                why.unwrap_or("the portal has not run since it can")
            );
        };
        let mut lines = vec![format!(
            "state:     {}\nevery:     {} s\nlast:      {} ({} s ago), {} people in {} ms",
            self.condition,
            self.every_seconds,
            output::time(at),
            self.age_seconds,
            last.people,
            last.took_ms,
        )];
        lines.push(counts(last));
        if let Some(failing) = &self.watched.failing {
            lines.push(format!("failing:   {failing}"));
        }
        lines.join("\n")
    }
}

fn counts(report: &Report) -> String {
    format!(
        "left:      {}, ended {}\nstrayed:   {}, services closed {}\nheld back: {}\n\
         unclear:   {}",
        report.leavers,
        report.ended,
        report.strays,
        report.closed,
        report.held_back,
        report.unclear
    )
}

/// One round by hand.
pub(in crate::cli) async fn sweep(desk: &Desk, mode: Mode) -> Result<Done> {
    let sweep = Sweep {
        store: desk.store.clone(),
        directory: desk.directory()?,
        grants: desk.grants.clone(),
        audit: desk.means().audit.clone(),
        clock: desk.clock.clone(),
        watch: desk.config.directory.watch().clone(),
    };
    let report = sweep
        .round(mode)
        .await
        .context("nobody was looked up and nothing ended")?;
    let mut lines: Vec<String> = report
        .left
        .iter()
        .map(|(name, why)| format!("{name}: left, {why}"))
        .collect();
    lines.extend(report.strayed.iter().map(|(name, services)| {
        format!(
            "{name}: not in the group any more for {}",
            services.join(", ")
        )
    }));
    lines.push(format!(
        "{} people looked up in {} ms",
        report.people, report.took_ms
    ));
    lines.push(counts(&report));
    desk.out.say(&report, &lines.join("\n"))?;
    if report.held_back > 0 && mode == Mode::Guarded {
        desk.out.warn(
            "very many seem to have left at once, so it was held back: look at the directory, and \
             say --force if they really left",
        );
    }
    if let Some(failure) = &report.agent_failed {
        desk.out
            .warn(&format!("open grants were not looked at: {failure}"));
    }
    let fine = report.not_closed == 0
        && report.agent_failed.is_none()
        && (mode == Mode::DryRun || report.held_back == 0);
    Ok(if fine { Done::All } else { Done::Partly })
}
