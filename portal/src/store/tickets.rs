//! Rows of `tickets`. A ticket is taken by one statement that checks user, state and time at once.

use sqlx::FromRow;

use super::{Owner, Store, StoreError};

/// What became of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TicketState {
    Open,
    Used,
    Void,
    Expired,
}

impl TicketState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Void => "void",
            Self::Expired => "expired",
        }
    }
}

/// A ticket as stored; the code itself is not.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct TicketRow {
    pub(crate) id: String,
    pub(crate) user_name: String,
    pub(crate) replaces: Option<String>,
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    pub(crate) issued_by: String,
    pub(crate) note: String,
    state: String,
    owner: Option<String>,
}

impl TicketRow {
    /// Whose device it is for; None: nobody said.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.owner.as_deref().and_then(Owner::of_word)
    }

    pub(crate) fn state(&self, now: i64) -> TicketState {
        match self.state.as_str() {
            "used" => TicketState::Used,
            "void" => TicketState::Void,
            _ if self.expires <= now => TicketState::Expired,
            _ => TicketState::Open,
        }
    }
}

/// What a new ticket needs.
#[derive(Debug)]
pub(crate) struct NewTicket<'a> {
    pub(crate) id: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) user_name: &'a str,
    pub(crate) code: Vec<u8>,
    pub(crate) replaces: Option<&'a str>,
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    pub(crate) issued_by: &'a str,
    pub(crate) note: &'a str,
    /// Whose device it is for.
    pub(crate) owner: Option<Owner>,
}

impl Store {
    pub(crate) async fn add_ticket(&self, new: &NewTicket<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO tickets (id, user_id, user_name, code, replaces, issued, expires,
                                  issued_by, note, state, owner)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10)",
        )
        .bind(new.id)
        .bind(new.user_id)
        .bind(new.user_name)
        .bind(&new.code)
        .bind(new.replaces)
        .bind(new.issued)
        .bind(new.expires)
        .bind(new.issued_by)
        .bind(new.note)
        .bind(new.owner.map(Owner::word))
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Such a ticket, if it is open for this user. Takes nothing.
    pub(crate) async fn open_ticket(
        &self,
        code: &[u8],
        user_id: &str,
        now: i64,
    ) -> Result<Option<TicketRow>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT id, user_name, replaces, issued, expires, issued_by, note, state, owner FROM tickets
             WHERE code = $1 AND user_id = $2 AND state = 'open' AND expires > $3",
        )
        .bind(code)
        .bind(user_id)
        .bind(now)
        .fetch_optional(&self.readers)
        .await?)
    }

    /// True: one of theirs may be used still.
    pub(crate) async fn has_open_ticket(
        &self,
        user_id: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM tickets WHERE user_id = $1 AND state = 'open' AND expires > $2 LIMIT 1",
        )
        .bind(user_id)
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.is_some())
    }

    /// Takes the ticket. None: no such ticket, another user's, used, void or expired.
    pub(crate) async fn take_ticket(
        &self,
        code: &[u8],
        user_id: &str,
        now: i64,
    ) -> Result<Option<TicketRow>, StoreError> {
        Ok(sqlx::query_as(
            "UPDATE tickets SET state = 'used', ended = $3
             WHERE code = $1 AND user_id = $2 AND state = 'open' AND expires > $3
             RETURNING id, user_name, replaces, issued, expires, issued_by, note, state, owner",
        )
        .bind(code)
        .bind(user_id)
        .bind(now)
        .fetch_optional(&self.writer)
        .await?)
    }

    /// All tickets, newest first, or those of one user name.
    pub(crate) async fn tickets(&self, user: Option<&str>) -> Result<Vec<TicketRow>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT id, user_name, replaces, issued, expires, issued_by, note, state, owner FROM tickets
             WHERE $1 IS NULL OR user_name = $1 COLLATE NOCASE ORDER BY issued DESC, id LIMIT 1000",
        )
        .bind(user)
        .fetch_all(&self.readers)
        .await?)
    }

    /// The user of the ticket that was voided. None: no open ticket of that id.
    pub(crate) async fn void_ticket(
        &self,
        id: &str,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "UPDATE tickets SET state = 'void', ended = $2 WHERE id = $1 AND state = 'open'
             RETURNING user_name",
        )
        .bind(id)
        .bind(now)
        .fetch_optional(&self.writer)
        .await?)
    }
}
