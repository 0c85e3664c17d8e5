//! Deny prefixes with their deadlines.

use ipnet::IpNet;
use sqlx::Row as _;

use super::{
    Ledger, LedgerError, Writing,
    holders::{signed, unsigned},
};

/// One prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyRow {
    pub prefix: IpNet,
    pub deadline_ms: i64,
    pub deadline_boot_ns: u64,
    pub reason: Option<String>,
    pub opened_by: String,
}

impl Ledger {
    /// All that have not ended, sorted by prefix as text.
    pub async fn denies(&self, now_boot_ns: u64) -> Result<Vec<DenyRow>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM denies WHERE deadline_boot_ns > $1 ORDER BY prefix")
            .bind(signed(now_boot_ns))
            .fetch_all(&self.readers)
            .await?;
        let row = |row: &sqlx::sqlite::SqliteRow| {
            let prefix: String = row.try_get("prefix")?;
            Ok(DenyRow {
                prefix: prefix
                    .parse()
                    .map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
                deadline_ms: row.try_get("deadline_ms")?,
                deadline_boot_ns: unsigned(row.try_get("deadline_boot_ns")?),
                reason: row.try_get("reason")?,
                opened_by: row.try_get("opened_by")?,
            })
        };
        Ok(rows.iter().map(row).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// Inserts or replaces. The portal never shortens a denial and never touches an operator's.
pub(crate) async fn put_deny(writing: &mut Writing, row: &DenyRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO denies (prefix, deadline_ms, deadline_boot_ns, reason, opened_by) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (prefix) DO UPDATE SET \
         deadline_ms = excluded.deadline_ms, deadline_boot_ns = excluded.deadline_boot_ns, \
         reason = excluded.reason, opened_by = excluded.opened_by \
         WHERE excluded.opened_by <> 'portal' OR (denies.opened_by = 'portal' \
         AND excluded.deadline_boot_ns > denies.deadline_boot_ns)",
    )
    .bind(row.prefix.to_string())
    .bind(row.deadline_ms)
    .bind(signed(row.deadline_boot_ns))
    .bind(&row.reason)
    .bind(&row.opened_by)
    .execute(&mut **writing)
    .await
    .map(drop)
}

/// True if there was one.
pub(crate) async fn remove_deny(writing: &mut Writing, prefix: IpNet) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("DELETE FROM denies WHERE prefix = $1")
        .bind(prefix.to_string())
        .execute(&mut **writing)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Removes those that have ended.
pub(crate) async fn remove_ended_denies(
    writing: &mut Writing,
    now_boot_ns: u64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("DELETE FROM denies WHERE deadline_boot_ns <= $1")
        .bind(signed(now_boot_ns))
        .execute(&mut **writing)
        .await?;
    Ok(done.rows_affected())
}
