//! Writes the answer to a file, once, also where a crash comes in between.
//!
//! The answer is written beside the claimed file first. Then the file moves to `answered`, by one rename, and the answer to
//! where it belongs, by another. Found after a crash, a file in `answered` without an answer beside it has given it already.

use bytes::Bytes;

use super::{
    claims::{ANSWERED, Claimed},
    finish::{Finish, rename_freely},
    place::{Done, Fault, Location},
    settings::AnswerFile,
};

/// How answers are given.
pub(super) struct Answering<'a> {
    pub(super) finish: Finish<'a>,
    pub(super) settings: &'a AnswerFile,
}

impl Answering<'_> {
    /// Gives the answer, if it is not given yet; says where it lies.
    pub(super) async fn give(&self, claimed: &mut Claimed, words: Option<&Bytes>) -> Done<Option<Location>> {
        let Some(mark) = claimed.mark else { return Ok(None) };
        let answered = claimed.sweep().join(ANSWERED);
        let written = answered.join(format!(".{:.32}", mark.to_string()).as_bytes());
        let place = self.finish.place;
        if !claimed.is_answered() {
            let Some(words) = words else { return Ok(None) };
            place.make_folder(&answered).await?;
            place.write(&written, words).await?;
            let to = answered.join(claimed.at.name());
            place.rename_to_own(&claimed.at, &to).await?;
            claimed.at = to;
            place.settle(&[answered, claimed.sweep()]).await?;
        }
        match place.look(&written).await {
            Ok(_) => {}
            Err(Fault::Missing) => return Ok(None),
            Err(fault) => return Err(fault),
        }
        let beside = claimed.from.folder();
        let folder = self.finish.folders.answers.as_ref().unwrap_or(&beside);
        let name = self.settings.name_for(claimed.from.name());
        rename_freely(place, &written, (folder, &name)).await.map(Some)
    }
}
