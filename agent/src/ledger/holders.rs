//! Holders of grants: one row for each person behind a source.

use std::net::IpAddr;

use sqlx::{FromRow as _, QueryBuilder, Row as _, Sqlite, SqlitePool, sqlite::SqliteRow};
use tokio::sync::mpsc;

use super::{Ledger, LedgerError, Writing};
use crate::kernel::GrantId;

/// One holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderRow {
    pub id: GrantId,
    pub user: String,
    pub factor: Option<String>,
    pub opened_ms: i64,
    pub opened_by: String,
    pub deadline_ms: i64,
    pub deadline_boot_ns: u64,
    /// 0: no idle limit.
    pub idle_ns: u64,
}

impl HolderRow {
    /// Whether it is the same person's part in the same grant, opened by the same side.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.user == other.user && self.opened_by == other.opened_by
    }
}

/// One grant, summed over its holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantRow {
    pub id: GrantId,
    /// The latest holder's.
    pub deadline_boot_ns: u64,
    /// The most generous holder's; 0: no idle limit.
    pub idle_ns: u64,
}

impl GrantRow {
    /// The later deadline; the longer idle limit, where none is the longest.
    fn join(&mut self, other: Self) {
        self.deadline_boot_ns = self.deadline_boot_ns.max(other.deadline_boot_ns);
        self.idle_ns = match (self.idle_ns, other.idle_ns) {
            (0, _) | (_, 0) => 0,
            (a, b) => a.max(b),
        };
    }
}

/// Which holders; everything given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub source: Option<IpAddr>,
    pub service: Option<u32>,
    pub user: Option<String>,
    pub opened_by: Option<String>,
}

/// Holders in one piece of a full read.
const PIECE: u32 = 8_192;

/// One piece as one text: handing a row over costs several microseconds, so SQLite itself joins
/// thousands of them, and a million are read in about a second instead of five.
const PIECE_SQL: &str = "SELECT group_concat(hex(source) || ' ' || service || ' ' || \
    deadline_boot_ns || ' ' || idle_ns, char(10)) FROM (SELECT source, service, deadline_boot_ns, \
    idle_ns FROM holders WHERE (source, service) > ($1, $2) AND source < $3 \
    AND deadline_boot_ns > $4 ORDER BY source, service LIMIT $5)";

/// A holder without an idle limit lifts it for all: 0 counts as the largest.
const GRANTS: &str = "SELECT source, service, max(deadline_boot_ns) AS deadline_boot_ns, \
    CASE WHEN min(idle_ns) = 0 THEN 0 ELSE max(idle_ns) END AS idle_ns FROM holders";

impl Ledger {
    /// Calls `show` for every grant that has not ended, in pieces and in no order. Two connections
    /// read one half each.
    pub async fn each_grant(
        &self,
        now_boot_ns: u64,
        mut show: impl FnMut(&[GrantRow]),
    ) -> Result<(), LedgerError> {
        let middle: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT source FROM holders ORDER BY source LIMIT 1 OFFSET (SELECT count(*) / 2 FROM holders)",
        )
        .fetch_optional(&self.readers)
        .await?;
        let middle = middle.unwrap_or_default();
        let (sender, mut receiver) = mpsc::channel(4);
        // The empty source stands before all, and nothing is as long as the last bound.
        for (from, to) in [(Vec::new(), middle.clone()), (middle, vec![0xff; 17])] {
            let (readers, sender) = (self.readers.clone(), sender.clone());
            tokio::spawn(async move {
                if let Err(error) = pieces(&readers, from, to, signed(now_boot_ns), &sender).await {
                    // A receiver that has gone away needs no error.
                    let _ = sender.send(Err(error)).await;
                }
            });
        }
        drop(sender);
        while let Some(piece) = receiver.recv().await {
            show(&piece?);
        }
        Ok(())
    }

    /// What the holders of one grant amount to now; None: nobody holds it.
    pub async fn grant(
        &self,
        id: GrantId,
        now_boot_ns: u64,
    ) -> Result<Option<GrantRow>, LedgerError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{GRANTS} WHERE source = $1 AND service = $2 AND deadline_boot_ns > $3 GROUP BY source, service"
        ));
        let row = sqlx::query(sql)
            .bind(source_bytes(id.source))
            .bind(id.service)
            .bind(signed(now_boot_ns))
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|row| GrantRow::from_row(&row)).transpose()?)
    }

    /// Holders that match, ended ones included, in the order of their grants.
    pub async fn holders(&self, selection: &Selection) -> Result<Vec<HolderRow>, LedgerError> {
        let mut query = QueryBuilder::new("SELECT * FROM holders WHERE 1");
        narrow(&mut query, selection);
        query.push(" ORDER BY source, service, user");
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows
            .iter()
            .map(HolderRow::from_row)
            .collect::<Result<_, _>>()?)
    }

    /// A page of grants that have a matching holder and have not ended.
    pub async fn page(
        &self,
        selection: &Selection,
        now_boot_ns: u64,
        after: Option<GrantId>,
        limit: u32,
    ) -> Result<Vec<GrantId>, LedgerError> {
        let mut query = QueryBuilder::new(
            "SELECT DISTINCT source, service FROM holders WHERE deadline_boot_ns > ",
        );
        query.push_bind(signed(now_boot_ns));
        narrow(&mut query, selection);
        if let Some(after) = after {
            query
                .push(" AND (source, service) > (")
                .push_bind(source_bytes(after.source));
            query.push(", ").push_bind(after.service).push(")");
        }
        query
            .push(" ORDER BY source, service LIMIT ")
            .push_bind(limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        Ok(rows.iter().map(grant_id).collect::<Result<_, _>>()?)
    }

    /// Holders whose deadline has passed, the oldest first.
    pub async fn ended(&self, now_boot_ns: u64, limit: u32) -> Result<Vec<HolderRow>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM holders WHERE deadline_boot_ns <= $1 ORDER BY deadline_boot_ns LIMIT $2",
        )
        .bind(signed(now_boot_ns))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .iter()
            .map(HolderRow::from_row)
            .collect::<Result<_, _>>()?)
    }

    /// How many holders there are, ended ones that were not swept yet included.
    pub async fn holder_count(&self) -> Result<u64, LedgerError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM holders").fetch_one(&self.readers);
        Ok(unsigned(count.await?))
    }

    /// How many grants there are of each family, (IPv4, IPv6), and how many holders.
    pub async fn counts(&self) -> Result<(u64, u64, u64), LedgerError> {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE length(source) = 4) AS v4, \
             count(*) FILTER (WHERE length(source) = 16) AS v6, ifnull(sum(held), 0) AS holders \
             FROM (SELECT source, count(*) AS held FROM holders GROUP BY source, service)",
        )
        .fetch_one(&self.readers)
        .await?;
        let number = |name| row.try_get::<i64, _>(name).map(unsigned);
        Ok((number("v4")?, number("v6")?, number("holders")?))
    }
}

/// Inserts a holder or extends it: a deadline never moves closer by asking again. What an operator
/// opened and what the portal opened for the same person are two holders, so that the portal closes
/// its own and no more.
pub(crate) async fn put_holder(writing: &mut Writing, row: &HolderRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO holders (source, service, user, factor, opened_ms, opened_by, deadline_ms, \
         deadline_boot_ns, idle_ns) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (source, service, user, opened_by) DO UPDATE SET factor = excluded.factor, \
         idle_ns = excluded.idle_ns, \
         deadline_ms = max(deadline_ms, excluded.deadline_ms), \
         deadline_boot_ns = max(deadline_boot_ns, excluded.deadline_boot_ns)",
    )
    .bind(source_bytes(row.id.source))
    .bind(row.id.service)
    .bind(&row.user)
    .bind(&row.factor)
    .bind(row.opened_ms)
    .bind(&row.opened_by)
    .bind(row.deadline_ms)
    .bind(signed(row.deadline_boot_ns))
    .bind(signed(row.idle_ns))
    .execute(&mut **writing)
    .await
    .map(drop)
}

/// Writes a holder exactly as it was.
pub(crate) async fn restore_holder(
    writing: &mut Writing,
    row: &HolderRow,
) -> Result<(), sqlx::Error> {
    remove_holder(writing, row).await?;
    put_holder(writing, row).await
}

pub(crate) async fn remove_holder(
    writing: &mut Writing,
    row: &HolderRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM holders WHERE source = $1 AND service = $2 AND user = $3 AND opened_by = $4",
    )
    .bind(source_bytes(row.id.source))
    .bind(row.id.service)
    .bind(&row.user)
    .bind(&row.opened_by)
    .execute(&mut **writing)
    .await
    .map(drop)
}

/// Sends the grants of the sources `from..to`, holders of the same grant summed.
async fn pieces(
    readers: &SqlitePool,
    from: Vec<u8>,
    to: Vec<u8>,
    now_boot_ns: i64,
    sender: &mpsc::Sender<Result<Vec<GrantRow>, sqlx::Error>>,
) -> Result<(), sqlx::Error> {
    // Numbers of services start at 1, so every grant of `from` itself comes after this.
    let mut after = (from, 0u32);
    let mut limit = PIECE;
    loop {
        let text: Option<String> = sqlx::query_scalar(PIECE_SQL)
            .bind(&after.0)
            .bind(after.1)
            .bind(&to)
            .bind(now_boot_ns)
            .bind(limit)
            .fetch_one(readers)
            .await?;
        let Some(text) = text else { return Ok(()) };
        let mut piece: Vec<GrantRow> = Vec::new();
        let mut lines = 0u32;
        for line in text.lines() {
            lines += 1;
            let unreadable = || sqlx::Error::Decode("a holder that cannot be read".into());
            let row = parse_line(line).ok_or_else(unreadable)?;
            match piece.last_mut().filter(|last| last.id == row.id) {
                Some(last) => last.join(row),
                None => piece.push(row),
            }
        }
        let is_last = lines < limit;
        if !is_last {
            // Further holders of the last grant may come behind the limit.
            piece.pop();
        }
        let Some(last) = piece.last() else {
            limit *= 2;
            continue;
        };
        after = (source_bytes(last.id.source), last.id.service);
        limit = PIECE;
        if sender.send(Ok(piece)).await.is_err() || is_last {
            return Ok(());
        }
    }
}

/// One line of a piece: source in hexadecimal, service, deadline, idle limit.
fn parse_line(line: &str) -> Option<GrantRow> {
    let mut words = line.split(' ');
    let source = words.next()?;
    let source = match source.len() {
        8 => IpAddr::from(u32::from_str_radix(source, 16).ok()?.to_be_bytes()),
        32 => IpAddr::from(u128::from_str_radix(source, 16).ok()?.to_be_bytes()),
        _ => return None,
    };
    let service = words.next()?.parse().ok()?;
    let deadline_boot_ns = unsigned(words.next()?.parse().ok()?);
    let idle_ns = unsigned(words.next()?.parse().ok()?);
    Some(GrantRow {
        id: GrantId { source, service },
        deadline_boot_ns,
        idle_ns,
    })
}

fn narrow(query: &mut QueryBuilder<Sqlite>, selection: &Selection) {
    if let Some(source) = selection.source {
        query.push(" AND source = ").push_bind(source_bytes(source));
    }
    if let Some(service) = selection.service {
        query.push(" AND service = ").push_bind(service);
    }
    if let Some(user) = &selection.user {
        query.push(" AND user = ").push_bind(user.clone());
    }
    if let Some(opened_by) = &selection.opened_by {
        query.push(" AND opened_by = ").push_bind(opened_by.clone());
    }
}

fn source_bytes(source: IpAddr) -> Vec<u8> {
    match source {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn grant_id(row: &SqliteRow) -> Result<GrantId, sqlx::Error> {
    let bytes: &[u8] = row.try_get("source")?;
    let source = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(v4), _) => IpAddr::from(v4),
        (_, Ok(v6)) => IpAddr::from(v6),
        _ => return Err(sqlx::Error::Decode("a source that is no address".into())),
    };
    Ok(GrantId {
        source,
        service: row.try_get("service")?,
    })
}

impl sqlx::FromRow<'_, SqliteRow> for GrantRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: grant_id(row)?,
            deadline_boot_ns: unsigned(row.try_get("deadline_boot_ns")?),
            idle_ns: unsigned(row.try_get("idle_ns")?),
        })
    }
}

impl sqlx::FromRow<'_, SqliteRow> for HolderRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: grant_id(row)?,
            user: row.try_get("user")?,
            factor: row.try_get("factor")?,
            opened_ms: row.try_get("opened_ms")?,
            opened_by: row.try_get("opened_by")?,
            deadline_ms: row.try_get("deadline_ms")?,
            deadline_boot_ns: unsigned(row.try_get("deadline_boot_ns")?),
            idle_ns: unsigned(row.try_get("idle_ns")?),
        })
    }
}

/// SQLite has signed integers only; our numbers stay far below their largest.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
