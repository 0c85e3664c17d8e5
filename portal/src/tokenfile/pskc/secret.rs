//! Secrets of a key container: AES-CBC with the key that came another way or that PBKDF2 makes of a
//! password, and the HMAC over IV and ciphertext (RFC 6030 §6), which is looked at first.

use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _, block_padding::Pkcs7};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use roxmltree::Node;
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{find, text};

const BLOCK: usize = 16;
/// More rounds than anybody uses only keep this machine busy.
const ROUNDS: std::ops::RangeInclusive<u32> = 1..=10_000_000;

/// What opens the secrets of a file.
pub(crate) enum Unlock {
    Key(Zeroizing<Vec<u8>>),
    Password(Zeroizing<String>),
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unlock(…)")
    }
}

/// The keys of one container.
pub(super) enum Secrets<'a> {
    Plain,
    Sealed {
        key: Zeroizing<Vec<u8>>,
        mac: Option<(&'a str, Zeroizing<Vec<u8>>)>,
    },
}

impl<'a> Secrets<'a> {
    pub(super) fn of(root: Node<'a, '_>, unlock: Option<&Unlock>) -> Result<Self, String> {
        let Some(named) = find(root, "EncryptionKey") else {
            return Ok(Self::Plain);
        };
        let name = text(named, "KeyName").or_else(|| text(named, "MasterKeyName"));
        let name = name.unwrap_or_else(|| "without a name".into());
        let derivation = find(named, "PBKDF2-params");
        let key = match (unlock, derivation) {
            (Some(Unlock::Key(key)), None) => key.clone(),
            (Some(Unlock::Password(password)), Some(parameters)) => derive(password, parameters)?,
            (None, None) => {
                return Err(format!(
                    "its secrets are encrypted with the key {name:?}; give it with --key-file"
                ));
            }
            (_, Some(_)) => {
                return Err(format!(
                    "its secrets are encrypted with the password {name:?}; give it with --password-file"
                ));
            }
            (Some(Unlock::Password(_)), None) => {
                return Err(format!(
                    "it wants the key {name:?}, not a password; use --key-file"
                ));
            }
        };
        let mac = match find(root, "MACMethod") {
            None => None,
            Some(method) => {
                let algorithm = method.attribute("Algorithm").unwrap_or_default();
                let own = match find(method, "MACKey") {
                    // A wrong key shows here first.
                    Some(sealed) => decrypt(&key, &cipher_value(sealed)?)
                        .map_err(|e| format!("the key {name:?} is not the right one ({e})"))?,
                    None => key.clone(),
                };
                Some((algorithm, own))
            }
        };
        Ok(Self::Sealed { key, mac })
    }

    /// The bytes of a `Secret` element.
    pub(super) fn open(&self, secret: Node<'_, '_>) -> Result<Zeroizing<Vec<u8>>, String> {
        if let Some(plain) = text(secret, "PlainValue") {
            return base64(&plain).map(Zeroizing::new);
        }
        let value = find(secret, "EncryptedValue").ok_or("its secret has no value")?;
        let Self::Sealed { key, mac } = self else {
            return Err("its secret is encrypted, and the file names no key".into());
        };
        let sealed = cipher_value(value)?;
        let (algorithm, mac_key) = mac
            .as_ref()
            .ok_or("its secret is encrypted without a MAC")?;
        let expected = text(secret, "ValueMAC").ok_or("its secret has no MAC")?;
        check_mac(algorithm, mac_key, &sealed, &base64(&expected)?)?;
        decrypt(key, &sealed)
    }
}

fn base64(text: &str) -> Result<Vec<u8>, String> {
    let text: String = text.split_whitespace().collect();
    BASE64
        .decode(text.as_bytes())
        .map_err(|_| "what should be Base64 is not".into())
}

fn cipher_value(node: Node<'_, '_>) -> Result<Vec<u8>, String> {
    base64(&text(node, "CipherValue").ok_or("there is no CipherValue")?)
}

fn check_mac(algorithm: &str, key: &[u8], sealed: &[u8], expected: &[u8]) -> Result<(), String> {
    let right = match algorithm.rsplit('#').next() {
        Some("hmac-sha1") => {
            let mac = Hmac::<Sha1>::new_from_slice(key).map_err(|e| e.to_string())?;
            mac.chain_update(sealed).verify_slice(expected).is_ok()
        }
        Some("hmac-sha256") => {
            let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| e.to_string())?;
            mac.chain_update(sealed).verify_slice(expected).is_ok()
        }
        _ => {
            return Err(format!(
                "the MAC {algorithm:?} is not known; hmac-sha1 and hmac-sha256 are"
            ));
        }
    };
    match right {
        true => Ok(()),
        false => Err("the MAC of its secret is wrong: damaged, or another key".into()),
    }
}

/// AES-CBC with the IV in front, by the key's length.
fn decrypt(key: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let (iv, body) = sealed.split_at_checked(BLOCK).ok_or("too short")?;
    let wrong = |_| "it does not decrypt".to_owned();
    let length = |_| format!("a key of {} bits; AES has 128, 192 and 256", key.len() * 8);
    let plain = match key.len() {
        16 => cbc::Decryptor::<aes::Aes128>::new_from_slices(key, iv)
            .map_err(length)?
            .decrypt_padded_vec::<Pkcs7>(body)
            .map_err(wrong)?,
        24 => cbc::Decryptor::<aes::Aes192>::new_from_slices(key, iv)
            .map_err(length)?
            .decrypt_padded_vec::<Pkcs7>(body)
            .map_err(wrong)?,
        _ => cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv)
            .map_err(length)?
            .decrypt_padded_vec::<Pkcs7>(body)
            .map_err(wrong)?,
    };
    Ok(Zeroizing::new(plain))
}

fn derive(password: &str, parameters: Node<'_, '_>) -> Result<Zeroizing<Vec<u8>>, String> {
    let salt = base64(&text(parameters, "Specified").ok_or("PBKDF2 without a salt")?)?;
    let whole = |name: &str| {
        let value = text(parameters, name).ok_or_else(|| format!("PBKDF2 without {name}"))?;
        value
            .parse::<u32>()
            .map_err(|_| format!("{name}: {value:?} is no number"))
    };
    let rounds = whole("IterationCount")?;
    if !ROUNDS.contains(&rounds) {
        return Err(format!("PBKDF2 with {rounds} rounds is not done"));
    }
    let length = whole("KeyLength").unwrap_or(16);
    if ![16, 24, 32].contains(&length) {
        return Err(format!("PBKDF2 of {length} bytes makes no AES key"));
    }
    let mut key = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or(16)]);
    pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), &salt, rounds, &mut key);
    Ok(key)
}
