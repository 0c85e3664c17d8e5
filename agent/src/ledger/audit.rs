//! The audit's records and their chain.

use std::fmt::Write as _;

use agent_api::{AuditChain, AuditKind, AuditQuery, AuditRecord};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use super::{
    Ledger, LedgerError, Writing,
    holders::{signed, unsigned},
};

/// The end of the chain: what the next record is joined to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Number of the last record; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: [u8; 32],
}

/// What happened, before it gets its number, time and hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub kind: Option<AuditKind>,
    pub actor: String,
    pub outcome: String,
    pub user: Option<String>,
    pub source: Option<agent_api::Source>,
    pub service: Option<String>,
    pub factor: Option<String>,
    pub token: Option<String>,
    pub reason: Option<String>,
    pub request_id: Option<String>,
    /// How many like events; 0 counts as 1.
    pub count: u64,
}

impl Entry {
    /// An entry that went well.
    pub fn ok(kind: AuditKind, actor: &str) -> Self {
        Self {
            kind: Some(kind),
            actor: actor.into(),
            outcome: "ok".into(),
            ..Self::default()
        }
    }
}

impl Head {
    /// The end of the stored chain, as a transaction sees it.
    pub(crate) async fn read(writing: &mut Writing) -> Result<Self, sqlx::Error> {
        let row = sqlx::query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&mut **writing)
            .await?;
        let Some(row) = row else {
            return Ok(Self::default());
        };
        let hash: Vec<u8> = row.try_get("hash")?;
        Ok(Self {
            seq: unsigned(row.try_get("seq")?),
            hash: hash.try_into().unwrap_or_default(),
        })
    }

    /// Appends records inside a transaction and moves on. The caller keeps the new head only if
    /// the transaction commits.
    pub(crate) async fn append(
        &mut self,
        writing: &mut Writing,
        at: Timestamp,
        entries: Vec<Entry>,
    ) -> Result<Vec<AuditRecord>, sqlx::Error> {
        let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        let failed = |error| sqlx::Error::Encode(Box::new(error));
        let mut records = Vec::with_capacity(entries.len());
        let mut rows: Vec<(u64, String, String)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut record = record(self.seq + 1, at, entry);
            // The bytes that are hashed are the bytes that are stored, so verifying needs no rules
            // about how JSON is written. The hash itself stands empty in them.
            let text = serde_json::to_string(&record).map_err(failed)?;
            let hash = join(&self.hash, &text);
            record.hash = hex(&hash);
            *self = Self {
                seq: record.seq,
                hash,
            };
            rows.push((record.seq, text, record.hash.clone()));
            records.push(record);
        }
        // One statement for all, because each costs more than the row it writes.
        sqlx::query(
            "INSERT INTO audit (seq, at_ms, record, hash) SELECT value ->> 0, $1, value ->> 1, \
             unhex(value ->> 2) FROM json_each($2) ORDER BY key",
        )
        .bind(at.as_millisecond())
        .bind(serde_json::to_string(&rows).map_err(failed)?)
        .execute(&mut **writing)
        .await?;
        Ok(records)
    }
}

fn record(seq: u64, at: Timestamp, entry: Entry) -> AuditRecord {
    AuditRecord {
        seq,
        at,
        kind: entry.kind.unwrap_or(AuditKind::Refuse),
        actor: entry.actor,
        outcome: entry.outcome,
        user: entry.user,
        source: entry.source,
        service: entry.service,
        factor: entry.factor,
        token: entry.token,
        reason: entry.reason,
        request_id: entry.request_id,
        count: entry.count.max(1),
        hash: String::new(),
    }
}

fn join(previous: &[u8; 32], record: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(record.as_bytes());
    hasher.finalize().into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Ledger {
    /// Records by query, oldest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>, LedgerError> {
        let limit = query.limit.unwrap_or(1_000).clamp(1, 10_000);
        let newest = query.since.is_none() && query.after.is_none();
        let sql = if newest {
            "SELECT record, hash FROM (SELECT * FROM audit WHERE at_ms >= $1 AND seq > $2 \
             ORDER BY seq DESC LIMIT $3) ORDER BY seq"
        } else {
            "SELECT record, hash FROM audit WHERE at_ms >= $1 AND seq > $2 ORDER BY seq LIMIT $3"
        };
        let rows = sqlx::query(sql)
            .bind(query.since.map_or(i64::MIN, Timestamp::as_millisecond))
            .bind(signed(query.after.unwrap_or(0)))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        let record = |row: &sqlx::sqlite::SqliteRow| {
            let text: &str = row.try_get("record")?;
            let hash: &[u8] = row.try_get("hash")?;
            let mut record: AuditRecord =
                serde_json::from_str(text).map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
            record.hash = hex(hash);
            Ok(record)
        };
        Ok(rows
            .iter()
            .map(record)
            .collect::<Result<_, sqlx::Error>>()?)
    }

    /// Reads the chain from its first record and says where it breaks.
    pub async fn verify(&self) -> Result<AuditChain, LedgerError> {
        use tokio_stream::StreamExt as _;
        let mut rows = sqlx::query("SELECT seq, at_ms, record, hash FROM audit ORDER BY seq")
            .fetch(&self.readers);
        let mut head = Head::default();
        while let Some(row) = rows.next().await {
            let row = row?;
            let seq = unsigned(row.try_get("seq")?);
            if let Some(problem) = break_at(&head, &row)? {
                let head = hex(&head.hash);
                return Ok(AuditChain {
                    intact: false,
                    records: seq,
                    head,
                    problem: Some(problem),
                });
            }
            let hash: &[u8] = row.try_get("hash")?;
            head = Head {
                seq,
                hash: hash.try_into().unwrap_or_default(),
            };
        }
        Ok(AuditChain {
            intact: true,
            records: head.seq,
            head: hex(&head.hash),
            problem: None,
        })
    }
}

/// What is wrong with the record that follows `head`.
fn break_at(head: &Head, row: &sqlx::sqlite::SqliteRow) -> Result<Option<String>, sqlx::Error> {
    let seq = unsigned(row.try_get("seq")?);
    let (text, hash): (&str, &[u8]) = (row.try_get("record")?, row.try_get("hash")?);
    if seq != head.seq + 1 {
        return Ok(Some(format!("record {} is missing", head.seq + 1)));
    }
    if join(&head.hash, text) != hash {
        return Ok(Some(format!("record {seq} was changed, or one before it")));
    }
    let stored: Option<AuditRecord> = serde_json::from_str(text).ok();
    let at_ms: i64 = row.try_get("at_ms")?;
    match stored {
        Some(record) if record.seq == seq && record.at.as_millisecond() == at_ms => Ok(None),
        _ => Ok(Some(format!("record {seq} contradicts its own row"))),
    }
}
