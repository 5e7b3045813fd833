//! What one run needs, looked up and written before the program starts.

use std::{
    fmt::Display,
    path::{Component, Path, PathBuf},
};

use engine::{Outbound, SendError};
use serde_json::Value;

use super::{
    account::Account,
    answer::Place,
    input::InputFile,
    program,
    settings::{Answer, Input, Settings},
};
use crate::file::name::Name;

/// One run, made ready.
pub(super) struct Ready {
    pub(super) program: PathBuf,
    pub(super) account: Option<Account>,
    pub(super) file: Option<InputFile>,
    pub(super) answer: Option<Place>,
}

impl Ready {
    /// Looks up what may be missing now, and writes what the program reads. Works on the disk.
    pub(super) fn new(settings: &Settings, root: &Path, outbound: &Outbound) -> Result<Self, SendError> {
        let account = account(settings).map_err(SendError::not_delivered)?;
        let program = program::find(root, &settings.run[0].0).map_err(SendError::not_delivered)?;
        let answer = place(settings, root, outbound).transpose().map_err(SendError::refused)?;
        if let Some(place) = &answer {
            if is_inside(settings) {
                place.make_folder().map_err(|error| cannot("make the folder of the answer", error))?;
            }
            place.clear().map_err(|error| cannot("clear the place of the answer", error))?;
        }
        let file = match settings.input {
            Input::Stdin => None,
            Input::File => {
                let written = InputFile::write(outbound, &usual_name(outbound), account.as_ref());
                Some(written.map_err(|error| cannot("write the message to a file", error))?)
            }
        };
        Ok(Self { program, account, file, answer })
    }
}

/// The user it runs as, where it is one that may be.
pub(super) fn account(settings: &Settings) -> Result<Option<Account>, String> {
    let account = settings.user.as_deref().map(Account::find).transpose()?;
    account.as_ref().map_or(Ok(()), Account::allowed)?;
    Ok(account)
}

/// What the source calls the file that the message came in.
pub(super) fn file_name(outbound: &Outbound) -> Option<&str> {
    outbound.source.get("name").and_then(Value::as_str)
}

fn usual_name(outbound: &Outbound) -> String {
    let name = file_name(outbound).and_then(|name| Name::read(name).ok());
    name.map_or_else(|| "message".to_owned(), |name| name.file)
}

/// Whether the folder of the answer is one of the project: elsewhere a missing one may be a disk that is not there.
fn is_inside(settings: &Settings) -> bool {
    let Answer::File(file) = &settings.answer else { return false };
    Path::new(&file.dir).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn place(settings: &Settings, root: &Path, outbound: &Outbound) -> Option<Result<Place, String>> {
    let Answer::File(file) = &settings.answer else { return None };
    let usual = format!("{}-{:.8}.answer", outbound.message, outbound.effect.to_string());
    let written = file.name.as_deref().unwrap_or(&usual);
    Some(Place::new(&root.join(&file.dir), outbound.text("answer.name", written)))
}

fn cannot(what: &str, error: impl Display) -> SendError {
    SendError::not_delivered(format!("cannot {what}: {error}"))
}
