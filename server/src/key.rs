//! How commands on this machine reach the running server: its address and a key, in the store's folder.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::accounts::secret::{fresh, same};

/// Opens everything under `/api/`. Never printed or logged.
#[derive(Clone)]
pub(crate) struct Key(String);

impl Key {
    /// The key in `folder`, made at the first start. Only its owner can read the file.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let path = key_file(folder);
        match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = fresh()?;
                write_for_owner(&path, &key)?;
                Ok(Self(key))
            }
            Ok(key) if key.is_empty() => {
                Err(io::Error::other(format!("{} is empty; remove it", path.display())))
            }
            read => read.map(Self),
        }
    }

    /// Compares in a time that does not tell how much was right: digests, all their bytes.
    pub(crate) fn fits(&self, offered: &str) -> bool {
        let (ours, theirs) = (Sha256::digest(&self.0), Sha256::digest(offered));
        same(&ours, &theirs)
    }
}

/// The key that a server with its store in `folder` made.
pub(crate) fn read_key(folder: &Path) -> io::Result<String> {
    read(&key_file(folder))
}

/// Where the server with its store in `folder` listens; as it wrote when it began to.
pub(crate) fn read_address(folder: &Path) -> io::Result<String> {
    read(&folder.join("address"))
}

/// `certificate`: the file of the one that it shows there, where it listens by TLS.
pub(crate) fn write_address(folder: &Path, address: &str, certificate: Option<&Path>) -> io::Result<()> {
    let _ = fs::remove_file(folder.join("certificate"));
    if let Some(certificate) = certificate {
        write_for_owner(&folder.join("certificate"), &certificate.to_string_lossy())?;
    }
    write_for_owner(&folder.join("address"), address)
}

/// The file of the certificate that the server shows, where it listens by TLS.
pub(crate) fn read_certificate(folder: &Path) -> Option<PathBuf> {
    read(&folder.join("certificate")).ok().map(PathBuf::from)
}

/// Takes the address away, so that commands say that no server runs.
pub(crate) fn forget_address(folder: &Path) {
    let _ = fs::remove_file(folder.join("address"));
    let _ = fs::remove_file(folder.join("certificate"));
}

fn key_file(folder: &Path) -> PathBuf {
    folder.join("key")
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Written beside and put in place: a reader never sees half of it.
pub(crate) fn write_for_owner(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::of(folder.path()).unwrap();
        let again = Key::of(folder.path()).unwrap();
        assert!(key.fits(&again.0));
        assert_eq!(read_key(folder.path()).unwrap(), key.0);
        assert_eq!(key.0.len(), 64);
        let mode = fs::metadata(key_file(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn only_the_whole_key_fits() {
        let key = Key("abc".to_owned());
        assert!(key.fits("abc"));
        for wrong in ["", "ab", "abd", "abcd"] {
            assert!(!key.fits(wrong), "`{wrong}` opened the door");
        }
    }

    #[test]
    fn an_address_is_there_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        write_address(folder.path(), "http://127.0.0.1:1", Some(Path::new("/server.pem"))).unwrap();
        assert_eq!(read_certificate(folder.path()), Some(PathBuf::from("/server.pem")));
        write_address(folder.path(), "http://127.0.0.1:1", None).unwrap();
        assert_eq!(read_certificate(folder.path()), None);
        assert_eq!(read_address(folder.path()).unwrap(), "http://127.0.0.1:1");
        forget_address(folder.path());
        assert!(read_address(folder.path()).is_err());
    }
}
