//! Holders of grants: one row for each person behind a source.

use std::net::{IpAddr, Ipv6Addr};

use agent_api::Source;
use sqlx::{FromRow as _, QueryBuilder, Row as _, Sqlite, sqlite::SqliteRow};

use super::{
    Ledger, LedgerError, Writing,
    closings::{self, OPEN},
};
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
    /// The latest holder's; 0: all have ended.
    pub deadline_boot_ns: u64,
    /// The most generous holder's; 0: no idle limit.
    pub idle_ns: u64,
    /// How many holders these are.
    pub holders: u32,
}

impl GrantRow {
    /// Whether anybody holds it who has not ended.
    pub fn is_live(&self) -> bool {
        self.deadline_boot_ns > 0
    }

    /// The later deadline; the longer idle limit, where none is the longest. Those that have ended,
    /// with deadline 0, only count.
    pub(super) fn join(&mut self, other: Self) {
        self.holders = self.holders.saturating_add(other.holders);
        if other.deadline_boot_ns == 0 {
            return;
        }
        if self.deadline_boot_ns == 0 {
            self.idle_ns = other.idle_ns;
        }
        self.deadline_boot_ns = self.deadline_boot_ns.max(other.deadline_boot_ns);
        self.idle_ns = match (self.idle_ns, other.idle_ns) {
            (0, _) | (_, 0) => 0,
            (a, b) => a.max(b),
        };
    }
}

/// What an IPv6 grant is held from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6Holders {
    Prefixes,
    Addresses,
}

/// Which holders; everything given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// An address: all that lets it in. A prefix: all from there.
    pub source: Option<Source>,
    pub service: Option<u32>,
    pub user: Option<String>,
    pub opened_by: Option<String>,
}

impl Selection {
    /// Whether a holder is among them.
    pub fn covers(&self, row: &HolderRow) -> bool {
        self.source
            .is_none_or(|source| source.meets(&row.id.source))
            && self.service.is_none_or(|service| service == row.id.service)
            && self.user.as_ref().is_none_or(|user| *user == row.user)
            && self
                .opened_by
                .as_ref()
                .is_none_or(|by| *by == row.opened_by)
    }
}

/// A holder without an idle limit lifts it for all: 0 counts as the largest.
const GRANTS: &str = "SELECT source, service, max(deadline_boot_ns) AS deadline_boot_ns, \
    CASE WHEN min(idle_ns) = 0 THEN 0 ELSE max(idle_ns) END AS idle_ns, count(*) AS holders FROM holders";

impl Ledger {
    /// What the holders of one grant amount to now; None: nobody holds it.
    pub async fn grant(
        &self,
        id: GrantId,
        now_boot_ns: u64,
    ) -> Result<Option<GrantRow>, LedgerError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{GRANTS} WHERE source = $1 AND service = $2 AND deadline_boot_ns > $3{OPEN} GROUP BY source, service"
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
        self.first_holders(selection, u32::MAX).await
    }

    /// All holders of one grant and of no other, ended ones included. What a [`Selection`] names by
    /// its source may be several grants.
    pub async fn holders_of(&self, id: GrantId) -> Result<Vec<HolderRow>, LedgerError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT * FROM holders WHERE source = $1 AND service = $2{OPEN} ORDER BY user"
        ));
        let rows = sqlx::query_as(sql)
            .bind(source_bytes(id.source))
            .bind(id.service);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// Holders of a service from whole prefixes, or from single IPv6 addresses; ended ones
    /// included.
    pub async fn ipv6_holders(
        &self,
        service: u32,
        of: Ipv6Holders,
    ) -> Result<Vec<HolderRow>, LedgerError> {
        // Written out, so that the small index of the prefixes is used.
        let length = match of {
            Ipv6Holders::Prefixes => 8,
            Ipv6Holders::Addresses => 16,
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT * FROM holders WHERE length(source) = {length} AND service = $1{OPEN}"
        ));
        let rows = sqlx::query_as(sql).bind(service);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// The first of them.
    pub async fn first_holders(
        &self,
        selection: &Selection,
        limit: u32,
    ) -> Result<Vec<HolderRow>, LedgerError> {
        let mut query = QueryBuilder::new("SELECT * FROM holders WHERE 1");
        narrow(&mut query, selection);
        query.push(OPEN);
        query.push(" ORDER BY source, service, user LIMIT ");
        query.push_bind(limit);
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
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
        query.push(OPEN);
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
        let rows = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT * FROM holders WHERE deadline_boot_ns <= $1{OPEN} \
             ORDER BY deadline_boot_ns LIMIT $2"
        )))
        .bind(signed(now_boot_ns))
        .bind(limit);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// How many holders there are of each family, (IPv4, IPv6), ended ones included.
    pub async fn holder_counts(&self) -> Result<(u64, u64), LedgerError> {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE length(source) = 4) AS v4, count(*) AS holders \
             FROM holders",
        )
        .fetch_one(&self.readers)
        .await?;
        let v4 = unsigned(row.try_get("v4")?);
        let holders = unsigned(row.try_get("holders")?);
        Ok((v4, holders.saturating_sub(v4)))
    }

    /// How many grants there are of each family, (IPv4, IPv6), and how many holders.
    pub async fn counts(&self) -> Result<(u64, u64, u64), LedgerError> {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE length(source) = 4) AS v4, \
             count(*) FILTER (WHERE length(source) <> 4) AS v6, ifnull(sum(held), 0) AS holders \
             FROM (SELECT source, count(*) AS held FROM holders GROUP BY source, service)",
        )
        .fetch_one(&self.readers)
        .await?;
        let number = |name| row.try_get::<i64, _>(name).map(unsigned);
        Ok((number("v4")?, number("v6")?, number("holders")?))
    }
}

/// Removes many in one statement.
pub(crate) async fn remove_holders(
    writing: &mut Writing,
    rows: &[HolderRow],
) -> Result<(), sqlx::Error> {
    let keys: Vec<(String, u32, &str, &str)> = rows
        .iter()
        .map(|row| {
            let source = super::hex(&source_bytes(row.id.source));
            (
                source,
                row.id.service,
                row.user.as_str(),
                row.opened_by.as_str(),
            )
        })
        .collect();
    let keys = serde_json::to_string(&keys).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(
        "DELETE FROM holders WHERE (source, service, user, opened_by) IN (SELECT \
         unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 FROM json_each($1))",
    )
    .bind(keys)
    .execute(&mut **writing)
    .await
    .map(drop)
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
    .await?;
    match row.id.source {
        Source::Address(_) => Ok(()),
        Source::Prefix(_) => closings::stamp(writing).await,
    }
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

pub(super) fn narrow(query: &mut QueryBuilder<Sqlite>, selection: &Selection) {
    match selection.source {
        None => {}
        Some(Source::Address(address)) => {
            query.push(" AND source IN (");
            let mut sources = query.separated(", ");
            for source in Source::of(address) {
                sources.push_bind(source_bytes(source));
            }
            query.push(")");
        }
        Some(prefix @ Source::Prefix(_)) => {
            let first = source_bytes(prefix);
            let last = [first.as_slice(), &[0xff; 8]].concat();
            query.push(" AND source BETWEEN ").push_bind(first);
            query.push(" AND ").push_bind(last);
        }
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

/// An address in 4 or 16 bytes, a /64 in its 8; so its addresses stand right behind it.
pub(super) fn source_bytes(source: Source) -> Vec<u8> {
    match source {
        Source::Address(IpAddr::V4(address)) => address.octets().to_vec(),
        Source::Address(IpAddr::V6(address)) => address.octets().to_vec(),
        Source::Prefix(network) => network.octets().iter().take(8).copied().collect(),
    }
}

/// The source that these bytes are.
pub(super) fn source(bytes: &[u8]) -> Option<Source> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Source::Address(v4.into()));
    }
    if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        return Some(Source::Address(v6.into()));
    }
    let [a, b, c, d, e, f, g, h] = <[u8; 8]>::try_from(bytes).ok()?;
    let network = [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0];
    Some(Source::Prefix(Ipv6Addr::from(network)))
}

/// What a column holds that is not one.
pub(super) fn no_source() -> sqlx::Error {
    sqlx::Error::Decode("a source that is no address".into())
}

fn grant_id(row: &SqliteRow) -> Result<GrantId, sqlx::Error> {
    Ok(GrantId {
        source: source(row.try_get("source")?).ok_or_else(no_source)?,
        service: row.try_get("service")?,
    })
}

impl sqlx::FromRow<'_, SqliteRow> for GrantRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: grant_id(row)?,
            deadline_boot_ns: unsigned(row.try_get("deadline_boot_ns")?),
            idle_ns: unsigned(row.try_get("idle_ns")?),
            holders: row.try_get("holders")?,
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
