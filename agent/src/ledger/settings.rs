//! Small facts that survive a restart, the numbers of services, and the step from boot to boot.

use super::{Ledger, LedgerError, Writing};
use crate::{clock::Moment, policy::ServiceIds};

/// Which boot the `_boot_ns` columns belong to.
const BOOT_ID: &str = "boot_id";
/// The latest wall-clock time this ledger has seen.
const LAST_SEEN: &str = "last_seen_ms";
/// What the wall clock showed when it was noted last, set wrong or not.
const LAST_WALL: &str = "last_wall_ms";
/// The boot clock at that moment.
const LAST_BOOT_NS: &str = "last_boot_ns";

impl Ledger {
    /// The value of a setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, LedgerError> {
        Ok(
            sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.writer)
                .await?,
        )
    }

    /// The numbers of these services; new names get new numbers.
    pub async fn service_ids(&self, names: &[&str]) -> Result<ServiceIds, LedgerError> {
        let mut writing = self.write().await?;
        for name in names {
            sqlx::query("INSERT INTO services (name) VALUES ($1) ON CONFLICT DO NOTHING")
                .bind(*name)
                .execute(&mut *writing)
                .await?;
        }
        let all: Vec<(String, u32)> = sqlx::query_as("SELECT name, id FROM services")
            .fetch_all(&mut *writing)
            .await?;
        writing.commit().await?;
        Ok(all.into_iter().collect())
    }

    /// Notes the time on both clocks, so that a clock found set back after a reboot is noticed and
    /// one that was set forth and back extends nothing.
    pub async fn note_time(&self, now: Moment) -> Result<(), LedgerError> {
        let mut writing = self.write().await?;
        note(&mut writing, now).await?;
        writing.commit().await?;
        Ok(())
    }

    /// After a reboot the boot clock starts anew. What was left when the old boot was last noted
    /// is known by that boot's own clock; only the time from then to now is taken from what the wall
    /// clock showed then and shows now, so one that was set back or forth while that boot ran cuts nobody short. Within one
    /// boot nothing is carried over at all. A wall clock that stands before the last time seen
    /// counts as that time, but no grant outlasts the end that was written down for it.
    pub(super) async fn rebase(&self, boot_id: &str, now: Moment) -> Result<(), sqlx::Error> {
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let setting = |name: &'static str| {
            sqlx::query_scalar::<_, String>("SELECT value FROM settings WHERE name = $1").bind(name)
        };
        let known = setting(BOOT_ID).fetch_optional(&mut *writing).await?;
        if known.as_deref() != Some(boot_id) {
            let wall_ms = now.wall.as_millisecond();
            let last = number(&mut writing, LAST_SEEN).await?.unwrap_or(wall_ms);
            // Nothing is left of a boot that was never noted.
            let last_boot_ns = number(&mut writing, LAST_BOOT_NS)
                .await?
                .unwrap_or(i64::MAX);
            let noted = number(&mut writing, LAST_WALL).await?.unwrap_or(last);
            let is_behind = last > wall_ms;
            if is_behind {
                tracing::warn!(
                    behind_ms = last - wall_ms,
                    "the clock stands before the last time this ledger has seen; deadlines count from then"
                );
            }
            let boot_ns = i64::try_from(now.boot_ns).unwrap_or(i64::MAX);
            let gone_ns = (wall_ms - noted).max(0).saturating_mul(1_000_000);
            sqlx::query(
                "UPDATE holders SET deadline_boot_ns = max(0, $1 + min(deadline_boot_ns - $2 - $3, \
                 iif($4, (deadline_ms - $5) * 1000000, deadline_boot_ns)))",
            )
            .bind(boot_ns)
            .bind(last_boot_ns)
            .bind(gone_ns)
            .bind(is_behind)
            .bind(wall_ms)
            .execute(&mut *writing)
            .await?;
            // A denial that lasts longer than it should is on its shut side.
            sqlx::query(
                "UPDATE denies SET deadline_boot_ns = max(0, $1 + deadline_boot_ns - $2 - $3)",
            )
            .bind(boot_ns)
            .bind(last_boot_ns)
            .bind(gone_ns)
            .execute(&mut *writing)
            .await?;
            put_setting(&mut writing, BOOT_ID, boot_id).await?;
            note(&mut writing, now).await?;
        }
        writing.commit().await
    }
}

/// Writes both clocks down, and the latest time ever seen.
async fn note(writing: &mut Writing, now: Moment) -> Result<(), sqlx::Error> {
    let last = number(writing, LAST_SEEN).await?.unwrap_or(i64::MIN);
    let seen = now.wall.as_millisecond().max(last);
    put_setting(writing, LAST_SEEN, &seen.to_string()).await?;
    let wall_ms = now.wall.as_millisecond();
    put_setting(writing, LAST_WALL, &wall_ms.to_string()).await?;
    put_setting(writing, LAST_BOOT_NS, &now.boot_ns.to_string()).await
}

/// A setting that is a number.
async fn number(writing: &mut Writing, name: &str) -> Result<Option<i64>, sqlx::Error> {
    let text: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
        .bind(name)
        .fetch_optional(&mut **writing)
        .await?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Writes a setting inside a transaction.
pub(crate) async fn put_setting(
    writing: &mut Writing,
    name: &str,
    value: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(&mut **writing)
    .await
    .map(drop)
}
