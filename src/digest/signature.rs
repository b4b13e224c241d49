//! Public keys, and what CloudTrail signs.
//!
//! Owns: the signing string and RSA PKCS#1 v1.5 with SHA-256 over it, by a key that the fingerprint names.
//! Refuses: other algorithms. Both forms of a key are taken: PKCS#1 `RSAPublicKey`, as the API's reference says, and
//! SPKI, as some of the published keys are.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde::Deserialize;

use super::Digest;

/// The one algorithm there is, as an object's metadata names it.
pub const ALGORITHM: &str = "SHA256withRSA";

/// What CloudTrail signs of a digest whose uncompressed text has this hash.
pub fn string_to_sign(digest: &Digest, hash: &str) -> String {
    let previous = digest.previous_signature.as_deref().unwrap_or("null");
    let Digest { ends_text, location, .. } = digest;
    format!("{ends_text}\n{}/{}\n{hash}\n{previous}", location.bucket, location.key)
}

/// Keys by their fingerprints.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(BTreeMap<String, Arc<ParsedPublicKey>>);

impl KeyRing {
    /// Adds a key in DER, PKCS#1 or SPKI. CloudTrail's fingerprint is the MD5 of the form that it hands out, so the key is
    /// found by the fingerprint of either form, and by the one that was stated with it.
    ///
    /// # Errors
    /// Says so where it is no RSA key.
    pub fn add(&mut self, der: &[u8], stated: Option<&str>) -> Result<(), String> {
        let parsed = rsa::PublicKey::from_der(der).map_err(|error| format!("not an RSA public key: {error}"))?;
        let spki = parsed.as_der().map_err(|_| "not an RSA public key".to_owned())?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, parsed.as_ref())
            .map_err(|error| format!("not an RSA public key: {error}"))?;
        let key = Arc::new(key);
        let names = [fingerprint(der), fingerprint(parsed.as_ref()), fingerprint(spki.as_ref())];
        for name in names.into_iter().chain(stated.map(str::to_ascii_lowercase)) {
            self.0.insert(name, Arc::clone(&key));
        }
        Ok(())
    }

    /// Adds all keys of another ring.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(name, key)| (name.clone(), Arc::clone(key))));
    }

    /// Whether a fingerprint is known.
    pub fn contains(&self, fingerprint: &str) -> bool {
        self.0.contains_key(&fingerprint.to_ascii_lowercase())
    }

    /// True where it has no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key of that fingerprint made the signature (hexadecimal) of a message; `None` where it is not known.
    pub fn verify(&self, fingerprint: &str, message: &str, signature: &str) -> Option<bool> {
        let key = self.0.get(&fingerprint.to_ascii_lowercase())?;
        let signature = hex::decode(signature);
        Some(signature.is_ok_and(|signature| key.verify_sig(message.as_bytes(), &signature).is_ok()))
    }
}

/// CloudTrail's name of a key: the MD5 of its DER form, in hexadecimal.
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(Md5::digest(der))
}

/// Reads a file of keys: what `aws cloudtrail list-public-keys` prints (several of these one after the other are fine),
/// or PEM blocks of `PUBLIC KEY` or `RSA PUBLIC KEY`.
///
/// # Errors
/// Says what is wrong where it holds no key or a broken one.
pub fn parse_keys(file: &[u8]) -> Result<KeyRing, String> {
    let mut ring = KeyRing::default();
    let text = std::str::from_utf8(file).map_err(|_| "it is not text".to_owned())?;
    if text.contains("-----BEGIN ") {
        for der in pem_blocks(text)? {
            ring.add(&der, None)?;
        }
    } else {
        for answer in serde_json::Deserializer::from_str(text).into_iter::<ListPublicKeys>() {
            let answer = answer.map_err(|error| format!("it is not what list-public-keys prints: {error}"))?;
            for key in answer.public_key_list {
                ring.add(&decode(&key.value)?, key.fingerprint.as_deref())?;
            }
        }
    }
    if ring.is_empty() { Err("it holds no keys".to_owned()) } else { Ok(ring) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListPublicKeys {
    public_key_list: Vec<ListedKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedKey {
    value: String,
    fingerprint: Option<String>,
}

fn decode(base64: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(base64).map_err(|error| format!("a key is not base64: {error}"))
}

fn pem_blocks(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut blocks = Vec::new();
    for block in text.split("-----BEGIN ").skip(1) {
        let (label, rest) = block.split_once("-----").ok_or("a PEM block has no end")?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or("a PEM block has no end")?;
        if !matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY") {
            return Err(format!("a PEM block is {label:?}, not a public key"));
        }
        blocks.push(decode(&body.split_ascii_whitespace().collect::<String>())?);
    }
    Ok(blocks)
}
