//! Checks a typed code against a person's active tokens and takes the step it belongs to. One
//! accepted step is used up for good, whatever happens after.

use std::path::PathBuf;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    key::Key,
    otp::{Code, Moves, Reach, Recipe, Seed},
    store::{Store, StoreError, TokenRow},
    vault::{Place, Vault, VaultError},
};

/// A code of one of this person's tokens was right, and its step is taken.
#[derive(Debug)]
pub(crate) struct CodePassed {
    user_id: String,
    token: String,
    note: String,
}

impl CodePassed {
    pub(crate) fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The token's id.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Which step matched, for the audit: seen from the present one, or the button's count.
    pub(crate) fn note(&self) -> &str {
        &self.note
    }
}

/// Why no code passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeRefused {
    /// Not the digits of a code, or of no step near now.
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
    reach: Reach,
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
    pub(crate) fn new(store: Store, key: Key, key_file: PathBuf, reach: Reach) -> Self {
        Self {
            store,
            vault: Vault::new(key),
            key_file,
            reach,
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach
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
            let Some(recipe) = token.recipe()? else {
                continue;
            };
            let (seed, position) = (self.seed(token)?, token.position());
            let Some(step) = recipe.step_of(&seed, code, now, self.reach, position) else {
                // A counter's used codes are behind it; a clock's are still near.
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
                    note: note(recipe, step, now, position.drift),
                }));
            }
            refused = CodeRefused::Used;
        }
        Ok(Err(refused))
    }

    /// Which of the person's tokens two codes in a row are of, far beyond reach. Nothing is taken yet.
    /// Apps are left out: their clocks are the phones', and a code that somebody saw must not serve
    /// for longer.
    pub(crate) async fn find_pair(
        &self,
        user_id: &str,
        pair: (&Code, &Code),
        now: Timestamp,
    ) -> Result<Option<TokenRow>, CodesError> {
        for token in self.store.active_tokens(user_id).await? {
            if token.serial.is_some() && self.pair_of(&token, pair, now)?.is_some() {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// The step of the second code and the drift, if both are later than what was taken before.
    fn pair_of(
        &self,
        token: &TokenRow,
        pair: (&Code, &Code),
        now: Timestamp,
    ) -> Result<Option<(i64, i64)>, CodesError> {
        let Some(recipe) = token.recipe()? else {
            return Ok(None);
        };
        let (seed, position) = (self.seed(token)?, token.position());
        let found = recipe.step_of_pair(&seed, pair, now, position);
        let step = found.filter(|step| *step - 1 > position.last);
        Ok(step.map(|step| (step, recipe.drift(step, now))))
    }

    /// Takes two codes of a token, and goes on from there. False: they are not its, or used.
    pub(crate) async fn resync_one(
        &self,
        token: &TokenRow,
        pair: (&Code, &Code),
        now: Timestamp,
    ) -> Result<bool, CodesError> {
        let Some((step, drift)) = self.pair_of(token, pair, now)? else {
            return Ok(false);
        };
        let done = self
            .store
            .resync_token(&token.id, step, drift, now.as_second());
        Ok(done.await?)
    }

    /// The seed of a token.
    pub(crate) fn seed(&self, token: &TokenRow) -> Result<Seed, CodesError> {
        self.secret(token).map(Seed::from_bytes)
    }

    /// What a token keeps: its seed, or its credential.
    pub(crate) fn secret(&self, token: &TokenRow) -> Result<Zeroizing<Vec<u8>>, CodesError> {
        let damaged = || CodesError::Vault(token.id.clone(), VaultError::Damaged);
        let sealed = token.secret.as_deref().ok_or_else(damaged)?;
        self.open(place(&token.id), sealed)
    }

    /// A secret of any table.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CodesError> {
        let opened = match self.vault.open(place, sealed) {
            // A verb rotated the key while this portal runs.
            Err(VaultError::OtherKey(_)) => {
                self.take_key()?;
                self.vault.open(place, sealed)
            }
            result => result,
        };
        opened.map_err(|e| CodesError::Vault(place.row.to_owned(), e))
    }

    /// A sealed seed and the id of the key it is sealed with.
    pub(crate) fn seal(&self, token: &str, seed: &Seed) -> Result<(Vec<u8>, String), CodesError> {
        self.seal_at(place(token), seed.bytes())
    }

    /// A sealed secret of any table, and the id of the key.
    pub(crate) fn seal_at(
        &self,
        place: Place<'_>,
        secret: &[u8],
    ) -> Result<(Vec<u8>, String), CodesError> {
        let sealed = self
            .vault
            .seal(place, secret)
            .map_err(|e| CodesError::Vault(place.row.to_owned(), e))?;
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

fn note(recipe: Recipe, step: i64, now: Timestamp, drift: i64) -> String {
    match recipe.moves() {
        Moves::Time(_) => format!("step {:+}", recipe.drift(step, now) - drift),
        Moves::Press => format!("press {step}"),
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

/// Where the secret of a token in stock lives.
pub(crate) fn stock_place(serial: &str) -> Place<'_> {
    Place {
        table: "stock",
        row: serial,
        column: "secret",
    }
}

#[cfg(test)]
mod tests;
