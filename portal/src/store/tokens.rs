//! Rows of `tokens`. The claim of a step is one compare-and-set; every change of state names the
//! states it may start from.

mod owner;
mod row;

use sqlx::{Sqlite, Transaction};

use super::{Store, StoreError, cookies};
pub(crate) use owner::Owner;
pub(crate) use row::{Kind, NewToken, SuspendedBy, TokenRow, TokenState};

const COLUMNS: &str = "SELECT id, user_id, user_name, name, state, suspended_by, secret, weak, \
    origin, handle, created, last_used, kind, last_step, drift, serial, owner FROM tokens";

pub(super) fn select(rest: &str) -> sqlx::AssertSqlSafe<String> {
    // Constants only: no caller's text reaches the statement.
    sqlx::AssertSqlSafe(format!("{COLUMNS} {rest}"))
}

impl Store {
    /// False: the database's key changed meanwhile; seal again with the present one.
    pub(crate) async fn add_token(&self, new: &NewToken<'_>) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let added = insert(&mut transaction, new).await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// The same for what a cookie asks for. False, too: it ended meanwhile.
    pub(crate) async fn add_token_of(
        &self,
        new: &NewToken<'_>,
        asking: &[u8],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        if !cookies::lives(&mut transaction, asking).await? {
            return Ok(false);
        }
        let added = insert(&mut transaction, new).await?;
        transaction.commit().await?;
        Ok(added)
    }

    pub(crate) async fn token(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        Ok(sqlx::query_as(select("WHERE id = $1"))
            .bind(id)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Tokens whose codes count.
    pub(crate) async fn active_tokens(&self, user_id: &str) -> Result<Vec<TokenRow>, StoreError> {
        Ok(sqlx::query_as(select(
            "WHERE user_id = $1 AND state = 'active' ORDER BY created, id",
        ))
        .bind(user_id)
        .fetch_all(&self.readers)
        .await?)
    }

    /// Every token a person ever had, newest first.
    pub(crate) async fn tokens_of(&self, user_id: &str) -> Result<Vec<TokenRow>, StoreError> {
        Ok(
            sqlx::query_as(select("WHERE user_id = $1 ORDER BY created DESC, id"))
                .bind(user_id)
                .fetch_all(&self.readers)
                .await?,
        )
    }

    /// Every token, or those of one user name.
    pub(crate) async fn tokens(&self, user: Option<&str>) -> Result<Vec<TokenRow>, StoreError> {
        let rest = "WHERE $1 IS NULL OR user_name = $1 COLLATE NOCASE ORDER BY user_name, created";
        Ok(sqlx::query_as(select(rest))
            .bind(user)
            .fetch_all(&self.readers)
            .await?)
    }

    /// How a user name is written, if somebody of this name has or had a token.
    pub(crate) async fn known_name(&self, typed: &str) -> Result<Option<String>, StoreError> {
        let known = "SELECT user_name FROM tokens WHERE user_name = $1 COLLATE NOCASE LIMIT 1";
        Ok(sqlx::query_scalar(known)
            .bind(typed)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Takes a step of an active token for good. False: this step or a later one was taken.
    pub(crate) async fn claim_step(
        &self,
        id: &str,
        step: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tokens SET last_step = $1, last_used = $3
             WHERE id = $2 AND last_step < $1 AND state = 'active'",
        )
        .bind(step)
        .bind(id)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Makes a pending token active by the step of its first code, which is taken with it. The
    /// owner counts where nothing was said before. The token it replaces is revoked in the same transaction, and its cookies end, but for the one
    /// that asks. False: too late, or taken.
    pub(crate) async fn confirm_token(
        &self,
        id: &str,
        (name, owner): (&str, Option<Owner>),
        step: i64,
        (now, asking): (i64, Option<&[u8]>),
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tokens SET state = 'active', last_step = $1, last_used = $3, name = $4,
                               owner = coalesce(owner, $5), handle = NULL, expires = NULL
             WHERE id = $2 AND last_step < $1 AND state = 'pending' AND expires > $3",
        )
        .bind(step)
        .bind(id)
        .bind(now)
        .bind(name)
        .bind(owner.map(Owner::word))
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        let replaced: Option<String> = sqlx::query_scalar(
            "UPDATE tokens SET state = 'revoked', secret = NULL
             WHERE id = (SELECT replaces FROM tokens WHERE id = $1) RETURNING id",
        )
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(replaced) = replaced {
            end_cookies(&mut transaction, &replaced, asking).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Counts a try to confirm a pending token. None: it is not pending any more; more than ten
    /// tries end it.
    pub(crate) async fn count_try(&self, id: &str, now: i64) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(
            "UPDATE tokens SET tries = tries + 1
             WHERE id = $1 AND state = 'pending' AND expires > $2 AND tries < 10 RETURNING tries",
        )
        .bind(id)
        .bind(now)
        .fetch_optional(&self.writer)
        .await?)
    }

    /// Ends the cookies made with its codes too, but for the one that asks. False: it was not
    /// active.
    pub(crate) async fn suspend_token(
        &self,
        id: &str,
        by: SuspendedBy,
        asking: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        // An operator's suspension also takes over a person's own, and the desk's.
        let done = sqlx::query(
            "UPDATE tokens SET state = 'suspended', suspended_by = $2, suspended_why = NULL
             WHERE id = $1 AND (state = 'active'
                OR (state = 'suspended' AND $2 = 'operator'
                    AND (suspended_by = 'user' OR suspended_why LIKE 'desk %')))",
        )
        .bind(id)
        .bind(by.name())
        .execute(&mut *transaction)
        .await?;
        end_cookies(&mut transaction, id, asking).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Suspends everything a person logs in with, as the person's own wish, and ends their cookies.
    /// Gives how many tokens.
    pub(crate) async fn suspend_tokens_of(&self, user_id: &str) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE tokens SET state = 'revoked', secret = NULL, handle = NULL
             WHERE user_id = $1 AND state = 'pending'",
        )
        .bind(user_id)
        .execute(&mut *transaction)
        .await?;
        let done = sqlx::query(
            "UPDATE tokens SET state = 'suspended', suspended_by = 'user'
             WHERE user_id = $1 AND state = 'active'",
        )
        .bind(user_id)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM cookies WHERE user_id = $1")
            .bind(user_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// False: it was not suspended, or by an operator and a person asks, or the cookie of who asks
    /// ended meanwhile.
    pub(crate) async fn resume_token(
        &self,
        id: &str,
        by: SuspendedBy,
        asking: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        if let Some(asking) = asking
            && !cookies::lives(&mut transaction, asking).await?
        {
            return Ok(false);
        }
        let done = sqlx::query(
            "UPDATE tokens SET state = 'active', suspended_by = NULL, suspended_why = NULL
             WHERE id = $1 AND state = 'suspended'
               AND ($2 = 'operator' OR suspended_by = 'user')",
        )
        .bind(id)
        .bind(by.name())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// For good: the secret is erased, and cookies made with its codes end, but for the one that
    /// asks. False: it was revoked already.
    pub(crate) async fn revoke_token(
        &self,
        id: &str,
        asking: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tokens SET state = 'revoked', secret = NULL, handle = NULL
             WHERE id = $1 AND state <> 'revoked'",
        )
        .bind(id)
        .execute(&mut *transaction)
        .await?;
        end_cookies(&mut transaction, id, asking).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts a token at another step, with another drift. False: not active, or that step is used.
    pub(crate) async fn resync_token(
        &self,
        id: &str,
        step: i64,
        drift: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tokens SET last_step = $2, drift = $3, last_used = $4
             WHERE id = $1 AND last_step < $2 AND state = 'active'",
        )
        .bind(id)
        .bind(step)
        .bind(drift)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The token a passkey's credential belongs to, if it counts.
    pub(crate) async fn passkey(&self, credential: &[u8]) -> Result<Option<TokenRow>, StoreError> {
        Ok(
            sqlx::query_as(select("WHERE credential = $1 AND state = 'active'"))
                .bind(credential)
                .fetch_optional(&self.readers)
                .await?,
        )
    }

    /// Notes that a passkey was used, with its counter sealed anew. False: it counts no more, or
    /// was used meanwhile.
    pub(crate) async fn use_passkey(
        &self,
        id: &str,
        (old, new): (&[u8], &[u8]),
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tokens SET secret = $3, last_used = $4
             WHERE id = $1 AND secret = $2 AND state = 'active'",
        )
        .bind(id)
        .bind(old)
        .bind(new)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends pending tokens whose time is over, with their secrets.
    pub(crate) async fn drop_expired_pending(&self, now: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "UPDATE tokens SET state = 'revoked', secret = NULL, handle = NULL
             WHERE state = 'pending' AND expires <= $1",
        )
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }
}

/// False: the database's key is not the one the secret is sealed with.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewToken<'_>,
) -> Result<bool, StoreError> {
    let (kind, last, serial, credential) = new.kind.columns();
    let done = sqlx::query(
        "INSERT INTO tokens (id, user_id, user_name, name, state, secret, weak, origin, handle,
                             replaces, created, expires, kind, last_step, serial, credential,
                             owner)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14, $15, $16, $17, $18
         WHERE EXISTS (SELECT 1 FROM facts WHERE name = 'key' AND value = $13)",
    )
    .bind(new.id)
    .bind(new.user_id)
    .bind(new.user_name)
    .bind(new.name)
    .bind(new.state.name())
    .bind(new.secret)
    .bind(new.weak)
    .bind(new.origin)
    .bind(&new.handle)
    .bind(new.replaces)
    .bind(new.created)
    .bind(new.expires)
    .bind(new.key_id)
    .bind(kind)
    .bind(last)
    .bind(serial)
    .bind(credential)
    .bind(new.owner.map(Owner::word))
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn end_cookies(
    transaction: &mut Transaction<'static, Sqlite>,
    token: &str,
    but: Option<&[u8]>,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM cookies WHERE token = $1 AND hash IS NOT $2")
        .bind(token)
        .bind(but)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
