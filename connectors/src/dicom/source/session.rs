//! What is asked within an association: each instance is taken whole, kept, and answered for what became of it.

use std::{collections::HashMap, sync::Arc, vec};

use bytes::BytesMut;
use engine::{Content, Facts, Inbound, Spool};
use formats::dicom::Header;
use tokio::time::Instant;

use super::{greet::Context, serve::Host};
use crate::{
    crowd::Seat,
    dicom::{
        command::{self, Command, ECHO, STORE},
        pdu::{Broken, Came, Kind, Line, Value},
    },
    dimse,
    part10::{self, Meta},
    room::Share,
};

/// An association that was agreed on.
pub(super) struct Session<'h> {
    pub(super) host: &'h Host,
    pub(super) line: Line,
    pub(super) contexts: HashMap<u8, Context>,
    /// The longest data unit that the sender takes.
    pub(super) most: usize,
    pub(super) facts: Facts,
    pub(super) seat: &'h Seat,
    /// What came in the last unit and was not looked at yet.
    pub(super) values: vec::IntoIter<Value>,
}

/// How an association ends.
pub(super) enum End {
    /// The sender has nothing more to say.
    Released,
    /// It aborted, or hung up.
    Gone,
    /// We stop, another one needs the place, or nothing was asked for long.
    Unwanted,
    /// It did what it may not.
    Broken(String),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed => Self::Gone,
            other => Self::Broken(other.words()),
        }
    }
}

impl Session<'_> {
    /// Takes what is asked, one after the other.
    pub(super) async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.take().await {
                return end;
            }
            self.seat.idle();
        }
    }

    async fn take(&mut self) -> Result<(), End> {
        let (number, command) = self.command().await?;
        let Some(context) = self.contexts.get(&number).cloned() else {
            return Err(End::Broken("it asks under a number that was not agreed on".to_owned()));
        };
        match command.field() {
            STORE if command.has_data_set() => self.store(number, &context, &command).await,
            ECHO if !command.has_data_set() => self.answer(number, &command, dimse::SUCCESS, None).await,
            _ if command.is_answer() => Err(End::Broken("it answers what was not asked".to_owned())),
            _ => {
                if command.has_data_set() {
                    let _ = self.data_set(number, Err(String::new())).await?;
                }
                self.answer(
                    number,
                    &command,
                    dimse::UNRECOGNIZED,
                    Some("only C-STORE and C-ECHO are known here"),
                )
                .await
            }
        }
    }

    async fn store(&mut self, number: u8, context: &Context, command: &Command) -> Result<(), End> {
        let meta = Meta {
            sop_class: command.class().to_owned(),
            sop_instance: command.instance().to_owned(),
            transfer_syntax: context.syntax.clone(),
            data_set: 0,
        };
        let body = Arriving::new(self.host, &meta.written()).await;
        match self.data_set(number, body).await? {
            Ok((body, _share)) => self.take_whole((number, context), command, meta, body).await,
            Err(why) => self.answer(number, command, dimse::OUT_OF_RESOURCES, Some(&why)).await,
        }
    }

    async fn take_whole(
        &mut self,
        (number, context): (u8, &Context),
        command: &Command,
        meta: Meta,
        body: Content,
    ) -> Result<(), End> {
        let (asked, agreed) = (meta.clone(), context.clone());
        let unreadable = part10::looked_into(&body, move |body| wrong(&asked, &agreed, body)).await;
        let inbound = Inbound {
            facts: self.facts_of(&meta),
            unreadable,
            name: Some(meta.sop_instance),
            body,
            ..Inbound::default()
        };
        let answer = self.host.inlet.receive(inbound).await;
        let status = dimse::status(&self.host.words, &answer.reply);
        let why = answer.reply.why.clone().filter(|_| status != dimse::SUCCESS);
        self.answer(number, command, status, why.as_deref()).await?;
        answer.told();
        Ok(())
    }

    fn facts_of(&self, meta: &Meta) -> Arc<Facts> {
        let mut facts = self.facts.clone();
        let named = [
            ("sop_class", &meta.sop_class),
            ("sop_instance", &meta.sop_instance),
            ("transfer_syntax", &meta.transfer_syntax),
        ];
        for (name, value) in named {
            facts.insert(name.to_owned(), value.clone().into());
        }
        facts.into()
    }

    async fn answer(
        &mut self,
        number: u8,
        command: &Command,
        status: u16,
        comment: Option<&str>,
    ) -> Result<(), End> {
        let answer = command.answer(status, comment).written();
        let deadline = self.deadline();
        Ok(self.line.send_values((number, Kind::Command), &answer, self.most, deadline).await?)
    }

    /// The next thing that is asked, and under which number.
    async fn command(&mut self) -> Result<(u8, Command), End> {
        let first = self.first().await?;
        self.seat.busy();
        let number = first.context;
        let mut bytes = BytesMut::new();
        let mut value = first;
        loop {
            if value.kind != Kind::Command || value.context != number {
                return Err(End::Broken("a data set came where a command should".to_owned()));
            }
            if bytes.len() + value.bytes.len() > command::LONGEST {
                return Err(End::Broken("a command is too long".to_owned()));
            }
            bytes.extend_from_slice(&value.bytes);
            if value.is_last {
                return Command::read(&bytes).map(|command| (number, command)).map_err(End::Broken);
            }
            value = self.value().await?;
        }
    }

    /// The data set that follows a command, behind what is written before it; or why it is not kept.
    async fn data_set(
        &mut self,
        number: u8,
        mut body: Result<Arriving, String>,
    ) -> Result<Result<(Content, Share), String>, End> {
        let most = self.host.settings.max_size.0;
        loop {
            let value = self.value().await?;
            if value.kind != Kind::DataSet || value.context != number {
                return Err(End::Broken("a command came where a data set should go on".to_owned()));
            }
            // What is not kept is read to its end all the same, so that its sender hears why.
            body = match body {
                Ok(body) => body.and(&value.bytes, most).await,
                refused => refused,
            };
            if value.is_last {
                return Ok(match body {
                    Ok(body) => body.end().await,
                    Err(why) => Err(why),
                });
            }
        }
    }

    /// The first piece of what is asked next: the sender may take its time, and so may we end it here.
    async fn first(&mut self) -> Result<Value, End> {
        loop {
            if let Some(value) = self.values.next() {
                return Ok(value);
            }
            let deadline = Instant::now() + self.host.settings.idle.0;
            let came = tokio::select! {
                biased;
                () = self.host.stop.requested() => return Err(End::Unwanted),
                () = self.seat.wanted() => return Err(End::Unwanted),
                came = self.line.next(deadline) => came,
            };
            match came {
                Ok(came) => self.values = pieces(came)?,
                Err(Broken::Late) => return Err(End::Unwanted),
                Err(broken) => return Err(broken.into()),
            }
        }
    }

    /// The next piece of what has begun.
    async fn value(&mut self) -> Result<Value, End> {
        loop {
            if let Some(value) = self.values.next() {
                return Ok(value);
            }
            let deadline = self.deadline();
            let came = self.line.next(deadline).await?;
            self.values = pieces(came)?;
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.host.settings.unit_within.0
    }
}

/// An instance as far as it has come.
struct Arriving {
    spool: Spool,
    /// Of the memory that there is for what comes, until it is kept, refused, or goes to the disk.
    share: Share,
}

impl Arriving {
    async fn new(host: &Host, begins: &[u8]) -> Result<Self, String> {
        let mut spool = host.inlet.spool();
        spool.write(begins).await.map_err(|error| error.to_string())?;
        Ok(Self { spool, share: host.room.share() })
    }

    async fn and(mut self, piece: &[u8], most: usize) -> Result<Self, String> {
        if self.spool.len() + piece.len() as u64 > most as u64 {
            return Err(format!("longer than {most} bytes"));
        }
        if !self.spool.is_apart() && !self.share.take(piece.len()) {
            return Err("no room in memory: send it again".to_owned());
        }
        self.spool.write(piece).await.map_err(|error| error.to_string())?;
        if self.spool.is_apart() {
            self.share.clear();
        }
        Ok(self)
    }

    async fn end(self) -> Result<(Content, Share), String> {
        let content = self.spool.end().await.map_err(|error| error.to_string())?;
        Ok((content, self.share))
    }
}

fn pieces(came: Came) -> Result<vec::IntoIter<Value>, End> {
    match came {
        Came::Values(values) => Ok(values.into_iter()),
        Came::Release => Err(End::Released),
        Came::Abort => Err(End::Gone),
        Came::Asked(_) | Came::Agreed(_) | Came::Declined(_) | Came::Released => {
            Err(End::Broken("it greets a second time".to_owned()))
        }
    }
}

/// What is wrong with an instance, whatever the channel's format: it is not what the command says, or cannot be read.
fn wrong(meta: &Meta, context: &Context, file: &Content) -> Option<String> {
    if !part10::is_uid(&meta.sop_instance) {
        return Some("the command names its instance by what is no UID".to_owned());
    }
    if meta.sop_class != context.class {
        return Some("the command names another SOP class than was agreed on".to_owned());
    }
    match Header::read(file.reader()) {
        Ok(header) if header.sop_instance != meta.sop_instance => {
            Some("the command names another instance than the data set".to_owned())
        }
        Ok(header) if header.sop_class != meta.sop_class => {
            Some("the command names another SOP class than the data set".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}
