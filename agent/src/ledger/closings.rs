//! Closings of very many holders at once. The ledger takes one row for all of them, which closes
//! them whether the agent lives or dies; the rows of the holders go afterwards, in small turns.
//! While any closing waits, the file carries another layout number, so that an agent that knows
//! nothing of closings refuses it instead of reviving what was closed.

use sqlx::{FromRow as _, QueryBuilder, Row as _, sqlite::SqliteRow};

use super::{
    LATE_VERSION, Ledger, LedgerError, PREFIX_VERSION, SCHEMA_VERSION, Selection, Writing,
    holders::{HolderRow, narrow, no_source, source, source_bytes},
};

/// What a query of holders adds so as not to see those that are closed and wait to go.
pub(super) const OPEN: &str = " AND NOT EXISTS (SELECT 1 FROM closings AS c WHERE \
    (c.source IS NULL OR c.source = holders.source \
    OR (length(holders.source) = 8 AND substr(c.source, 1, 8) = holders.source) \
    OR (length(c.source) = 8 AND substr(holders.source, 1, 8) = c.source)) \
    AND (c.service IS NULL OR c.service = holders.service) \
    AND (c.user IS NULL OR c.user = holders.user) \
    AND (c.opened_by IS NULL OR c.opened_by = holders.opened_by) \
    AND NOT EXISTS (SELECT 1 FROM reopened AS r WHERE r.closing = c.id \
    AND r.source = holders.source AND r.service = holders.service \
    AND r.user = holders.user AND r.opened_by = holders.opened_by))";

/// One closing that waits for its holders to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingRow {
    pub id: i64,
    pub selection: Selection,
    pub actor: String,
    pub reason: Option<String>,
    pub request_id: Option<String>,
}

impl ClosingRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let bytes: Option<&[u8]> = row.try_get("source")?;
        Ok(Self {
            id: row.try_get("id")?,
            selection: Selection {
                source: bytes
                    .map(|bytes| source(bytes).ok_or_else(no_source))
                    .transpose()?,
                service: row.try_get("service")?,
                user: row.try_get("user")?,
                opened_by: row.try_get("opened_by")?,
            },
            actor: row.try_get("actor")?,
            reason: row.try_get("reason")?,
            request_id: row.try_get("request_id")?,
        })
    }
}

impl Ledger {
    /// Whether a closing waits for its holders to go.
    pub async fn has_closings(&self) -> Result<bool, LedgerError> {
        let any = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM closings)");
        Ok(any.fetch_one(&self.readers).await?)
    }
}

/// Closes every holder that matches now, without touching them.
pub(crate) async fn put_closing(
    writing: &mut Writing,
    closing: &ClosingRow,
) -> Result<(), sqlx::Error> {
    let selection = &closing.selection;
    sqlx::query(
        "INSERT INTO closings (source, service, user, opened_by, actor, reason, request_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(selection.source.map(source_bytes))
    .bind(selection.service)
    .bind(&selection.user)
    .bind(&selection.opened_by)
    .bind(&closing.actor)
    .bind(&closing.reason)
    .bind(&closing.request_id)
    .execute(&mut **writing)
    .await?;
    stamp(writing).await
}

/// The oldest closing.
pub(crate) async fn first_closing(
    writing: &mut Writing,
) -> Result<Option<ClosingRow>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM closings ORDER BY id LIMIT 1")
        .fetch_optional(&mut **writing)
        .await?;
    row.map(|row| ClosingRow::from_row(&row)).transpose()
}

/// Some of the holders that it closed.
pub(crate) async fn closed_holders(
    writing: &mut Writing,
    closing: &ClosingRow,
    limit: u32,
) -> Result<Vec<HolderRow>, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT * FROM holders WHERE 1");
    narrow(&mut query, &closing.selection);
    query.push(
        " AND NOT EXISTS (SELECT 1 FROM reopened AS r WHERE r.source = holders.source \
         AND r.service = holders.service AND r.user = holders.user \
         AND r.opened_by = holders.opened_by AND r.closing = ",
    );
    query.push_bind(closing.id).push(") LIMIT ");
    let rows = query.push_bind(limit).build();
    let rows = rows.fetch_all(&mut **writing).await?;
    rows.iter().map(HolderRow::from_row).collect()
}

/// Forgets a closing, once none of its holders is left.
pub(crate) async fn end_closing(writing: &mut Writing, id: i64) -> Result<(), sqlx::Error> {
    for sql in [
        "DELETE FROM reopened WHERE closing = $1",
        "DELETE FROM closings WHERE id = $1",
    ] {
        sqlx::query(sql).bind(id).execute(&mut **writing).await?;
    }
    stamp(writing).await
}

/// Makes room for a holder that is about to be opened: no closing that waits covers it any more.
/// Returns the row that one of them had closed, which is gone now.
pub(crate) async fn reopen(
    writing: &mut Writing,
    holder: &HolderRow,
) -> Result<Option<(ClosingRow, HolderRow)>, sqlx::Error> {
    let id = holder.id;
    let covering = sqlx::query(
        "SELECT * FROM closings AS c WHERE (source IS NULL OR source = $1 \
         OR (length($1) = 8 AND substr(source, 1, 8) = $1) \
         OR (length(source) = 8 AND substr($1, 1, 8) = source)) \
         AND (service IS NULL OR service = $2) AND (user IS NULL OR user = $3) \
         AND (opened_by IS NULL OR opened_by = $4) AND NOT EXISTS (SELECT 1 FROM reopened AS r \
         WHERE r.closing = c.id AND r.source = $1 AND r.service = $2 AND r.user = $3 \
         AND r.opened_by = $4) ORDER BY id",
    )
    .bind(source_bytes(id.source))
    .bind(id.service)
    .bind(&holder.user)
    .bind(&holder.opened_by)
    .fetch_all(&mut **writing)
    .await?;
    let mut first = None;
    for row in &covering {
        let closing = ClosingRow::from_row(row)?;
        sqlx::query("INSERT INTO reopened VALUES ($1, $2, $3, $4, $5)")
            .bind(closing.id)
            .bind(source_bytes(id.source))
            .bind(id.service)
            .bind(&holder.user)
            .bind(&holder.opened_by)
            .execute(&mut **writing)
            .await?;
        first.get_or_insert(closing);
    }
    let Some(closing) = first else {
        return Ok(None);
    };
    let struck = sqlx::query(
        "DELETE FROM holders WHERE source = $1 AND service = $2 AND user = $3 AND opened_by = $4 \
         RETURNING *",
    )
    .bind(source_bytes(id.source))
    .bind(id.service)
    .bind(&holder.user)
    .bind(&holder.opened_by)
    .fetch_optional(&mut **writing)
    .await?;
    let struck = struck.map(|row| HolderRow::from_row(&row)).transpose()?;
    Ok(struck.map(|row| (closing, row)))
}

/// Writes down which agents can read the file as it is now. Part of the transaction: the number
/// comes and goes with what it is about.
pub(super) async fn stamp(writing: &mut Writing) -> Result<(), sqlx::Error> {
    let sql = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM holders WHERE length(source) = 8) \
         OR EXISTS (SELECT 1 FROM closings WHERE length(source) = 8) THEN {PREFIX_VERSION} \
         WHEN EXISTS (SELECT 1 FROM closings) THEN {LATE_VERSION} ELSE {SCHEMA_VERSION} END"
    );
    let version: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(&mut **writing)
        .await?;
    // Pragmas take no parameters; the value is our own constant.
    let sql = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {version}"));
    sqlx::raw_sql(sql).execute(&mut **writing).await.map(drop)
}
