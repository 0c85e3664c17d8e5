//! Rows of `tokens`. The claim of a step is one compare-and-set; every change of state names the
//! states it may start from.

use sqlx::{FromRow, Sqlite, Transaction};

use super::{Store, StoreError};

/// The life of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenState {
    /// Waits for its first code.
    Pending,
    Active,
    Suspended,
    /// For good; its secret is erased.
    Revoked,
}

impl TokenState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    fn of(name: &str) -> Result<Self, StoreError> {
        match name {
            "pending" => Ok(Self::Pending),
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            "revoked" => Ok(Self::Revoked),
            other => Err(StoreError::Value(format!("token state {other:?}"))),
        }
    }
}

/// Who suspended a token; a person cannot resume what an operator suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuspendedBy {
    User,
    Operator,
}

impl SuspendedBy {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
        }
    }
}

/// A token as stored; the secret is sealed.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) user_name: String,
    pub(crate) name: String,
    state: String,
    suspended_by: Option<String>,
    pub(crate) secret: Option<Vec<u8>>,
    pub(crate) weak: bool,
    pub(crate) origin: String,
    pub(crate) handle: Option<Vec<u8>>,
    pub(crate) created: i64,
    pub(crate) last_used: Option<i64>,
}

impl TokenRow {
    pub(crate) fn state(&self) -> Result<TokenState, StoreError> {
        TokenState::of(&self.state)
    }

    pub(crate) fn is(&self, state: TokenState) -> bool {
        self.state == state.name()
    }

    /// True: it was made but never confirmed, so it never proved anything.
    pub(crate) fn never_counted(&self) -> bool {
        self.name.is_empty()
    }

    /// True: its owner may resume it.
    pub(crate) fn own_suspension(&self) -> bool {
        self.suspended_by.as_deref() == Some(SuspendedBy::User.name())
    }
}

/// What a new token needs. `id` is chosen by the caller because the sealed secret is bound to it.
#[derive(Debug)]
pub(crate) struct NewToken<'a> {
    pub(crate) id: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) user_name: &'a str,
    pub(crate) name: &'a str,
    pub(crate) state: TokenState,
    pub(crate) secret: &'a [u8],
    /// The key the secret is sealed with; must still be the database's key when the row is written.
    pub(crate) key_id: &'a str,
    pub(crate) weak: bool,
    pub(crate) origin: &'a str,
    pub(crate) handle: Option<Vec<u8>>,
    pub(crate) replaces: Option<&'a str>,
    pub(crate) created: i64,
    pub(crate) expires: Option<i64>,
}

const COLUMNS: &str = "SELECT id, user_id, user_name, name, state, suspended_by, secret, weak, \
    origin, handle, created, last_used FROM tokens";

fn select(rest: &str) -> sqlx::AssertSqlSafe<String> {
    // Constants only: no caller's text reaches the statement.
    sqlx::AssertSqlSafe(format!("{COLUMNS} {rest}"))
}

impl Store {
    /// False: the database's key changed meanwhile; seal again with the present one.
    pub(crate) async fn add_token(&self, new: &NewToken<'_>) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO tokens (id, user_id, user_name, name, state, secret, weak, origin, handle,
                                 replaces, created, expires)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
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
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
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
    /// token it replaces is revoked in the same transaction. False: too late, or taken.
    pub(crate) async fn confirm_token(
        &self,
        id: &str,
        name: &str,
        step: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tokens SET state = 'active', last_step = $1, last_used = $3, name = $4,
                               handle = NULL, expires = NULL
             WHERE id = $2 AND last_step < $1 AND state = 'pending' AND expires > $3",
        )
        .bind(step)
        .bind(id)
        .bind(now)
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE tokens SET state = 'revoked', secret = NULL
             WHERE id = (SELECT replaces FROM tokens WHERE id = $1)",
        )
        .bind(id)
        .execute(&mut *transaction)
        .await?;
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
        // An operator's suspension also takes over a person's own.
        let done = sqlx::query(
            "UPDATE tokens SET state = 'suspended', suspended_by = $2
             WHERE id = $1 AND (state = 'active'
                OR (state = 'suspended' AND suspended_by = 'user' AND $2 = 'operator'))",
        )
        .bind(id)
        .bind(by.name())
        .execute(&mut *transaction)
        .await?;
        end_cookies(&mut transaction, id, asking).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// False: it was not suspended, or by an operator and a person asks.
    pub(crate) async fn resume_token(&self, id: &str, by: SuspendedBy) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tokens SET state = 'active', suspended_by = NULL, suspended_why = NULL
             WHERE id = $1 AND state = 'suspended'
               AND ($2 = 'operator' OR suspended_by = 'user')",
        )
        .bind(id)
        .bind(by.name())
        .execute(&self.writer)
        .await?;
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
