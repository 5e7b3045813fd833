//! The server's own files beside the store: which of them a backup holds, and whether they can be read.

use std::{fs, path::Path, sync::Arc};

use store::{Beside, Directory, Fault, Report};

use crate::{accounts, alerts, audit, in_force, versions};

/// Those that a backup holds. The API's key is left out: whoever has a copy would have the server. So is what tells of
/// one run alone (`address`, `certificate`, `lock`, `marks`, `growth`).
const FILES: [&str; 8] = [
    in_force::FILE,
    accounts::FILE,
    audit::FILE,
    alerts::EPISODES,
    alerts::TOLD,
    alerts::RHYTHMS,
    versions::FILE,
    // What sources know of what they have taken, and how far they have looked.
    "notes",
];

/// What a backup holds beside messages.
pub(crate) fn of(directory: &Arc<Directory>) -> Beside {
    Beside { directory: Some(Arc::clone(directory)), files: &FILES }
}

/// Whether those that are there can be read.
pub(crate) fn verify(folder: &Path, report: &mut Report) {
    for name in FILES {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        report.files += 1;
        let wrong = if name == audit::FILE {
            audit::verify(folder, None).err().map(|broken| broken.words)
        } else {
            let read = fs::read(&path).map_err(|error| error.to_string());
            let read = read.and_then(|text| {
                serde_json::from_slice::<serde::de::IgnoredAny>(&text).map_err(|error| error.to_string())
            });
            read.err()
        };
        if let Some(what) = wrong {
            report.faults.push(Fault { file: name.to_owned(), what, messages: Vec::new() });
        }
    }
}
