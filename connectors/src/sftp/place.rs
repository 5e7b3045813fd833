//! The folders of a server as a place where files lie.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Connections, Content, Hindered, Hindrance, Spool};

use super::{
    link::Link,
    packet::{
        Answer, CLOSE, EXTENDED, LSTAT, MKDIR, OPENDIR, READDIR, REMOVE, RENAME, RMDIR, Refusal, Request,
    },
    session::{Lost, Session},
    transfer::{self, Broken, done, odd},
};
use crate::{
    audience,
    flow::place::{Done, Entry, Fault, Kind, Location, Place, Stat},
};

/// The folders of a server.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) link: Arc<Link>,
    /// Files whose renaming was cut off: servers give the new name first and take the old one away then.
    doubtful: Arc<Mutex<HashSet<Location>>>,
    /// Its channel is shown the connection; nobody where a look is all.
    _place: Option<Arc<audience::Place>>,
}

/// A folder of the settings that lies below `dir`, unless it says its whole path.
pub(super) fn beneath(dir: &str, folder: &str) -> Location {
    if folder.starts_with('/') {
        Location::new(folder)
    } else {
        Location::new(&format!("{}/{folder}", dir.trim_end_matches('/')))
    }
}

fn path(at: &Location) -> Vec<u8> {
    let gap = if at.trail.is_empty() || at.base.ends_with('/') { "" } else { "/" };
    [at.base.as_bytes(), gap.as_bytes(), &at.trail].concat()
}

impl Remote {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, doubtful: Arc::default(), _place: None }
    }

    /// The same for a channel that is shown its connection.
    pub(super) fn shown(self, among: &Connections) -> Self {
        let place = self.link.audience.join(among);
        Self { _place: Some(Arc::new(place)), ..self }
    }

    fn doubtful(&self) -> MutexGuard<'_, HashSet<Location>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an earlier try, cut off, gave the new name already; then the old one goes.
    async fn was_renamed(&self, from: &Location, to: &Location) -> Result<bool, Broken> {
        if !self.doubtful().contains(from) {
            return Ok(false);
        }
        let session = self.link.session().await.map_err(|why| Broken::Lost(Lost(why)))?;
        let is_file = matches!(self.look_now(to).await?, (Kind::File, _));
        let is_same = is_file && transfer::same(&session, &path(from), &path(to)).await?;
        if is_same {
            done(self.ask(REMOVE, |request| request.text(&path(from))).await?)?;
            self.doubtful().remove(from);
        }
        Ok(is_same)
    }

    pub(super) async fn session(&self) -> Done<Arc<Session>> {
        self.link.session().await.map_err(Fault::Away)
    }

    async fn ask(&self, kind: u8, fill: impl FnOnce(Request) -> Request) -> Result<Answer, Broken> {
        let session = self.link.session().await.map_err(|why| Broken::Lost(Lost(why)))?;
        Ok(session.ask(kind, fill).await?)
    }

    /// Says what a refusal means; `doing` with the folder it was done in.
    pub(super) fn fault(&self, doing: &str, folder: &Location, broken: Broken) -> Fault {
        let words =
            |why: &str| format!("cannot {doing} `{folder}` on {}: {why}", self.link.server().address());
        let cannot = |why: &str| Fault::away(words(why));
        match broken {
            Broken::Lost(lost) => Fault::Away(lost.0.worded(words)),
            Broken::Refused(Refusal::Missing) => Fault::Missing,
            Broken::Refused(Refusal::Denied) => {
                Fault::Away(Hindered::by(Hindrance::SignedOut, words("permission denied")))
            }
            Broken::Refused(Refusal::Unsupported) => cannot("the server does not offer it"),
            Broken::Refused(Refusal::Failure | Refusal::End) => {
                cannot("the server says no more than `failure`: its disk may be full, or the name unfit")
            }
            Broken::Changed => Fault::Changed,
            Broken::Unfit(why) => Fault::Unfit(why),
            Broken::Here(why) => Fault::away(why),
        }
    }

    async fn list_now(&self, folder: &Location, each: &mut (dyn FnMut(Entry) + Send)) -> Result<(), Broken> {
        let session = self.link.session().await.map_err(|why| Broken::Lost(Lost(why)))?;
        let handle = match session.ask(OPENDIR, |request| request.text(&path(folder))).await? {
            Answer::Handle(handle) => handle,
            answer => return Err(odd(&answer)),
        };
        let listed = loop {
            match session.ask(READDIR, |request| request.text(&handle)).await? {
                Answer::Entries(entries) => {
                    entries.into_iter().filter(|entry| is_name(&entry.name)).for_each(&mut *each);
                }
                Answer::Refused(Refusal::End) => break Ok(()),
                answer => break Err(odd(&answer)),
            }
        };
        session.ask(CLOSE, |request| request.text(&handle)).await?;
        listed
    }

    async fn look_now(&self, at: &Location) -> Result<(Kind, Stat), Broken> {
        match self.ask(LSTAT, |request| request.text(&path(at))).await? {
            Answer::Attributes(kind, stat) => Ok((kind, stat)),
            answer => Err(odd(&answer)),
        }
    }

    /// Whether something stands under a name.
    pub(super) async fn is_there(&self, at: &Location) -> Result<bool, Broken> {
        match self.look_now(at).await {
            Ok(_) => Ok(true),
            Err(Broken::Refused(Refusal::Missing)) => Ok(false),
            Err(broken) => Err(broken),
        }
    }

    /// Gives a file another name, also that of another file.
    pub(super) async fn replace(&self, from: &Location, to: &Location) -> Result<(), Broken> {
        let session = self.link.session().await.map_err(|why| Broken::Lost(Lost(why)))?;
        let (from, to) = (path(from), path(to));
        if session.has("posix-rename@openssh.com") {
            let renamed = session
                .ask(EXTENDED, |request| request.text(b"posix-rename@openssh.com").text(&from).text(&to))
                .await?;
            return done(renamed);
        }
        match done(session.ask(REMOVE, |request| request.text(&to)).await?) {
            Ok(()) | Err(Broken::Refused(Refusal::Missing)) => {}
            Err(broken) => return Err(broken),
        }
        done(session.ask(RENAME, |request| request.text(&from).text(&to)).await?)
    }

    /// Says that a file could not be written since the disk of the server is full, where the server tells as much.
    pub(super) async fn lacks_room(
        &self,
        folder: &Location,
        bytes: usize,
        broken: &Broken,
    ) -> Option<Hindered> {
        let is_full = *broken == Broken::Refused(Refusal::Failure)
            && self.has_room(folder, bytes as u64).await == Some(false);
        is_full.then(|| {
            let why = format!("no space left in `{folder}` on {}", self.link.server().address());
            Hindered::by(Hindrance::NoRoom, why)
        })
    }

    /// Whether the disk of the server has room for so many bytes, where it says so.
    async fn has_room(&self, folder: &Location, bytes: u64) -> Option<bool> {
        let session = self.link.session().await.ok()?;
        if !session.has("statvfs@openssh.com") {
            return None;
        }
        let asked =
            session.ask(EXTENDED, |request| request.text(b"statvfs@openssh.com").text(&path(folder))).await;
        let Ok(Answer::Extended(reply)) = asked else { return None };
        // Block size, fragment size, blocks, free ones, those free for us.
        let number =
            |place: usize| Some(u64::from_be_bytes(reply.get(place * 8..place * 8 + 8)?.try_into().ok()?));
        Some(number(1)?.saturating_mul(number(4)?) > bytes)
    }

    async fn make_now(&self, at: &Location) -> Result<(), Broken> {
        let whole = path(at);
        if let Answer::Done = self.ask(MKDIR, |request| request.text(&whole).number(0)).await? {
            return Ok(());
        }
        if let Ok((Kind::Folder, _)) = self.look_now(at).await {
            return Ok(());
        }
        let ends = whole.iter().enumerate().filter(|(place, byte)| **byte == b'/' && *place > 0);
        let ends = ends.map(|(place, _)| place).chain([whole.len()]).collect::<Vec<_>>();
        for end in ends {
            let made = self.ask(MKDIR, |request| request.text(&whole[..end]).number(0)).await?;
            match (made, end == whole.len()) {
                (Answer::Done, _) | (Answer::Refused(_), false) => {}
                // It may have been there.
                (Answer::Refused(refusal), true) => match self.look_now(at).await {
                    Ok((Kind::Folder, _)) => {}
                    Ok(_) => {
                        return Err(Broken::Unfit(
                            "a link or a file stands where a folder should".to_owned(),
                        ));
                    }
                    Err(_) => return Err(Broken::Refused(refusal)),
                },
                (answer, _) => return Err(odd(&answer)),
            }
        }
        Ok(())
    }
}

/// A server that names what is none is not believed.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

#[async_trait]
impl Place for Remote {
    async fn list(&self, folder: &Location, each: &mut (dyn FnMut(Entry) + Send)) -> Done {
        let listed = self.list_now(folder, each).await;
        listed.map_err(|broken| self.fault("list", folder, broken)).map_err(|fault| match fault {
            // Of the folder itself that is a state; of one below, that it went meanwhile.
            Fault::Missing if folder.trail.is_empty() => {
                Fault::away(format!("there is no folder `{folder}` on {}", self.link.server().address()))
            }
            fault => fault,
        })
    }

    async fn look(&self, at: &Location) -> Done<(Kind, Stat)> {
        self.look_now(at).await.map_err(|broken| self.fault("look into", &at.folder(), broken))
    }

    async fn read(&self, at: &Location, longest: u64, spool: Spool) -> Done<(Content, Stat)> {
        // A link would be followed by the server: it is looked at first.
        let (kind, _) = self.look(at).await?;
        if kind != Kind::File {
            return Err(Fault::Unfit("it is no file".to_owned()));
        }
        let session = self.session().await?;
        let read = transfer::read_into(&session, &path(at), longest, spool).await;
        read.map_err(|broken| match broken {
            Broken::Refused(Refusal::Denied) => Fault::Closed("permission denied".to_owned()),
            broken => self.fault("read a file in", &at.folder(), broken),
        })
    }

    async fn write(&self, at: &Location, bytes: &Bytes) -> Done {
        let Err(broken) = self.put(at, &bytes.clone().into()).await else { return Ok(()) };
        let folder = at.folder();
        match self.lacks_room(&folder, bytes.len(), &broken).await {
            Some(why) => Err(Fault::Away(why)),
            None => Err(self.fault("write to", &folder, broken)),
        }
    }

    async fn rename(&self, from: &Location, to: &Location) -> Done {
        let (old, new) = (path(from), path(to));
        let renamed = self.ask(RENAME, |request| request.text(&old).text(&new)).await.and_then(done);
        let Err(broken) = renamed else { return Ok(()) };
        if matches!(broken, Broken::Lost(_)) {
            self.doubtful().insert(from.clone());
        }
        // The protocol says no more than `failure` where the name is taken.
        if broken == Broken::Refused(Refusal::Failure) && self.is_there(to).await == Ok(true) {
            let was_renamed = self.was_renamed(from, to).await;
            let was_renamed =
                was_renamed.map_err(|broken| self.fault("move a file to", &to.folder(), broken))?;
            return if was_renamed { Ok(()) } else { Err(Fault::Taken) };
        }
        Err(self.fault("move a file to", &to.folder(), broken))
    }

    async fn rename_to_own(&self, from: &Location, to: &Location) -> Done {
        let Err(broken) = self.replace(from, to).await else { return Ok(()) };
        let is_refused = matches!(broken, Broken::Refused(Refusal::Denied | Refusal::Failure));
        Err(match self.fault("move a file to", &to.folder(), broken) {
            // Some servers let nobody move a file that is still being written: the others they do.
            Fault::Away(why) if is_refused => Fault::Closed(why.words),
            fault => fault,
        })
    }

    async fn remove(&self, at: &Location) -> Done {
        let removed = self.ask(REMOVE, |request| request.text(&path(at))).await.and_then(done);
        removed.map_err(|broken| self.fault("remove a file from", &at.folder(), broken))
    }

    async fn make_folder(&self, at: &Location) -> Done {
        self.make_now(at).await.map_err(|broken| self.fault("make", at, broken))
    }

    async fn remove_folder(&self, at: &Location) -> Done {
        match self.ask(RMDIR, |request| request.text(&path(at))).await {
            Ok(_) => Ok(()),
            Err(broken) => Err(self.fault("remove a folder from", &at.folder(), broken)),
        }
    }

    /// SFTP has no word for it; what the server's disk keeps is the server's.
    async fn settle(&self, _folders: &[Location]) -> Done {
        Ok(())
    }
}

impl Remote {
    /// Whether a file holds this body. One that cannot be read is another one.
    pub(super) async fn holds(&self, at: &Location, body: &Content) -> Result<bool, Broken> {
        let (kind, stat) = self.look_now(at).await?;
        if kind != Kind::File || stat.size != body.len() as u64 {
            return Ok(false);
        }
        let session = self.link.session().await.map_err(|why| Broken::Lost(Lost(why)))?;
        match transfer::holds(&session, &path(at), body).await {
            Err(Broken::Refused(_) | Broken::Changed | Broken::Unfit(_)) => Ok(false),
            held => held,
        }
    }

    /// Writes a file under a name of ours; goes on where an earlier try was cut.
    pub(super) async fn put(&self, at: &Location, body: &Content) -> Result<(), Broken> {
        let stands = match self.look_now(at).await {
            Ok((Kind::File, stat)) if stat.size <= body.len() as u64 => stat.size,
            Ok(_) | Err(Broken::Refused(_)) => 0,
            Err(broken) => return Err(broken),
        };
        let session = self.link.session().await.map_err(|why| Broken::Lost(Lost(why)))?;
        transfer::write(&session, &path(at), body, stands).await
    }
}
