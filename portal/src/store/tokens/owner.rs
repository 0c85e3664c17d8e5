//! Whose device a token is on, as the person, the help desk or an operator said it. It is for lists
//! and for policies on paper: nothing opens or stays shut by it.

use serde::Serialize;

use crate::store::{Store, StoreError};

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Owner {
    /// The person's own.
    Private,
    /// The company's.
    Company,
}

impl Owner {
    /// As it is stored, listed and sent by forms.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Company => "company",
        }
    }

    /// As the audit tells what was said.
    pub(crate) fn told(owner: Option<Self>) -> &'static str {
        owner.map_or("unsaid", Self::word)
    }

    /// None: anything else, which says nothing.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Private, Self::Company]
            .into_iter()
            .find(|owner| owner.word() == word)
    }
}

impl Store {
    /// False: there is no such token, or it is revoked.
    pub(crate) async fn set_owner(
        &self,
        id: &str,
        owner: Option<Owner>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE tokens SET owner = $2 WHERE id = $1 AND state <> 'revoked'")
            .bind(id)
            .bind(owner.map(Owner::word))
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
