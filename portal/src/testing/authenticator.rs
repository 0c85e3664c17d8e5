//! A passkey in software, as far as the checks look: ES256, attestation "none" (WebAuthn level 3,
//! §6.5), for one relying party.

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Flags of authenticator data: user present, user verified, credential data attached.
const UP: u8 = 0x01;
const UV: u8 = 0x04;
const AT: u8 = 0x40;

/// One key of one person.
pub(crate) struct Authenticator {
    key: SigningKey,
    id: Vec<u8>,
    user: Vec<u8>,
    counter: u32,
    pub(crate) origin: String,
    pub(crate) party: String,
    /// Whether it asks for a PIN or a finger.
    pub(crate) verifies: bool,
}

fn b64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

impl Authenticator {
    pub(crate) fn new(origin: &str) -> Self {
        let party = origin.trim_start_matches("https://");
        let party = party.split(':').next().unwrap().to_owned();
        Self {
            key: SigningKey::from_slice(&crate::random::bytes::<32>()).unwrap(),
            id: crate::random::bytes::<16>().to_vec(),
            user: Vec::new(),
            counter: 0,
            origin: origin.to_owned(),
            party,
            verifies: true,
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = &options["publicKey"]["challenge"];
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn data(&mut self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { UV } else { 0 };
        self.counter += 1;
        let mut data = Sha256::digest(self.party.as_bytes()).to_vec();
        data.push(flags | UP | verified);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// The reply to an offer to make a passkey.
    pub(crate) fn make(&mut self, options: &Value) -> String {
        let handle = options["publicKey"]["user"]["id"].as_str().unwrap();
        self.user = BASE64URL_NOPAD.decode(handle.as_bytes()).unwrap();
        let mut data = self.data(AT);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        let point = self.key.verifying_key().to_sec1_point(false);
        // COSE_Key: kty EC2, alg ES256, crv P-256, x, y.
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(point.x().unwrap());
        data.extend([0x22, 0x58, 0x20]);
        data.extend(point.y().unwrap());
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt");
        object.push(0x64);
        object.extend(b"none");
        object.push(0x67);
        object.extend(b"attStmt");
        object.extend([0xa0, 0x68]);
        object.extend(b"authData");
        object.extend([0x58, u8::try_from(data.len()).unwrap()]);
        object.extend(&data);
        let client = self.client_data("webauthn.create", options);
        json!({
            "id": b64(&self.id), "rawId": b64(&self.id), "type": "public-key",
            "response": { "attestationObject": b64(&object), "clientDataJSON": b64(&client) },
            "extensions": {},
        })
        .to_string()
    }

    /// The reply to a challenge.
    pub(crate) fn show(&mut self, options: &Value) -> String {
        let data = self.data(0);
        let client = self.client_data("webauthn.get", options);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client));
        let signature: Signature = self.key.sign(&signed);
        json!({
            "id": b64(&self.id), "rawId": b64(&self.id), "type": "public-key",
            "response": {
                "authenticatorData": b64(&data), "clientDataJSON": b64(&client),
                "signature": b64(signature.to_der().as_bytes()), "userHandle": b64(&self.user),
            },
            "extensions": {},
        })
        .to_string()
    }
}
