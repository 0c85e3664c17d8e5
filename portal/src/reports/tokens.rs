//! Reports from the database alone: tokens and attempts.

use super::{Cell, Report};
use crate::store::{Store, StoreError, TokenRow};

/// Tokens that count and were not used since then.
pub(crate) async fn unused(store: &Store, before: i64) -> Result<Report, StoreError> {
    let tokens = store.unused_tokens(before).await?;
    let rows = tokens.into_iter().map(row).collect();
    let columns = &["user", "token", "device", "created", "last_used", "owner"];
    Ok(Report { columns, rows })
}

fn row(token: TokenRow) -> Vec<Cell> {
    let owner = owner(&token);
    vec![
        token.user_name.into(),
        token.id.into(),
        token.name.into(),
        Cell::Time(token.created),
        Cell::time(token.last_used),
        owner,
    ]
}

/// Whose device it is on, as lists for programs say it.
pub(super) fn owner(token: &TokenRow) -> Cell {
    let owner = token.owner();
    owner.map_or(Cell::Nothing, |owner| owner.word().into())
}

/// Every token that counts or may count again, with whose device it is on.
pub(crate) async fn tokens(store: &Store) -> Result<Report, StoreError> {
    let mut rows = Vec::new();
    for token in store.kept_tokens().await? {
        let owner = owner(&token);
        rows.push(vec![
            token.user_name.as_str().into(),
            token.id.as_str().into(),
            token.name.as_str().into(),
            token.kind_word().into(),
            owner,
            token.state()?.name().into(),
            Cell::Time(token.created),
            Cell::time(token.last_used),
        ]);
    }
    let columns = &[
        "user",
        "token",
        "device",
        "kind",
        "owner",
        "state",
        "created",
        "last_used",
    ];
    Ok(Report { columns, rows })
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
