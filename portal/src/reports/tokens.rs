//! Reports from the database alone: tokens and attempts.

use super::{Cell, Report};
use crate::store::{Store, StoreError, TokenRow};

/// Tokens that count and were not used since then.
pub(crate) async fn unused(store: &Store, before: i64) -> Result<Report, StoreError> {
    let tokens = store.unused_tokens(before).await?;
    let rows = tokens.into_iter().map(row).collect();
    let columns = &["user", "token", "device", "created", "last_used"];
    Ok(Report { columns, rows })
}

fn row(token: TokenRow) -> Vec<Cell> {
    vec![
        token.user_name.into(),
        token.id.into(),
        token.name.into(),
        Cell::Time(token.created),
        Cell::time(token.last_used),
    ]
}

/// People with more tokens that count than that.
pub(crate) async fn many_tokens(store: &Store, more_than: i64) -> Result<Report, StoreError> {
    let people = store.people_with_many_tokens(more_than).await?;
    let rows = people
        .into_iter()
        .map(|(user, count)| vec![user.into(), Cell::Number(count)])
        .collect();
    let columns = &["user", "tokens"];
    Ok(Report { columns, rows })
}

/// Who failed at least so often since then, from where and why.
pub(crate) async fn failures(
    store: &Store,
    since: i64,
    at_least: i64,
) -> Result<Report, StoreError> {
    let rows = store
        .failures(since, at_least)
        .await?
        .into_iter()
        .map(|row| {
            vec![
                row.user.into(),
                row.source.into(),
                row.reason.into(),
                Cell::Number(row.count),
                Cell::Time(row.first),
                Cell::Time(row.last),
            ]
        })
        .collect();
    let columns = &["user", "source", "reason", "failures", "first", "last"];
    Ok(Report { columns, rows })
}
