//! Seals secrets for the database with XChaCha20-Poly1305. The place a secret belongs to (table,
//! row, column, key id) is authenticated with it: copied to another row it does not open.

use std::sync::{PoisonError, RwLock};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key::Key;

const VERSION: u8 = 1;
const ID: usize = 16;
const NONCE: usize = 24;

/// Why a sealed value does not open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("sealed with key {0}, which is not the key in the key file")]
    OtherKey(String),
    #[error("damaged, or moved from another row")]
    Damaged,
}

/// Where a secret lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'a str,
    pub(crate) row: &'a str,
    pub(crate) column: &'a str,
}

impl Place<'_> {
    fn bound_to(self, key: &Key) -> Vec<u8> {
        format!("{}|{}|{}|{}", self.table, self.row, self.column, key.id()).into_bytes()
    }
}

/// Holds the present key.
#[derive(Debug)]
pub(crate) struct Vault(RwLock<Key>);

impl Vault {
    pub(crate) fn new(key: Key) -> Self {
        Self(RwLock::new(key))
    }

    pub(crate) fn key_id(&self) -> String {
        self.key().id().to_owned()
    }

    /// Takes another key, after a rotation by a verb.
    pub(crate) fn change(&self, key: Key) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    fn key(&self) -> Key {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A name that may be somebody's password, typed into the wrong field: the same for the same
    /// name, and worth nothing without the key.
    pub(crate) fn pseudonym(&self, name: &str) -> String {
        let key = self.key();
        // HMAC takes keys of every length; 32 bytes never fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.bytes()) else {
            return String::new();
        };
        mac.update(b"sekisho name\0");
        mac.update(name.as_bytes());
        let tag = mac.finalize().into_bytes();
        HEXLOWER.encode(tag.get(..16).unwrap_or_default())
    }

    /// version | key id | nonce | ciphertext and tag.
    pub(crate) fn seal(&self, place: Place<'_>, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(&self.key(), place, secret)
    }

    pub(crate) fn open(
        &self,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        open(&self.key(), place, sealed)
    }
}

pub(crate) fn seal(key: &Key, place: Place<'_>, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce = crate::random::bytes::<NONCE>();
    let payload = Payload {
        msg: secret,
        aad: &place.bound_to(key),
    };
    let sealed = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| VaultError::Damaged)?;
    let mut out = Vec::with_capacity(1 + ID + NONCE + sealed.len());
    out.push(VERSION);
    out.extend_from_slice(key.id().as_bytes());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

pub(crate) fn open(
    key: &Key,
    place: Place<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (head, rest) = sealed.split_at_checked(1 + ID).ok_or(VaultError::Damaged)?;
    let (nonce, body) = rest.split_at_checked(NONCE).ok_or(VaultError::Damaged)?;
    let (version, id) = head.split_first().ok_or(VaultError::Damaged)?;
    if *version != VERSION {
        return Err(VaultError::Damaged);
    }
    if id != key.id().as_bytes() {
        return Err(VaultError::OtherKey(
            String::from_utf8_lossy(id).into_owned(),
        ));
    }
    let nonce = <[u8; NONCE]>::try_from(nonce).map_err(|_| VaultError::Damaged)?;
    let payload = Payload {
        msg: body,
        aad: &place.bound_to(key),
    };
    XChaCha20Poly1305::new(key.bytes().into())
        .decrypt(&XNonce::from(nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| VaultError::Damaged)
}

#[cfg(test)]
mod tests;
