//! Puts a file away by what became of it: moved under a name that nothing has, deleted, or left and noted.

use std::sync::{Mutex, PoisonError};

use jiff::Zoned;

use super::{
    away::{Away, Lies, Note, Written},
    claims::Claimed,
    hand_over::Verdict,
    ledger::{Ledger, random},
    place::{Done, Fault, LONGEST, Location, Place, Stat, shown},
    settings::{Dated, Folders, Taking},
};

/// So many numbers are tried for a name that is taken; then one is drawn.
const NUMBERS: u32 = 20;

/// Where files go.
pub(super) struct Finish<'a> {
    pub(super) place: &'a dyn Place,
    pub(super) taking: &'a Taking,
    pub(super) folders: &'a Folders,
    pub(super) away: &'a Away,
}

/// What became of a file.
pub(super) struct Became<'a> {
    pub(super) verdict: Verdict,
    /// How it stood when it was read.
    pub(super) read: Option<Stat>,
    pub(super) why: Option<&'a str>,
    /// Those of its messages that did not get through.
    pub(super) messages: Vec<u64>,
}

impl Finish<'_> {
    /// Puts a file away, and says where it is now, for people. A file that was written to meanwhile goes back to be taken anew.
    pub(super) async fn put_away(
        &self,
        claimed: &Claimed,
        became: &Became<'_>,
        ledger: &Mutex<Ledger>,
    ) -> Done<String> {
        let now = match self.place.look(&claimed.at).await {
            Ok((_, stat)) => stat,
            Err(Fault::Missing) => {
                self.tidy(claimed).await?;
                return self.find_again(claimed, became).await;
            }
            Err(fault) => return Err(fault),
        };
        let verdict = became.verdict;
        let words = if became.read.is_some_and(|read| read != now) {
            self.give_back(claimed).await?;
            "changed after it was read, to be taken again".to_owned()
        } else {
            match self.folder_for(verdict) {
                Some(folder) => self.move_to(folder, claimed, (became, now)).await?,
                None if verdict == Verdict::Done && self.taking.deletes() => self.delete(claimed).await?,
                None => self.leave(claimed, (became, now), ledger).await?,
            }
        };
        self.tidy(claimed).await?;
        Ok(words)
    }

    fn folder_for(&self, verdict: Verdict) -> Option<&Location> {
        match verdict {
            Verdict::Done => self.folders.done.as_ref(),
            Verdict::Refused => self.folders.refused.as_ref(),
            Verdict::Failed | Verdict::NotNow => self.folders.failed.as_ref(),
        }
    }

    /// Where a file lies that an earlier try had put away although its answer was cut off; somebody else may have, too.
    async fn find_again(&self, claimed: &Claimed, became: &Became<'_>) -> Done<String> {
        let Some(folder) = self.folder_for(became.verdict) else { return Ok("gone".to_owned()) };
        let folder = self.part_of(folder, claimed);
        for number in 0..=NUMBERS {
            let at = folder.join(&numbered(claimed.from.name(), number));
            match self.place.look(&at).await {
                Ok((_, stat)) if became.read == Some(stat) => return Ok(moved(became.verdict, &at)),
                Ok(_) => {}
                Err(Fault::Missing) => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok("gone".to_owned())
    }

    /// The folder below, as the flow parts what it puts away.
    fn part_of(&self, folder: &Location, claimed: &Claimed) -> Location {
        let folder = match self.taking.dated {
            Dated::None => folder.clone(),
            Dated::Day => folder.join(Zoned::now().strftime("%Y-%m-%d").to_string().as_bytes()),
            Dated::Month => folder.join(Zoned::now().strftime("%Y-%m").to_string().as_bytes()),
        };
        folder.join(&claimed.from.folder().trail)
    }

    async fn move_to(
        &self,
        folder: &Location,
        claimed: &Claimed,
        (became, stat): (&Became<'_>, Stat),
    ) -> Done<String> {
        let folder = self.part_of(folder, claimed);
        let name = claimed.from.name();
        if became.verdict == Verdict::Done {
            let to = rename_freely(self.place, &claimed.at, (&folder, name)).await?;
            return Ok(moved(became.verdict, &to));
        }
        let state = if became.verdict == Verdict::Refused { Lies::Refused } else { Lies::Failed };
        // The note goes first: a file that lies there without one is nobody's.
        let to = rename_telling(
            self.place,
            &claimed.at,
            (&folder, name),
            Some(&|to: &Location| {
                self.remember(claimed, (became, state), (to, stat));
            }),
        )
        .await?;
        // On another disk it has another time.
        if let Ok((_, now)) = self.place.look(&to).await
            && now != stat
        {
            self.remember(claimed, (became, state), (&to, now));
        }
        Ok(moved(became.verdict, &to))
    }

    /// Notes why a file lies where it does. Without the note a person must name the file to have it taken up again.
    fn remember(
        &self,
        claimed: &Claimed,
        (became, state): (&Became<'_>, Lies),
        (at, stat): (&Location, Stat),
    ) {
        let sweep = claimed.mark.map(|_| shown(claimed.sweep().name()));
        let note = Note {
            at: Written::of(at),
            from: Written::of(&claimed.from),
            sweep,
            state,
            size: stat.size,
            modified: stat.modified,
            messages: became.messages.clone(),
            why: became.why.map(str::to_owned),
        };
        if let Err(error) = self.away.note(&note) {
            tracing::warn!(%error, "cannot note why a file was put away; `relais retry` takes it up by its name alone");
        }
    }

    async fn delete(&self, claimed: &Claimed) -> Done<String> {
        match self.place.remove(&claimed.at).await {
            Ok(()) | Err(Fault::Missing) => Ok("deleted".to_owned()),
            Err(fault) => Err(fault),
        }
    }

    /// The note goes first: a file that lies there again without it would be taken for a new one.
    async fn leave(
        &self,
        claimed: &Claimed,
        (became, stat): (&Became<'_>, Stat),
        ledger: &Mutex<Ledger>,
    ) -> Done<String> {
        let is_wrong = became.verdict != Verdict::Done;
        note(ledger, &claimed.from, stat).map_err(not_noted)?;
        if claimed.mark.is_none() {
            if is_wrong {
                self.remember(claimed, (became, Lies::Left), (&claimed.from, stat));
            }
            return Ok("left where it is".to_owned());
        }
        let mut number = 0;
        loop {
            let to = claimed.from.folder().join(&numbered(claimed.from.name(), number));
            if number > 0 {
                note(ledger, &to, stat).map_err(not_noted)?;
            }
            if is_wrong {
                self.remember(claimed, (became, Lies::Left), (&to, stat));
            }
            match self.place.rename(&claimed.at, &to).await {
                Ok(()) => return Ok(format!("left as {to}")),
                Err(Fault::Taken) => number += 1,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Puts a file back where it lay; beside the one that has come under its name meanwhile.
    pub(super) async fn give_back(&self, claimed: &Claimed) -> Done {
        if claimed.mark.is_some() {
            rename_freely(self.place, &claimed.at, (&claimed.from.folder(), claimed.from.name())).await?;
        }
        if let Some(companion) = &claimed.companion
            && claimed.mark.is_some()
        {
            rename_freely(self.place, companion, (&claimed.from.folder(), companion.name())).await?;
        }
        self.clear(claimed).await
    }

    /// Removes the folders that it was claimed in, where nothing else is left there.
    async fn clear(&self, claimed: &Claimed) -> Done {
        if claimed.is_answered() {
            self.place.remove_folder(&claimed.at.folder()).await?;
        }
        if claimed.mark.is_some() { self.place.remove_folder(&claimed.sweep()).await } else { Ok(()) }
    }

    /// The companion of a claimed file has done its work; the folder that held both is empty.
    async fn tidy(&self, claimed: &Claimed) -> Done {
        if claimed.mark.is_none() {
            return Ok(());
        }
        if let Some(companion) = &claimed.companion {
            match self.place.remove(companion).await {
                Ok(()) | Err(Fault::Missing) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.clear(claimed).await
    }
}

/// Moves a file into a folder under its name, or with a number where that is taken.
pub(super) async fn rename_freely(
    place: &dyn Place,
    from: &Location,
    to: (&Location, &[u8]),
) -> Done<Location> {
    rename_telling(place, from, to, None).await
}

/// The same; `tells` hears a name that is free before it is tried.
async fn rename_telling(
    place: &dyn Place,
    from: &Location,
    (folder, name): (&Location, &[u8]),
    tells: Option<&(dyn Fn(&Location) + Sync)>,
) -> Done<Location> {
    let mut number = 0;
    let mut is_made = false;
    loop {
        let to = folder.join(&numbered(name, number));
        if let Some(tells) = tells {
            if place.look(&to).await.is_ok() {
                number += 1;
                continue;
            }
            tells(&to);
        }
        match place.rename(from, &to).await {
            Ok(()) => return Ok(to),
            Err(Fault::Taken) => number += 1,
            Err(Fault::Missing) if !is_made => {
                place.make_folder(folder).await?;
                is_made = true;
            }
            Err(fault) => return Err(fault),
        }
    }
}

fn moved(verdict: Verdict, to: &Location) -> String {
    if verdict == Verdict::Done { format!("archived, moved to {to}") } else { format!("moved to {to}") }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(super) fn not_noted(error: std::io::Error) -> Fault {
    Fault::away(format!("cannot write the notes of what was taken: {error}"))
}

fn note(ledger: &Mutex<Ledger>, at: &Location, stat: Stat) -> std::io::Result<()> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner).note(at, stat)
}

/// The name with a number before its last ending: `a.hl7`, `a-1.hl7`; after so many, one that nobody has.
fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    let mark = match number {
        0 => return name.to_vec(),
        1..=NUMBERS => format!("-{number}"),
        _ => format!("-{}", random()),
    };
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    // An ending that fills the name alone is cut like the rest.
    let ending = if ending.len() + mark.len() >= LONGEST { &[] } else { ending };
    let room = LONGEST - ending.len() - mark.len();
    [&stem[..stem.len().min(room)], mark.as_bytes(), ending].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_before_the_ending_and_the_name_stays_short_enough() {
        assert_eq!(numbered(b"a.b.hl7", 0), b"a.b.hl7");
        assert_eq!(numbered(b"a.b.hl7", 2), b"a.b-2.hl7");
        assert_eq!(numbered(b"plain", 1), b"plain-1");
        let long = [b"x".repeat(251).as_slice(), b".hl7"].concat();
        assert_eq!(numbered(&long, 1).len(), LONGEST);
        assert_ne!(numbered(b"a", NUMBERS + 1), numbered(b"a", NUMBERS + 1));
    }
}
