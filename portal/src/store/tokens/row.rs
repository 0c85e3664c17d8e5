//! A token as a row: its life, how it makes codes, and what a new one needs.

use sqlx::FromRow;

use super::Owner;
use crate::{
    otp::{Position, Recipe},
    store::StoreError,
};

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
    pub(super) fn name(self) -> &'static str {
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
    kind: String,
    last_step: i64,
    drift: i64,
    pub(crate) serial: Option<String>,
    owner: Option<String>,
}

/// The kind of a token that makes no codes.
const PASSKEY: &str = "passkey";

impl TokenRow {
    /// How it makes its codes. None: it is a passkey.
    pub(crate) fn recipe(&self) -> Result<Option<Recipe>, StoreError> {
        match self.kind.as_str() {
            PASSKEY => Ok(None),
            kind => kind.parse().map(Some).map_err(StoreError::Value),
        }
    }

    pub(crate) fn is_passkey(&self) -> bool {
        self.kind == PASSKEY
    }

    /// Where its codes are.
    pub(crate) fn position(&self) -> Position {
        Position {
            last: self.last_step,
            drift: self.drift,
        }
    }

    /// Whose device it is on; None: nobody said.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.owner.as_deref().and_then(Owner::of_word)
    }

    /// `totp`, `hotp` or `passkey`.
    pub(crate) fn kind_word(&self) -> &str {
        self.kind.split(':').next().unwrap_or_default()
    }

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
    pub(crate) kind: Kind<'a>,
    pub(crate) owner: Option<Owner>,
}

/// What a new token is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    /// An app that scanned the picture we showed.
    App,
    /// Of another system: how it makes codes, and the last step that counts as used.
    Imported {
        recipe: Recipe,
        last: i64,
        serial: Option<&'a str>,
    },
    /// By its credential's id.
    Passkey(&'a [u8]),
}

impl<'a> Kind<'a> {
    pub(super) fn columns(self) -> (String, i64, Option<&'a str>, Option<&'a [u8]>) {
        match self {
            Self::App => (Recipe::STANDARD.to_string(), 0, None, None),
            Self::Imported {
                recipe,
                last,
                serial,
            } => (recipe.to_string(), last, serial, None),
            Self::Passkey(credential) => (PASSKEY.to_owned(), 0, None, Some(credential)),
        }
    }
}
