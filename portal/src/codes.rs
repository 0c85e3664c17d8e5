//! Checks a typed code against a person's active tokens and takes the step it belongs to. One
//! accepted step is used up for good, whatever happens after.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::{
    key::Key,
    store::{Store, StoreError, TokenRow},
    totp::{self, Code, Seed},
    vault::{Place, Vault, VaultError},
};

/// A code of one of this person's tokens was right, and its step is taken.
#[derive(Debug)]
pub(crate) struct CodePassed {
    user_id: String,
    token: String,
    offset: i64,
}

impl CodePassed {
    pub(crate) fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The token's id.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Which step matched, seen from the present one: -1, 0 or 1.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }
}

/// Why no code passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeRefused {
    /// Not six digits, or of no step near now.
    Wrong,
    /// Right, but its step or a later one was taken before.
    Used,
    /// The person has no active token.
    NoToken,
}

/// Opens seeds and takes steps.
#[derive(Debug)]
pub(crate) struct Codes {
    store: Store,
    vault: Vault,
    key_file: PathBuf,
    skew: u16,
}

/// The seed could not be opened or the database not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the secret of token {0} does not open: {1}")]
    Vault(String, VaultError),
    #[error(transparent)]
    Key(#[from] crate::key::KeyError),
}

impl Codes {
    pub(crate) fn new(store: Store, key: Key, key_file: PathBuf, steps: u32) -> Self {
        let skew = u16::try_from(steps).unwrap_or(0);
        Self {
            store,
            vault: Vault::new(key),
            key_file,
            skew,
        }
    }

    pub(crate) fn skew(&self) -> u16 {
        self.skew
    }

    /// Tries `code` against every active token of the person.
    pub(crate) async fn check(
        &self,
        user_id: &str,
        code: Option<&Code>,
        now: Timestamp,
    ) -> Result<Result<CodePassed, CodeRefused>, CodesError> {
        let tokens = self.store.active_tokens(user_id).await?;
        if tokens.is_empty() {
            return Ok(Err(CodeRefused::NoToken));
        }
        let Some(code) = code else {
            return Ok(Err(CodeRefused::Wrong));
        };
        let mut refused = CodeRefused::Wrong;
        for token in &tokens {
            let Some(step) = self.seed(token)?.step_of(code, now, self.skew) else {
                continue;
            };
            if self
                .store
                .claim_step(&token.id, step, now.as_second())
                .await?
            {
                return Ok(Ok(CodePassed {
                    user_id: user_id.to_owned(),
                    token: token.id.clone(),
                    offset: step - totp::step_at(now),
                }));
            }
            refused = CodeRefused::Used;
        }
        Ok(Err(refused))
    }

    /// The seed of a token.
    pub(crate) fn seed(&self, token: &TokenRow) -> Result<Seed, CodesError> {
        let damaged = || CodesError::Vault(token.id.clone(), VaultError::Damaged);
        let sealed = token.secret.as_deref().ok_or_else(damaged)?;
        let opened = match self.vault.open(place(&token.id), sealed) {
            // A verb rotated the key while this portal runs.
            Err(VaultError::OtherKey(_)) => {
                self.take_key()?;
                self.vault.open(place(&token.id), sealed)
            }
            result => result,
        };
        opened
            .map(Seed::from_bytes)
            .map_err(|e| CodesError::Vault(token.id.clone(), e))
    }

    /// A sealed seed and the id of the key it is sealed with.
    pub(crate) fn seal(&self, token: &str, seed: &Seed) -> Result<(Vec<u8>, String), CodesError> {
        let sealed = self
            .vault
            .seal(place(token), seed.bytes())
            .map_err(|e| CodesError::Vault(token.to_owned(), e))?;
        Ok((sealed, self.vault.key_id()))
    }

    /// See [`Vault::pseudonym`].
    pub(crate) fn pseudonym(&self, name: &str) -> String {
        self.vault.pseudonym(name)
    }

    /// Takes the key that a verb rotated to, if one did.
    pub(crate) async fn follow_rotation(&self) -> Result<(), CodesError> {
        match self.store.fact("key").await? {
            Some(id) if id != self.vault.key_id() => self.take_key(),
            _ => Ok(()),
        }
    }

    /// Reads the key file again.
    pub(crate) fn take_key(&self) -> Result<(), CodesError> {
        self.vault.change(Key::read(&self.key_file)?);
        Ok(())
    }
}

/// Where a token's seed lives.
pub(crate) fn place(token: &str) -> Place<'_> {
    Place {
        table: "tokens",
        row: token,
        column: "secret",
    }
}

#[cfg(test)]
mod tests;
