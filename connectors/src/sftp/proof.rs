//! By what a server is known, and which algorithms are spoken with it.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use russh::{
    Names, Preferred, cipher, client, kex,
    keys::{Algorithm, HashAlg, PrivateKey, PublicKey, PublicKeyOrCertificate, known_hosts},
    mac,
};

use super::short_key;

/// Reads a line of a `.pub` file.
pub(super) fn read_key(line: &str) -> Result<PublicKey, String> {
    let wrong = || format!("`{line}` is no public key such as `ssh-ed25519 AAAA…`");
    let mut words = line.split_whitespace();
    let (first, second) = (words.next().ok_or_else(wrong)?, words.next());
    let key = russh::keys::parse_public_key_base64(second.unwrap_or(first)).map_err(|_| wrong())?;
    if second.is_some() && key.algorithm().as_str() != first {
        return Err(format!("the key says `{}`, not `{first}`", key.algorithm()));
    }
    Ok(key)
}

/// Reads a private key. The words never hold any of it.
pub(super) fn load_key(path: &Path, passphrase: Option<&str>) -> Result<PrivateKey, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let read = russh::keys::decode_secret_key(&text, passphrase);
    read.or_else(|error| short_key::read(&text, passphrase).ok_or(error)).map_err(|error| {
        match (error, passphrase) {
            (russh::keys::Error::KeyIsEncrypted, _) => "the key is locked: `passphrase` opens it".to_owned(),
            (_, Some(_)) => "this is no private key, or `passphrase` does not open it".to_owned(),
            (_, None) => "this is no private key of OpenSSH, PKCS#8 or PKCS#1".to_owned(),
        }
    })
}

/// What is spoken: what is safe today, and of old algorithms those that are named. With `pinned` keys, theirs alone.
pub(super) fn algorithms(old: &[String], pinned: &[Algorithm]) -> Result<Preferred, String> {
    let mut spoken = Preferred::DEFAULT;
    let mut keys: Vec<Algorithm> = spoken.key.iter().filter(|key| !is_sha1(key)).cloned().collect();
    for name in old {
        if name == "ssh-rsa" {
            keys.push(Algorithm::Rsa { hash: None });
        } else if let Some(kex) = kex::Name::try_from(name.as_str()).ok().filter(|name| *name != kex::NONE) {
            spoken.kex.to_mut().push(kex);
        } else if let Some(cipher) =
            cipher::Name::try_from(name.as_str()).ok().filter(|name| is_secret(*name))
        {
            spoken.cipher.to_mut().push(cipher);
        } else if let Some(mac) = mac::Name::try_from(name.as_str()).ok().filter(|name| *name != mac::NONE) {
            spoken.mac.to_mut().push(mac);
        } else {
            return Err(format!("`{name}` is no algorithm of SSH that is known here"));
        }
    }
    if !pinned.is_empty() {
        keys.retain(|key| pinned.iter().any(|pin| pin == key || (is_rsa(pin) && is_rsa(key))));
    }
    spoken.key = Cow::Owned(keys);
    Ok(spoken)
}

fn is_rsa(key: &Algorithm) -> bool {
    matches!(key, Algorithm::Rsa { .. })
}

fn is_sha1(key: &Algorithm) -> bool {
    matches!(key, Algorithm::Rsa { hash: None })
}

fn is_secret(name: cipher::Name) -> bool {
    name != cipher::CLEAR && name != cipher::NONE
}

/// What another key than the known one can mean.
const SUSPICION: &str = "either it was set up anew, then ask who runs it and write the new key down, or somebody stands in between";

/// By what a server is known.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) pinned: Vec<PublicKey>,
    /// A file of OpenSSH's form, and the host as it stands there.
    pub(super) path: Option<PathBuf>,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Known {
    /// The algorithms of the keys that the server may show; none where it is not known.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let listed = self
            .path
            .as_ref()
            .and_then(|path| known_hosts::known_host_keys_path(&self.host, self.port, path).ok());
        let listed = listed.into_iter().flatten().map(|(_, key)| key.algorithm());
        self.pinned.iter().map(PublicKey::algorithm).chain(listed).collect()
    }

    /// Why no kind of key that is offered can be that of the server's.
    pub(super) fn refuse_kinds(&self, offered: &[String]) -> Option<String> {
        let known = self.algorithms();
        let is_known = |kind: &String| {
            known.iter().any(|known| known.as_str() == kind || (is_rsa(known) && kind.contains("rsa")))
        };
        if known.is_empty() || offered.iter().any(is_known) {
            return None;
        }
        let path = self.path.as_ref().filter(|_| self.pinned.is_empty());
        let by = path.map_or_else(|| "host_key".to_owned(), |path| path.display().to_string());
        let known = known.iter().map(Algorithm::as_str).collect::<Vec<_>>().join(", ");
        let offered = offered.join(", ");
        Some(format!("it has no key of the kind that `{by}` says, {known}; it offers {offered}: {SUSPICION}"))
    }

    /// Why a key is not the server's.
    fn refuse(&self, shown: &PublicKey) -> Option<String> {
        if self.pinned.iter().any(|key| key.key_data() == shown.key_data()) {
            return None;
        }
        let print = format!("{} {}", shown.algorithm(), shown.fingerprint(HashAlg::Sha256));
        let other = |known: &str| format!("it showed another key than `{known}` says, {print}: {SUSPICION}");
        let Some(path) = &self.path else { return Some(other("host_key")) };
        let file = path.display().to_string();
        match known_hosts::check_known_hosts_path(&self.host, self.port, shown, path) {
            Ok(true) => None,
            Ok(false) => Some(format!("`{file}` does not know it; it showed {print}")),
            Err(russh::keys::Error::KeyChanged { .. }) => Some(other(&file)),
            Err(error) => Some(format!("`{file}` cannot be read: {error}")),
        }
    }
}

/// What was seen while a connection was opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Why the server's key was refused.
    pub(super) refusal: Option<String>,
    /// What is spoken: key exchange, host key, cipher, MAC.
    pub(super) spoken: Option<String>,
}

/// Judges the server's key, and remembers what it saw.
pub(super) struct Judge {
    pub(super) known: Known,
    pub(super) seen: Arc<Mutex<Seen>>,
}

impl Judge {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl client::Handler for Judge {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let refusal = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.refuse(key),
            PublicKeyOrCertificate::Certificate(_) => {
                Some("it showed a certificate, and only keys are known here".to_owned())
            }
        };
        let is_known = refusal.is_none();
        self.note(|seen| seen.refusal = refusal);
        Ok(is_known)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        _session: &mut client::Session,
    ) -> Result<(), russh::Error> {
        let spoken = format!(
            "{}, {}, {}, {}",
            names.kex.as_ref(),
            names.key.as_str(),
            names.cipher.as_ref(),
            names.server_mac.as_ref()
        );
        self.note(|seen| seen.spoken = Some(spoken));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_key_is_read_with_its_name_its_comment_or_alone() {
        let alone = KEY.split(' ').nth(1).unwrap();
        for line in [KEY, &format!("{KEY} root@host"), alone] {
            assert!(read_key(line).is_ok(), "{line}");
        }
        for wrong in [
            "",
            "ssh-ed25519",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
        ] {
            assert!(read_key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn old_algorithms_are_spoken_only_where_they_are_named() {
        let names = |spoken: &Preferred| {
            let keys = spoken.key.iter().map(|key| key.as_str().to_owned());
            keys.chain(spoken.mac.iter().map(|mac| mac.as_ref().to_owned())).collect::<Vec<_>>()
        };
        let safe = algorithms(&[], &[]).unwrap();
        assert!(!names(&safe).iter().any(|name| name == "ssh-rsa" || name == "hmac-sha1"));
        let old = ["ssh-rsa", "hmac-sha1", "diffie-hellman-group14-sha1", "aes128-cbc"].map(str::to_owned);
        let spoken = algorithms(&old, &[]).unwrap();
        assert!(names(&spoken).iter().any(|name| name == "ssh-rsa"));
        assert!(names(&spoken).iter().any(|name| name == "hmac-sha1"));
        assert!(
            algorithms(&["none".to_owned()], &[]).is_err() && algorithms(&["rot13".to_owned()], &[]).is_err()
        );
    }

    #[test]
    fn a_pinned_key_decides_what_the_server_may_show() {
        let pinned = algorithms(&[], &[Algorithm::Ed25519]).unwrap();
        assert_eq!(pinned.key.as_ref(), [Algorithm::Ed25519]);
    }
}
