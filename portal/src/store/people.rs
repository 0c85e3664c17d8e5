//! Everybody the database holds something live of, and what suspends all of one person.

use sqlx::{FromRow, Sqlite, Transaction};

use super::{LockedOut, Store, StoreError};

/// Somebody who has a token that may count, a cookie or a ticket.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Person {
    pub(crate) user_id: String,
    /// As the directory wrote it when the newest of these was made.
    pub(crate) user_name: String,
}

impl Store {
    /// Everybody with something live, by id.
    pub(crate) async fn people(&self, now: i64) -> Result<Vec<Person>, StoreError> {
        // With MAX, SQLite takes the other columns from the row that has it.
        Ok(sqlx::query_as(
            "SELECT user_id, user_name FROM (
               SELECT user_id, user_name, MAX(at) FROM (
                 SELECT user_id, user_name, created AS at FROM tokens
                  WHERE state = 'active' OR (state = 'pending' AND expires > $1)
                     OR (state = 'suspended' AND suspended_by = 'user')
                 UNION ALL SELECT user_id, user_name, created FROM cookies
                 UNION ALL SELECT user_id, user_name, made FROM recovery_sets
                 UNION ALL SELECT user_id, user_name, made FROM exceptions
                  WHERE ended IS NULL AND ends > $1
                 UNION ALL SELECT user_id, user_name, issued FROM tickets
                  WHERE state = 'open' AND expires > $1)
               GROUP BY user_id)
             ORDER BY user_id",
        )
        .bind(now)
        .fetch_all(&self.readers)
        .await?)
    }

    /// Who of this name ever had a token, newest first.
    pub(crate) async fn people_called(&self, name: &str) -> Result<Vec<Person>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT user_id, user_name FROM (
               SELECT user_id, user_name, MAX(created) AS at FROM tokens
                WHERE user_name = $1 COLLATE NOCASE GROUP BY user_id)
             ORDER BY at DESC",
        )
        .bind(name)
        .fetch_all(&self.readers)
        .await?)
    }

    /// Suspends a person's tokens as an operator would, voids their tickets and recovery codes, ends
    /// their cookies and bars enrolment by password alone, in one transaction. A token that never proved anything is
    /// revoked: to resume it would be to accept it unproven.
    pub(crate) async fn suspend_all(
        &self,
        user_id: &str,
        why: &str,
        now: i64,
    ) -> Result<LockedOut, StoreError> {
        let mut transaction = self.begin().await?;
        let ended = suspend(&mut transaction, user_id, why, now).await?;
        transaction.commit().await?;
        Ok(ended)
    }
}

/// See [`Store::suspend_all`].
pub(super) async fn suspend(
    transaction: &mut Transaction<'static, Sqlite>,
    user_id: &str,
    why: &str,
    now: i64,
) -> Result<LockedOut, StoreError> {
    sqlx::query(
        "UPDATE tokens SET state = 'revoked', secret = NULL, handle = NULL
             WHERE user_id = $1 AND state = 'pending'",
    )
    .bind(user_id)
    .execute(&mut **transaction)
    .await?;
    let tokens = sqlx::query(
        "UPDATE tokens SET state = 'suspended', suspended_by = 'operator',
             -- Only what the desk itself stopped may be resumed by it: not what the person did, and
             -- nothing after somebody else found a reason.
             suspended_why = CASE WHEN state = 'active' THEN $2 ELSE 'before; ' || $2 END
         WHERE user_id = $1 AND (state = 'active'
            OR (state = 'suspended' AND (suspended_by = 'user'
                OR (suspended_why LIKE 'desk %' AND $2 NOT LIKE 'desk %'))))",
    )
    .bind(user_id)
    .bind(why)
    .execute(&mut **transaction)
    .await?;
    let tickets = sqlx::query(
        "UPDATE tickets SET state = 'void', ended = $2 WHERE user_id = $1 AND state = 'open'",
    )
    .bind(user_id)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "UPDATE exceptions SET ended = $2, ended_by = 'a lock-out'
         WHERE user_id = $1 AND ended IS NULL",
    )
    .bind(user_id)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    // What the desk was asked for before must not undo this. A lost phone is what it may be about.
    sqlx::query(
        "UPDATE cases SET state = 'refused', decided = $2, decided_by = 'a lock-out'
         WHERE user_id = $1 AND state IN ('waiting', 'approved')
           AND kind NOT IN ('lost', 'lockout')",
    )
    .bind(user_id)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    sqlx::query("DELETE FROM recovery_sets WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut **transaction)
        .await?;
    let cookies = sqlx::query("DELETE FROM cookies WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut **transaction)
        .await?;
    sqlx::query("INSERT OR IGNORE INTO barred (user_id, at) VALUES ($1, $2)")
        .bind(user_id)
        .bind(now)
        .execute(&mut **transaction)
        .await?;
    Ok(LockedOut {
        tokens: tokens.rows_affected(),
        tickets: tickets.rows_affected(),
        cookies: cookies.rows_affected(),
    })
}
