//! Password hashes of the local directory: argon2id, 64 MiB, three passes, one lane.

use std::sync::LazyLock;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

use super::Password;

/// A hash of nothing anybody types, at the cost of a real one.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    Password::parse(&crate::random::handle())
        .and_then(|p| hash(&p).ok())
        .unwrap_or_default()
});

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;

/// Hashes with a random salt; the result is a PHC string. Blocks for some 0.1 s.
pub(crate) fn hash(password: &Password) -> Result<String, String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|e| e.to_string())?;
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.expose().as_bytes())
        .map_err(|e| e.to_string())?;
    Ok(hash.to_string())
}

/// What a password is compared with when the person does not exist.
pub(super) fn nobody() -> String {
    NOBODY.clone()
}

/// True: the password is the one hashed. Takes the cost from the hash itself.
pub(super) fn verify(password: &Password, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok()
    })
}

/// Whether a PHC string in the users file is one we verify, at a cost that harms nobody.
pub(super) fn check(hash: &str) -> Result<(), String> {
    let parsed = PasswordHash::new(hash).map_err(|_| "is no PHC string".to_owned())?;
    if parsed.algorithm.as_str() != "argon2id" {
        return Err(format!("uses {}, only argon2id is taken", parsed.algorithm));
    }
    let params = Params::try_from(&parsed).map_err(|_| "has unreadable parameters".to_owned())?;
    if params.m_cost() > 1 << 20 || params.t_cost() > 20 || params.p_cost() > 8 {
        return Err("asks for more memory or time than 1 GiB, 20 passes, 8 lanes".into());
    }
    Ok(())
}

/// A hash that costs next to nothing, for tests of something else.
#[cfg(test)]
pub(crate) fn cheap(password: &str) -> String {
    let params = Params::new(64, 1, 1, None).unwrap();
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes())
        .unwrap();
    hash.to_string()
}
