//! Puts a whole file in its place on a server: written under a hidden name, looked at, then shown.

use engine::{Content, SendError};

use super::{packet::Refusal, place::Remote, transfer::Broken};
use crate::{
    file::name::{Name, numbered},
    flow::{
        Existing,
        place::{Fault, Kind, Location, Place},
    },
};

/// One file on its way.
pub(super) struct Putting<'a> {
    pub(super) remote: &'a Remote,
    pub(super) dir: &'a Location,
    pub(super) name: &'a Name,
    /// The name under which it is written: the same at each try.
    pub(super) hidden: &'a str,
    pub(super) body: &'a Content,
    pub(super) existing: Existing,
}

impl Putting<'_> {
    /// Returns the name that the file got.
    pub(super) async fn run(&self) -> Result<String, SendError> {
        let folder = self.folder().await?;
        let mut number = 0;
        if let Some(name) = self.free_or_same(&folder, &mut number).await? {
            return Ok(name);
        }
        let hidden = folder.join(self.hidden.as_bytes());
        self.write(&folder, &hidden).await?;
        loop {
            let name = numbered(&self.name.file, number);
            let to = folder.join(name.as_bytes());
            let shown = match self.existing {
                Existing::Replace => {
                    let replaced = self.remote.replace(&hidden, &to).await;
                    replaced.map_err(|broken| self.remote.fault("put a file in", &folder, broken))
                }
                Existing::Number | Existing::Refuse => self.remote.rename(&hidden, &to).await,
            };
            match shown {
                Ok(()) => return Ok(name),
                Err(Fault::Taken) => {
                    if let Some(same) = self.free_or_same(&folder, &mut number).await? {
                        // It is written over at the next try if it stays.
                        let _ = self.remote.remove(&hidden).await;
                        return Ok(same);
                    }
                }
                // The answer may be what was lost.
                Err(Fault::Away(why)) => return Err(SendError::unknown(why)),
                Err(fault) => return Err(SendError::not_delivered(fault)),
            }
        }
    }

    /// The folder of the file. Those below `dir` are made; a missing `dir` may be a disk that is not there.
    async fn folder(&self) -> Result<Location, SendError> {
        let address = || self.remote.link.server().address();
        match self.remote.look(self.dir).await {
            Err(Fault::Missing) => {
                let why = format!("there is no folder `{}` on {}", self.dir, address());
                return Err(SendError::not_delivered(why));
            }
            Err(fault) => return Err(SendError::not_delivered(fault)),
            // It may be a link that the server's people made.
            Ok(_) => {}
        }
        let folder =
            self.name.folders.iter().fold(self.dir.clone(), |folder, part| folder.join(part.as_bytes()));
        if folder == *self.dir {
            return Ok(folder);
        }
        let mut beneath = self.dir.clone();
        for part in &self.name.folders {
            beneath = beneath.join(part.as_bytes());
            match self.remote.look(&beneath).await {
                Ok((Kind::Folder, _)) => {}
                Ok(_) => {
                    let why = "a part of the file's name is a link or a file, not a folder";
                    return Err(SendError::refused(why));
                }
                Err(Fault::Missing) => {
                    let made = self.remote.make_folder(&beneath).await;
                    made.map_err(SendError::not_delivered)?;
                }
                Err(fault) => return Err(SendError::not_delivered(fault)),
            }
        }
        Ok(folder)
    }

    /// Moves the number on to a name that nothing has; the name, if our bytes stand there already.
    async fn free_or_same(&self, folder: &Location, number: &mut u32) -> Result<Option<String>, SendError> {
        loop {
            let name = numbered(&self.name.file, *number);
            let at = folder.join(name.as_bytes());
            let there = match self.remote.holds(&at, self.body).await {
                Ok(same) => Some(same),
                Err(Broken::Refused(Refusal::Missing)) => None,
                Err(broken) => {
                    let fault = self.remote.fault("look into", folder, broken);
                    return Err(SendError::not_delivered(fault));
                }
            };
            match (there, self.existing) {
                (None, _) | (Some(false), Existing::Replace) => return Ok(None),
                (Some(true), _) => return Ok(Some(name)),
                (Some(false), Existing::Number) => *number += 1,
                (Some(false), Existing::Refuse) => {
                    return Err(SendError::refused("a file of this name holds something else"));
                }
            }
        }
    }

    async fn write(&self, folder: &Location, hidden: &Location) -> Result<(), SendError> {
        let Err(broken) = self.remote.put(hidden, self.body).await else { return Ok(()) };
        if let Some(why) = self.remote.lacks_room(folder, self.body.len(), &broken).await {
            // What was written takes room that nobody has.
            let _ = self.remote.remove(hidden).await;
            return Err(SendError::not_delivered(why));
        }
        Err(SendError::not_delivered(self.remote.fault("write to", folder, broken)))
    }
}
