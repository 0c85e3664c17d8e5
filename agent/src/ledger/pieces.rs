//! Reading very many holders. Handing a row over costs several microseconds, so SQLite itself joins
//! thousands of them into one value; and it is asked for one stretch of sources after the other, by
//! two connections, so that whoever works on a piece does so while the next one is read.

use sqlx::{QueryBuilder, Row as _, Sqlite, SqlitePool, sqlite::SqliteRow};
use tokio::sync::mpsc;

use super::{
    Ledger, LedgerError, Selection,
    closings::OPEN,
    holders::{self, GrantRow, narrow, unsigned},
};
use crate::kernel::GrantId;

/// Holders in one piece.
const PIECE: u32 = 16_384;
/// Before every source, and behind: nothing is as long.
const FIRST: &[u8] = &[];
const LAST: [u8; 17] = [0xff; 17];

/// Source and service of each row as one blob: a digit for the length of the source, the source as it
/// stands, the number of the service in decimal, a blank.
const IDS: &str = "SELECT CAST(group_concat(CASE length(source) WHEN 4 THEN '4' WHEN 8 THEN '8' \
    ELSE '6' END || source || service, ' ') AS BLOB) AS ids";
const LIMITS: &str = ", group_concat(deadline_boot_ns, ' ') AS deadlines, \
    group_concat(idle_ns, ' ') AS idles";

/// Grants in pieces; an error ends them.
pub(crate) type Pieces = mpsc::Receiver<Result<Vec<GrantRow>, sqlx::Error>>;

/// Which holders, and what of them.
#[derive(Clone)]
struct Wanted {
    selection: Selection,
    limits: bool,
    /// Only those that no closing covers.
    open: bool,
    now_boot_ns: u64,
}

impl Ledger {
    /// Calls `show` for every grant that is not closed, in pieces and in no order. One that has
    /// ended has deadline 0.
    pub async fn each_grant(
        &self,
        now_boot_ns: u64,
        mut show: impl FnMut(&[GrantRow]),
    ) -> Result<(), LedgerError> {
        let mut pieces = self.pieces(Wanted {
            selection: Selection::default(),
            limits: true,
            open: self.has_closings().await?,
            now_boot_ns,
        });
        while let Some(piece) = pieces.recv().await {
            show(&piece?);
        }
        Ok(())
    }

    /// Grants with a holder that matches, in pieces; `holders` says how many match. Deadlines and
    /// idle limits are not read.
    pub(crate) async fn matching(&self, selection: &Selection) -> Result<Pieces, LedgerError> {
        Ok(self.pieces(Wanted {
            selection: selection.clone(),
            limits: false,
            open: self.has_closings().await?,
            now_boot_ns: 0,
        }))
    }

    fn pieces(&self, wanted: Wanted) -> Pieces {
        let (sender, receiver) = mpsc::channel(2);
        let mut stretches = Vec::new();
        for _ in 0..2 {
            let (stretch, mut next) = mpsc::channel::<(Vec<u8>, Vec<u8>)>(64);
            stretches.push(stretch);
            let (readers, sender, wanted) = (self.readers.clone(), sender.clone(), wanted.clone());
            tokio::spawn(async move {
                while let Some((from, to)) = next.recv().await {
                    let piece = read(&readers, &wanted, from, to).await;
                    let failed = piece.is_err();
                    // A receiver that has gone away needs nothing more.
                    if sender.send(piece).await.is_err() || failed {
                        return;
                    }
                }
            });
        }
        let readers = self.readers.clone();
        tokio::spawn(async move {
            if let Err(error) = cut(&readers, &wanted, &stretches).await {
                let _ = sender.send(Err(error)).await;
            }
        });
        receiver
    }
}

/// Cuts what is wanted into stretches of sources and deals them out.
async fn cut(
    readers: &SqlitePool,
    wanted: &Wanted,
    stretches: &[mpsc::Sender<(Vec<u8>, Vec<u8>)>],
) -> Result<(), sqlx::Error> {
    let mut from = FIRST.to_vec();
    for stretch in stretches.iter().cycle() {
        let mut query = QueryBuilder::new("SELECT source FROM holders WHERE source > ");
        query.push_bind(from.clone());
        narrow(&mut query, &wanted.selection);
        query.push(" ORDER BY source LIMIT 1 OFFSET ");
        query.push_bind(PIECE);
        let to: Option<Vec<u8>> = query.build_query_scalar().fetch_optional(readers).await?;
        let is_last = to.is_none();
        let to = to.unwrap_or_else(|| LAST.to_vec());
        let begin = std::mem::replace(&mut from, to.clone());
        if stretch.send((begin, to)).await.is_err() || is_last {
            break;
        }
    }
    Ok(())
}

/// The grants of the sources `from..to`, holders of the same grant summed.
async fn read(
    readers: &SqlitePool,
    wanted: &Wanted,
    from: Vec<u8>,
    to: Vec<u8>,
) -> Result<Vec<GrantRow>, sqlx::Error> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(IDS);
    if wanted.limits {
        query.push(LIMITS);
    }
    query.push(" FROM holders WHERE source >= ").push_bind(from);
    query.push(" AND source < ").push_bind(to);
    narrow(&mut query, &wanted.selection);
    if wanted.open {
        query.push(OPEN);
    }
    let row = query.build().fetch_one(readers).await?;
    grants(&row, wanted).ok_or_else(|| sqlx::Error::Decode("a holder that cannot be read".into()))
}

fn grants(row: &SqliteRow, wanted: &Wanted) -> Option<Vec<GrantRow>> {
    let ids: Option<&[u8]> = row.try_get("ids").ok()?;
    let mut rest = ids.unwrap_or_default();
    let text = |name| -> Option<&str> {
        let text: Option<&str> = row.try_get(name).ok()?;
        Some(text.unwrap_or_default())
    };
    let (deadlines, idles) = if wanted.limits {
        (text("deadlines")?, text("idles")?)
    } else {
        ("", "")
    };
    let (mut deadlines, mut idles) = (deadlines.split(' '), idles.split(' '));
    let mut grants: Vec<GrantRow> = Vec::with_capacity(PIECE as usize);
    while !rest.is_empty() {
        let (id, behind) = grant_id(rest)?;
        rest = behind;
        let mut grant = GrantRow {
            id,
            deadline_boot_ns: 0,
            idle_ns: 0,
            holders: 1,
        };
        if wanted.limits {
            let number = |word: &str| Some(unsigned(word.parse().ok()?));
            grant.deadline_boot_ns = number(deadlines.next()?)?;
            grant.idle_ns = number(idles.next()?)?;
            if grant.deadline_boot_ns <= wanted.now_boot_ns {
                grant.deadline_boot_ns = 0;
            }
        }
        match grants.last_mut().filter(|last| last.id == id) {
            Some(last) => last.join(grant),
            None => grants.push(grant),
        }
    }
    Some(grants)
}

/// The first of the ids, and what stands behind it.
fn grant_id(bytes: &[u8]) -> Option<(GrantId, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let length = match kind {
        b'4' => 4,
        b'8' => 8,
        b'6' => 16,
        _ => return None,
    };
    let (source, rest) = rest.split_at_checked(length)?;
    let source = holders::source(source)?;
    let end = rest.iter().position(|byte| *byte == b' ');
    let (digits, rest) = match end {
        Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
        None => (rest, FIRST),
    };
    let service = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((GrantId { source, service }, rest))
}
