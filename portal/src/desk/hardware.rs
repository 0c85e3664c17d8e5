//! Giving a hardware token out of the stock to a person; it counts at once. Nobody sees its secret.

use crate::{
    codes::{self, Codes},
    config::Config,
    directory::Account,
    enrol::has_room,
    portal::Failure,
    random,
    store::{Kind, NewToken, Owner, Store, StoreError, TokenState},
};

/// Why nothing was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotGiven {
    NotInStock,
    /// The person has as many tokens as allowed.
    Full,
    /// Somebody else took it, or the key was rotated, at this moment.
    Taken,
}

/// Gives the token with this serial; its id as the person's.
pub(crate) async fn give(
    (store, codes, config): (&Store, &Codes, &Config),
    account: &Account,
    serial: &str,
    now: i64,
) -> Result<Result<String, NotGiven>, Failure> {
    let Some(row) = store.in_stock(serial).await? else {
        return Ok(Err(NotGiven::NotInStock));
    };
    let tokens = store.tokens_of(&account.id).await?;
    if !has_room(&config.limits, &tokens, None) {
        return Ok(Err(NotGiven::Full));
    }
    let secret = codes.open(codes::stock_place(serial), &row.secret)?;
    let id = random::id('t');
    let (sealed, key_id) = codes.seal_at(codes::place(&id), &secret)?;
    let recipe = row.kind.parse().map_err(StoreError::Value)?;
    let new = NewToken {
        id: &id,
        user_id: &account.id,
        user_name: &account.name,
        name: serial,
        state: TokenState::Active,
        secret: &sealed,
        key_id: &key_id,
        weak: row.weak,
        origin: "hardware",
        handle: None,
        replaces: None,
        created: now,
        expires: None,
        owner: Some(Owner::Company),
        kind: Kind::Imported {
            recipe,
            last: row.last,
            serial: Some(serial),
        },
    };
    Ok(match store.assign_stock(serial, &new).await? {
        true => Ok(id),
        false => Err(NotGiven::Taken),
    })
}
