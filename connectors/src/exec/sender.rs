//! Runs the program for each delivery, and tells how it went.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use engine::{
    Destination, Hash, Hindered, Hindrance, LateAnswer, OpenError, Opening, Outbound, Response, SendError,
};

use super::{
    answer::{Left, Place},
    command::Start,
    input,
    meaning::{End, Meaning},
    output::{Kept, Whole},
    program,
    ready::{Ready, account, file_name},
    run::{Lost, Patience, Ran, Stdout, run},
    running::{self, MARK, Marked},
    said,
    settings::{Answer, AnswerWord, Input, Settings},
};

/// Sends messages to one program.
pub(super) struct Sender {
    settings: Arc<Settings>,
    channel: Arc<str>,
    root: PathBuf,
    /// Runs that an engine before this one started and that still run.
    outlived: Mutex<Vec<Marked>>,
    /// What runs wrote whose message was not sent.
    said: Mutex<Vec<LateAnswer>>,
}

impl Sender {
    pub(super) fn open(settings: Settings, opening: &Opening) -> Result<Self, OpenError> {
        let root = std::path::absolute(&opening.root)
            .map_err(|error| OpenError::new(format!("cannot tell where the project is: {error}")))?;
        if settings.input == Input::File {
            input::clear();
        }
        Ok(Self {
            settings: Arc::new(settings),
            channel: Arc::clone(&opening.channel),
            root,
            outlived: Mutex::new(running::with(MARK)),
            said: Mutex::default(),
        })
    }

    /// Whether the program could be run.
    pub(super) fn reach(&self) -> Result<(), String> {
        account(&self.settings)?;
        program::find(&self.root, &self.settings.run[0].0)?;
        let dir = self.root.join(&self.settings.dir);
        if dir.is_dir() { Ok(()) } else { Err(format!("there is no folder `{}`", self.settings.dir)) }
    }

    /// The same for each run of this destination for this message, in whichever engine of this project.
    fn mark(&self, outbound: &Outbound) -> String {
        let run: Vec<&str> = self.settings.run.iter().map(|text| text.0.as_str()).collect();
        let (root, run) = (self.root.as_os_str().as_encoded_bytes(), run.join("\0"));
        let message = outbound.message.0.to_be_bytes();
        let hash = Hash::of(&[root, self.channel.as_bytes(), run.as_bytes(), &message]);
        format!("{:.32}", hash.to_string())
    }

    /// An engine that was killed leaves its programs running: a second run waits for the end of the first.
    fn wait_for_outlived(&self, mark: &str) -> Result<(), SendError> {
        let mut outlived = self.outlived.lock().unwrap_or_else(PoisonError::into_inner);
        outlived.retain(|one| one.still_runs(MARK));
        outlived.iter().find(|one| one.value == mark).map_or(Ok(()), |one| {
            let process = one.process;
            Err(SendError::not_delivered(format!(
                "an earlier run for this message has not ended: process {process} outlived the engine that started it"
            )))
        })
    }

    async fn ready(&self, outbound: &Outbound) -> Result<Ready, SendError> {
        let (settings, root, outbound) = (Arc::clone(&self.settings), self.root.clone(), outbound.clone());
        let made = tokio::task::spawn_blocking(move || Ready::new(&settings, &root, &outbound)).await;
        made.unwrap_or_else(|error| {
            Err(SendError::not_delivered(format!("the work on the disk did not end: {error}")))
        })
    }

    async fn run(&self, outbound: &Outbound, ready: &Ready, mark: String) -> Result<Ran, SendError> {
        let settings = &self.settings;
        let start = Start {
            settings,
            program: &ready.program,
            dir: &self.root.join(&settings.dir),
            account: ready.account.as_ref(),
            own: self.variables(outbound, ready, mark),
            file: ready.file.as_ref().map(|file| file.path.as_path()),
        };
        let command = start.command(outbound).map_err(SendError::refused)?;
        let kept = || Kept::both_ends(settings.output.0);
        let stdout = match settings.answer {
            Answer::Word(AnswerWord::Stdout) => Stdout::Answer(Whole::up_to(settings.max_size.0)),
            _ => Stdout::Kept(kept()),
        };
        let input = if settings.input == Input::Stdin { outbound.body.whole()? } else { Bytes::new() };
        let patience = Patience { run: settings.timeout.0, grace: settings.grace.0 };
        run(command, input, (stdout, kept()), patience).await.map_err(|lost| match lost {
            Lost::Start(error) => {
                let program = ready.program.display();
                let why = format!("cannot start `{program}`: {error}");
                SendError::not_delivered(Hindered::by(Hindrance::CannotConnect, why))
            }
            Lost::End(error) => {
                SendError::unknown(format!("nobody could see how the program ended: {error}"))
            }
        })
    }

    fn variables(&self, outbound: &Outbound, ready: &Ready, mark: String) -> Vec<(&'static str, String)> {
        let shown = |path: &Path| path.display().to_string();
        let mut own = vec![
            ("RELAIS_CHANNEL", self.channel.to_string()),
            ("RELAIS_MESSAGE", outbound.message.to_string()),
            ("RELAIS_EFFECT", outbound.effect.to_string()),
            ("RELAIS_ATTEMPT", outbound.attempt.to_string()),
            (MARK, mark),
        ];
        own.extend(file_name(outbound).map(|name| ("RELAIS_FILE_NAME", name.to_owned())));
        own.extend(ready.file.as_ref().map(|file| (running::FILE, shown(&file.path))));
        own.extend(ready.answer.as_ref().map(|place| ("RELAIS_ANSWER", shown(&place.path))));
        own
    }

    /// What the end of a run means for its message.
    async fn conclude(
        &self,
        outbound: &Outbound,
        ran: Ran,
        answer: Option<Place>,
    ) -> Result<Response, SendError> {
        let meaning = ran.end.meaning(&self.settings.exit);
        let mut why = self.words(&ran);
        if meaning == Meaning::Sent {
            match self.left(answer).await {
                Ok(left) => return Ok(said::response(&ran, left)),
                Err(error) => why = format!("{why}, but its answer cannot be read: {error}"),
            }
        }
        let late = LateAnswer { delivery: outbound.id, response: said::of_failure(&ran, outbound.attempt) };
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(late);
        Err(match (meaning, ran.end) {
            (Meaning::Retry, _) => SendError::not_delivered(why),
            (Meaning::Refused, End::Exit(code)) => {
                SendError::Refused { why, code: Some(code.to_string()), response: said::of_refusal(&ran) }
            }
            _ => SendError::unknown(why),
        })
    }

    /// The file that was to be the answer, taken away from where it lay.
    async fn left(&self, answer: Option<Place>) -> std::io::Result<Option<Left>> {
        let Some(place) = answer else { return Ok(None) };
        let most = self.settings.max_size.0;
        let taken = tokio::task::spawn_blocking(move || {
            let left = place.read(most)?;
            // One that cannot be taken away now is before the next run, or stops it.
            let _ = place.clear();
            Ok(Some(left))
        });
        taken.await.map_err(std::io::Error::other)?
    }

    fn words(&self, ran: &Ran) -> String {
        match ran.end {
            End::Exit(code) => format!("the program ended with {code}"),
            End::Signal(signal) => format!("the program was ended by signal {signal}"),
            End::TooLong => format!("the program took longer than {} and was ended", self.settings.timeout),
        }
    }
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let mark = self.mark(outbound);
        self.wait_for_outlived(&mark)?;
        let mut ready = self.ready(outbound).await?;
        let ran = self.run(outbound, &ready, mark).await?;
        self.conclude(outbound, ran, ready.answer.take()).await
    }

    fn overheard(&self) -> Vec<LateAnswer> {
        std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
