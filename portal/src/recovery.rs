//! Recovery codes: ten on paper for the day when nothing else is at hand. Each works once and only
//! with the password. They are stored as slow hashes; a new set replaces the old one at once.

use std::{sync::Arc, time::Duration};

use agent_api::AuditKind;
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE32_NOPAD;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    audit::draft,
    portal::{Failure, Portal},
    random,
};

/// How many a set has.
pub(crate) const CODES: usize = 10;
/// From how many on the person is told to make new ones.
pub(crate) const FEW: i64 = 3;
/// 80 bits: sixteen letters. SP 800-63B-4 §3.1.2 wants 20 and a slow hash below 112.
const BYTES: usize = 10;
const SALT: usize = 16;
const HASH: usize = 32;
/// The codes are random: what OWASP asks for passwords is more than enough.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Longest wait for a turn to hash; a flood must not queue for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// One recovery code of this person was right, and is used up.
#[derive(Debug)]
pub(crate) struct RecoveryPassed {
    user_id: String,
    set: String,
    left: i64,
}

impl RecoveryPassed {
    pub(crate) fn user_id(&self) -> &str {
        &self.user_id
    }

    pub(crate) fn set(&self) -> &str {
        &self.set
    }

    pub(crate) fn left(&self) -> i64 {
        self.left
    }
}

/// A code that is right, and not used up yet: the password comes first, so that a typing error in
/// it costs no code.
#[derive(Debug)]
pub(crate) struct RecoveryFits {
    user_id: String,
    set: String,
    hash: Vec<u8>,
}

/// Hashes codes, a few at a time.
#[derive(Debug)]
pub(crate) struct Hasher(Arc<Semaphore>);

impl Hasher {
    pub(crate) fn new(at_once: u32) -> Self {
        Self(Arc::new(Semaphore::new(
            usize::try_from(at_once).unwrap_or(1),
        )))
    }

    async fn hash(
        &self,
        letters: Vec<Zeroizing<String>>,
        salt: Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let failed = |why: String| Failure::Offer(format!("recovery codes: {why}"));
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| failed("too many are being checked".into()))?;
        let turn = turn.map_err(|e| failed(e.to_string()))?;
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            letters.iter().map(|one| slow(one, &salt)).collect()
        });
        let hashes: Result<Vec<_>, String> = work.await.map_err(|e| failed(e.to_string()))?;
        hashes.map_err(failed)
    }
}

fn slow(letters: &str, salt: &[u8]) -> Result<Vec<u8>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(HASH)).map_err(|e| e.to_string())?;
    let mut out = vec![0; HASH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(letters.as_bytes(), salt, &mut out)
        .map_err(|e| e.to_string())?;
    Ok(out)
}

/// A code as it is hashed: upper-case letters and digits only, and 0 and 1 read as what they are
/// mistaken for.
fn letters(typed: &str) -> Zeroizing<String> {
    let letters = typed.chars().take(128).filter(char::is_ascii_alphanumeric);
    Zeroizing::new(
        letters
            .map(|c| match c.to_ascii_uppercase() {
                '0' => 'O',
                '1' => 'I',
                other => other,
            })
            .collect(),
    )
}

/// `ABCD-EFGH-…`.
fn grouped(letters: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(letters.len() * 5 / 4));
    for (index, letter) in letters.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            out.push('-');
        }
        out.push(letter);
    }
    out
}

impl Portal {
    /// Makes a new set; the one before is void in the same moment. To be shown once. None: the cookie
    /// that asks for it ended meanwhile.
    pub(crate) async fn new_recovery_codes(
        &self,
        (user_id, user_name): (&str, &str),
        asking: Option<&[u8]>,
    ) -> Result<Option<Vec<Zeroizing<String>>>, Failure> {
        let codes: Vec<_> = (0..CODES)
            .map(|_| Zeroizing::new(BASE32_NOPAD.encode(&random::bytes::<BYTES>())))
            .collect();
        let salt = random::bytes::<SALT>().to_vec();
        let hashes = self.hasher.hash(codes.clone(), salt.clone()).await?;
        let set = random::id('r');
        let now = self.now().as_second();
        let person = (user_id, user_name);
        let made = self
            .store
            .replace_recovery_set(&set, person, (&salt, &hashes), asking, now);
        if !made.await? {
            return Ok(None);
        }
        let mut record = draft(AuditKind::Token, "recovery-codes-made");
        record.user = Some(user_name.to_owned());
        record.token = Some(set);
        self.audit.write(record).await?;
        Ok(Some(codes.iter().map(|code| grouped(code)).collect()))
    }

    /// Whether a code is one of this person's that was not used yet. Takes as long for somebody who
    /// has none.
    pub(crate) async fn recovery_fits(
        &self,
        user_id: &str,
        typed: &str,
    ) -> Result<Option<RecoveryFits>, Failure> {
        let found = self.store.recovery_set(user_id).await?;
        let salt = found.as_ref().map(|set| set.salt.clone());
        let salt = salt.unwrap_or_else(|| random::bytes::<SALT>().to_vec());
        let hashes = self.hasher.hash(vec![letters(typed)], salt).await?;
        let (Some(set), Some(hash)) = (found, hashes.into_iter().next()) else {
            return Ok(None);
        };
        let fits = self.store.has_recovery_code(&set.id, &hash).await?;
        Ok(fits.then(|| RecoveryFits {
            user_id: user_id.to_owned(),
            set: set.id,
            hash,
        }))
    }

    /// Uses the code up. None: somebody was faster, or the set is not the person's any more.
    pub(crate) async fn use_recovery_code(
        &self,
        code: RecoveryFits,
    ) -> Result<Option<RecoveryPassed>, Failure> {
        let now = self.now().as_second();
        let used = self.store.use_recovery_code(&code.set, &code.hash, now);
        let Some(left) = used.await? else {
            return Ok(None);
        };
        Ok(Some(RecoveryPassed {
            user_id: code.user_id,
            set: code.set,
            left,
        }))
    }
}

#[cfg(test)]
mod tests;
