//! Keys of the curve P-256 whose secret number begins with zeros: OpenSSH leaves them out, one time in 256, and the
//! library that reads its keys then takes the number for broken.

use base64::{Engine, prelude::BASE64_STANDARD};
use russh::keys::{
    PrivateKey,
    ssh_key::{
        private::{EcdsaKeypair, EcdsaPrivateKey, KeypairData},
        public::EcdsaPublicKey,
    },
};

/// What a file of OpenSSH's form begins with.
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Reads a file of OpenSSH's form that holds such a key, and nothing else.
pub(super) fn read(text: &str, passphrase: Option<&str>) -> Option<PrivateKey> {
    match passphrase {
        None => key(lying_open(&BASE64_STANDARD.decode(armoured(text)?).ok()?)?),
        Some(passphrase) => {
            let locked = PrivateKey::from_openssh(text).ok()?;
            let (secret, start) = locked.kdf().derive_key_and_iv(locked.cipher(), passphrase).ok()?;
            let mut content = locked.key_data().encrypted()?.to_vec();
            locked.cipher().decrypt(&secret, &start, &mut content, None).ok()?;
            key(&content)
        }
    }
}

/// What stands between the first line and the last.
fn armoured(text: &str) -> Option<String> {
    let (_, text) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----")?;
    let (text, _) = text.split_once("-----END OPENSSH PRIVATE KEY-----")?;
    Some(text.split_ascii_whitespace().collect())
}

/// The part of a file that would be locked, if it were.
fn lying_open(mut file: &[u8]) -> Option<&[u8]> {
    file = file.strip_prefix(MAGIC)?;
    let [cipher, derivation, _options] = [string(&mut file)?, string(&mut file)?, string(&mut file)?];
    let (how_many, rest) = file.split_at_checked(4)?;
    file = rest;
    let _public = string(&mut file)?;
    (cipher == b"none" && derivation == b"none" && how_many == [0, 0, 0, 1]).then(|| string(&mut file))?
}

/// The key that stands in this part, its number with the zeros that were left out.
fn key(content: &[u8]) -> Option<PrivateKey> {
    // Two numbers that are the same where the right passphrase was used.
    let (checks, mut content) = content.split_at_checked(8)?;
    let [name, _curve, point] = [string(&mut content)?, string(&mut content)?, string(&mut content)?];
    let number = string(&mut content)?;
    let mut whole = [0; 32];
    let zeros = whole.len().checked_sub(number.len())?;
    if checks[..4] != checks[4..] || name != b"ecdsa-sha2-nistp256" {
        return None;
    }
    whole[zeros..].copy_from_slice(number);
    let EcdsaPublicKey::NistP256(public) = EcdsaPublicKey::from_sec1_bytes(point).ok()? else { return None };
    let pair = EcdsaKeypair::NistP256 { public, private: EcdsaPrivateKey::from(whole) };
    PrivateKey::new(KeypairData::Ecdsa(pair), "").ok()
}

/// Takes a run of bytes that its length stands before.
fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (string, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *bytes = rest;
    Some(string)
}

#[cfg(test)]
mod tests {
    use russh::keys::{HashAlg, PublicKey, decode_secret_key};

    use super::*;

    const KEY: &str = include_str!("short_key.txt");
    const LOCKED: &str = include_str!("short_key_locked.txt");
    const PUBLIC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNHITSnLwTtp3WEIrOrtw6J1EfyH3XBRZkhd5wPgkhQkxaw3Yh/156guw5/bpC9+mBSVPiuVBt+pG49EooMN1RE=";

    #[test]
    fn a_key_whose_number_is_short_signs_what_its_public_half_verifies() {
        let public = PublicKey::from_openssh(PUBLIC).unwrap();
        for (text, passphrase) in [(KEY, None), (LOCKED, Some("open sesame"))] {
            assert!(
                decode_secret_key(text, passphrase).is_err(),
                "the library reads it by itself: this can go"
            );
            let key = read(text, passphrase).unwrap();
            let signed = key.sign("test", HashAlg::Sha256, b"words").unwrap();
            public.verify("test", b"words", &signed).unwrap();
        }
        assert!(read(LOCKED, Some("open says me")).is_none());
    }

    #[test]
    fn a_file_that_is_cut_or_changed_is_no_key_and_no_panic() {
        let whole = BASE64_STANDARD.decode(armoured(KEY).unwrap()).unwrap();
        for length in 0..whole.len() {
            let _ = lying_open(&whole[..length]).and_then(key);
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x80;
            let _ = lying_open(&changed).and_then(key);
        }
        assert!(key(&[]).is_none());
    }
}
