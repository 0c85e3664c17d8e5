//! Exceptions: what auditors ask for first.

use super::{Cell, Report};
use crate::store::{Store, StoreError};

/// Every exception of the record, newest first, with those that are over.
pub(crate) async fn exceptions(store: &Store, now: i64) -> Result<Report, StoreError> {
    let rows = store
        .exceptions(None)
        .await?
        .into_iter()
        .map(|row| {
            let state = if row.is_live(now) { "in force" } else { "over" };
            vec![
                row.id.into(),
                row.user_name.into(),
                row.service.into(),
                row.sources.into(),
                state.into(),
                Cell::Time(row.made),
                Cell::Time(row.ends),
                row.reason.into(),
                row.approver.into(),
                row.made_by.into(),
                Cell::time(row.ended),
                row.ended_by.map_or(Cell::Nothing, Cell::Text),
            ]
        })
        .collect();
    let columns = &[
        "id", "user", "service", "from", "state", "made", "ends", "reason", "approver", "made_by",
        "ended", "ended_by",
    ];
    Ok(Report { columns, rows })
}
