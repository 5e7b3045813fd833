//! An association that we ask for: what it may carry, and what is asked over it.

use std::time::Duration;

use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceUserReason, AssociationRJSource, AssociationRQ,
    Pdu, PresentationContextProposed, PresentationContextResultReason,
};
use engine::{Connections, Content, Hindered};
use tokio::time::{Instant, timeout_at};

use super::{
    ae::Title,
    asked::{Asked, Asking, NotAsked},
    command::{self, ACT, Command, ECHO, FIND, STORE, VERIFICATION},
    pdu::{self, Broken, Came, Kind, Line, Value},
};
use crate::{
    dimse,
    part10::Meta,
    setting::Address,
    tls,
    watched::watched,
    wire::{self, Peer, Wire},
};

const APPLICATION: &str = "1.2.840.10008.3.1.1.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// The longest data unit that we take: answers are short.
const MOST: usize = 64 * 1024;

/// No entry of a worklist is longer, and more of them are found by no key that means one.
const LONGEST_ENTRY: usize = 1 << 20;
const MOST_ENTRIES: usize = 1000;

/// Asks for the end of an association, as it is written.
const RELEASE: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// A class of instances in one transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) class: String,
    pub(super) syntax: String,
}

impl Sort {
    pub(super) fn of(meta: &Meta) -> Self {
        Self { class: meta.sop_class.clone(), syntax: meta.transfer_syntax.clone() }
    }
}

/// Whom to call, and as whom.
pub(crate) struct Calling {
    pub(crate) address: Address,
    pub(crate) tls: Option<tls::Connector>,
    pub(crate) ours: Title,
    pub(crate) theirs: Title,
    pub(crate) within: Duration,
    pub(crate) keep_alive: Duration,
    /// Where its connections are shown, if they are those of a channel.
    pub(crate) shown: Option<Connections>,
}

/// An association that was agreed on.
pub(super) struct Association {
    line: Line,
    agreed: Vec<(u8, Sort)>,
    /// What was proposed and not agreed on.
    declined: Vec<(Sort, PresentationContextResultReason)>,
    /// The longest data unit that the other side takes.
    most: usize,
    /// Whether its end can be asked for without waiting: not where it would have to be encrypted.
    is_plain: bool,
    asked: u16,
    used: Instant,
}

/// How asking failed, by what the other side may have got.
#[derive(Debug)]
pub(super) enum Unanswered {
    Untouched(Hindered),
    Touched(Hindered),
}

impl Calling {
    /// Agrees on an association for these sorts.
    pub(super) async fn open(&self, sorts: &[Sort], deadline: Instant) -> Result<Association, Hindered> {
        let deadline = deadline.min(Instant::now() + self.within);
        let wire = timeout_at(deadline, self.call()).await;
        let wire = wire.unwrap_or_else(|_| Err(wire::late()));
        let mut wire = wire.map_err(|why| wire::cannot_connect(&self.address, why))?;
        if let Some(among) = &self.shown {
            wire = watched(wire, among);
        }
        let mut line = Line::new(wire, MOST);
        let asked = Pdu::AssociationRQ(self.proposal(sorts));
        let words = |broken: Broken| {
            Hindered::from(broken).worded(|why| format!("{} agreed on no association: {why}", self.theirs))
        };
        line.send(&asked, deadline).await.map_err(words)?;
        let agreed = match line.next(deadline).await.map_err(words)? {
            Came::Agreed(agreed) => agreed,
            Came::Declined(declined) => return Err(self.turned_away(&declined).into()),
            Came::Abort => return Err(words(Broken::Lost("it hung up on our greeting".to_owned()))),
            _ => {
                return Err(words(Broken::Garbled(
                    "it answered our greeting with something else".to_owned(),
                )));
            }
        };
        let mut association = Association {
            line,
            agreed: Vec::new(),
            declined: Vec::new(),
            most: pdu::allowed(&agreed.user_variables),
            is_plain: self.tls.is_none(),
            asked: 0,
            used: Instant::now(),
        };
        for result in agreed.presentation_contexts {
            let place = usize::from(result.id / 2);
            let Some(sort) = sorts.get(place).filter(|_| result.id % 2 == 1) else { continue };
            match result.reason {
                PresentationContextResultReason::Acceptance => {
                    association.agreed.push((result.id, sort.clone()));
                }
                reason => association.declined.push((sort.clone(), reason)),
            }
        }
        Ok(association)
    }

    async fn call(&self) -> Result<Wire, Hindered> {
        let stream = wire::connect(&self.address, self.keep_alive).await?;
        match &self.tls {
            Some(tls) => Ok(Box::new(tls.connect(stream, &self.address.host).await?)),
            None => Ok(Box::new(stream)),
        }
    }

    fn proposal(&self, sorts: &[Sort]) -> AssociationRQ {
        let contexts = sorts.iter().enumerate().map(|(place, sort)| PresentationContextProposed {
            id: 2 * place as u8 + 1,
            abstract_syntax: sort.class.clone(),
            transfer_syntaxes: vec![sort.syntax.clone()],
        });
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: self.ours.to_string(),
            called_ae_title: self.theirs.to_string(),
            application_context_name: APPLICATION.to_owned(),
            presentation_contexts: contexts.collect(),
            user_variables: pdu::about_us(MOST),
        }
    }

    fn turned_away(&self, declined: &AssociationRJ) -> String {
        use AssociationRJServiceUserReason as Reason;
        let why = match &declined.source {
            AssociationRJSource::ServiceUser(Reason::CallingAETitleNotRecognized) => {
                format!("it does not know `{}`, our AE title", self.ours)
            }
            AssociationRJSource::ServiceUser(Reason::CalledAETitleNotRecognized) => {
                format!("it is not `{}`: see `called_ae`", self.theirs)
            }
            other => other.to_string(),
        };
        let lasting = match declined.result {
            AssociationRJResult::Permanent => "for good",
            AssociationRJResult::Transient => "for now",
        };
        format!("{} declined the association {lasting}: {why}", self.theirs)
    }

    /// Asks whether the other side is there, over an association of its own.
    pub(super) async fn echo(&self, deadline: Instant) -> Result<(), String> {
        let sort = Sort { class: VERIFICATION.to_owned(), syntax: IMPLICIT.to_owned() };
        let mut association = self.open(&[sort], deadline).await?;
        let Some((context, _)) = association.first() else {
            return Err(format!("{} does not answer C-ECHO", self.theirs));
        };
        let number = association.number();
        let command = Command::echo(number).written();
        let most = association.most;
        let sent = association.line.send_values((context, Kind::Command), &command, most, deadline).await;
        sent.map_err(|broken| broken.words())?;
        let answered = association.answer((ECHO, number), deadline).await;
        let status = answered.map_err(|broken| broken.words())?.status();
        association.release(deadline).await;
        match status {
            Some(dimse::SUCCESS) => Ok(()),
            other => {
                Err(format!("{} answered C-ECHO with {}", self.theirs, dimse::words(other.unwrap_or(0x0110))))
            }
        }
    }
}

impl Association {
    /// Whether it may be used again: the other side has said nothing since, and it was used lately.
    pub(super) fn is_usable(&self, idle: Duration) -> bool {
        self.used.elapsed() <= idle
            && self.line.is_clear()
            && wire::look(self.line.wire().as_ref()) == Peer::Silent
    }

    /// Whether instances of this sort were proposed when it was agreed on.
    pub(super) fn knows(&self, sort: &Sort) -> bool {
        self.agreed.iter().any(|(_, agreed)| agreed == sort)
            || self.declined.iter().any(|(declined, _)| declined == sort)
    }

    /// The first sort that was agreed on, and its number.
    pub(super) fn first(&self) -> Option<(u8, Sort)> {
        self.agreed.first().cloned()
    }

    /// Under which number instances of this sort go, or why they do not.
    pub(super) fn context(&self, sort: &Sort) -> Result<u8, PresentationContextResultReason> {
        if let Some((number, _)) = self.agreed.iter().find(|(_, agreed)| agreed == sort) {
            return Ok(*number);
        }
        let declined = self.declined.iter().find(|(declined, _)| declined == sort);
        Err(declined.map_or(PresentationContextResultReason::NoReason, |(_, reason)| reason.clone()))
    }

    /// Sends an instance, and waits for its status.
    pub(super) async fn store(
        &mut self,
        context: u8,
        meta: &Meta,
        data_set: &Content,
        deadline: Instant,
    ) -> Result<Command, Unanswered> {
        let number = self.number();
        let command = Command::store(number, &meta.sop_class, &meta.sop_instance).written();
        let asked = self.line.send_values((context, Kind::Command), &command, self.most, deadline).await;
        // What was asked without its data set was asked of nobody: nothing can be stored of it.
        asked.map_err(|broken| Unanswered::Untouched(broken.into()))?;
        let sent = self.line.send_content((context, Kind::DataSet), data_set, self.most, deadline).await;
        sent.map_err(|broken| Unanswered::Touched(broken.into()))?;
        let answered = self.answer((STORE, number), deadline).await;
        self.used = Instant::now();
        answered.map_err(|broken| match broken {
            deaf @ Broken::Deaf(_) => Unanswered::Untouched(deaf.into()),
            other => Unanswered::Touched(other.into()),
        })
    }

    /// Has an object of a class do its first action (N-ACTION), as a short data set says.
    pub(super) async fn act(
        &mut self,
        context: u8,
        (class, instance): (&str, &str),
        data_set: &[u8],
        deadline: Instant,
    ) -> Result<Command, Unanswered> {
        let number = self.number();
        let command = Command::act(number, class, instance).written();
        let asked = self.line.send_values((context, Kind::Command), &command, self.most, deadline).await;
        asked.map_err(|broken| Unanswered::Untouched(broken.into()))?;
        let touched = |broken: Broken| Unanswered::Touched(broken.into());
        let sent = self.line.send_values((context, Kind::DataSet), data_set, self.most, deadline).await;
        sent.map_err(touched)?;
        let answered = self.answer((ACT, number), deadline).await;
        self.used = Instant::now();
        answered.map_err(touched)
    }

    /// What the other side asks of us.
    pub(super) async fn asked(&mut self, asking: &mut Asking, deadline: Instant) -> Result<Asked, NotAsked> {
        asking.next(&mut self.line, deadline).await
    }

    /// Answers what the other side asked.
    pub(super) async fn answer_back(
        &mut self,
        context: u8,
        command: &Command,
        status: u16,
        deadline: Instant,
    ) -> Result<(), Broken> {
        let answer = command.answer(status, None).written();
        self.used = Instant::now();
        self.line.send_values((context, Kind::Command), &answer, self.most, deadline).await
    }

    /// Asks which entries are like this one, a data set as agreed for the context. The words say why there is no whole answer.
    pub(super) async fn find(
        &mut self,
        (context, class): (u8, &str),
        like: &[u8],
        deadline: Instant,
    ) -> Result<Found, Broken> {
        let number = self.number();
        let command = Command::find(number, class).written();
        self.line.send_values((context, Kind::Command), &command, self.most, deadline).await?;
        self.line.send_values((context, Kind::DataSet), like, self.most, deadline).await?;
        let mut gathering = Gathering { number, ..Gathering::default() };
        loop {
            let values = match self.line.next(deadline).await? {
                Came::Values(values) => values,
                Came::Abort => return Err(Broken::Lost("the other side aborted the association".to_owned())),
                _ => return Err(Broken::Garbled("something else came than an answer".to_owned())),
            };
            for value in &values {
                if let Some(status) = gathering.take(value)? {
                    return Ok(Found { status, entries: gathering.entries });
                }
            }
        }
    }

    async fn answer(&mut self, (field, number): (u16, u16), deadline: Instant) -> Result<Command, Broken> {
        let mut bytes = Vec::new();
        loop {
            let values = match self.line.next(deadline).await? {
                Came::Values(values) => values,
                Came::Abort => return Err(Broken::Lost("the other side aborted the association".to_owned())),
                _ => return Err(Broken::Garbled("something else came than an answer".to_owned())),
            };
            for value in values {
                if value.kind != Kind::Command || bytes.len() + value.bytes.len() > command::LONGEST {
                    return Err(Broken::Garbled("something else came than an answer".to_owned()));
                }
                bytes.extend_from_slice(&value.bytes);
                if !value.is_last {
                    continue;
                }
                let answer = Command::read(&bytes).map_err(Broken::Garbled)?;
                if !answer.answers(field, number) {
                    return Err(Broken::Garbled("an answer came to what was not asked".to_owned()));
                }
                return Ok(answer);
            }
        }
    }

    /// Ends it in order: the other side has heard all.
    pub(super) async fn release(mut self, deadline: Instant) {
        // Who has gone needs no word of it.
        if self.line.send(&Pdu::ReleaseRQ, deadline).await.is_ok() {
            let _ = self.line.next(deadline).await;
        }
        self.is_plain = false;
    }

    fn number(&mut self) -> u16 {
        self.asked = self.asked.wrapping_add(1).max(1);
        self.asked
    }
}

/// What was found, and the status that came at the end.
pub(super) struct Found {
    pub(super) status: u16,
    pub(super) entries: Vec<Vec<u8>>,
}

/// The answers to one question, as their pieces come: a command for each entry, with the entry, and one at the end.
#[derive(Default)]
struct Gathering {
    number: u16,
    piece: Vec<u8>,
    /// Whether an entry is to follow.
    is_entry: bool,
    entries: Vec<Vec<u8>>,
}

impl Gathering {
    /// Takes a piece; the last one gives the status.
    fn take(&mut self, value: &Value) -> Result<Option<u16>, Broken> {
        let garbled = |why: &str| Broken::Garbled(why.to_owned());
        let (kind, longest) =
            if self.is_entry { (Kind::DataSet, LONGEST_ENTRY) } else { (Kind::Command, command::LONGEST) };
        if value.kind != kind || self.piece.len() + value.bytes.len() > longest {
            return Err(garbled("something else came than an answer"));
        }
        self.piece.extend_from_slice(&value.bytes);
        if !value.is_last {
            return Ok(None);
        }
        let piece = std::mem::take(&mut self.piece);
        if self.is_entry {
            self.is_entry = false;
            self.entries.push(piece);
            return Ok(None);
        }
        let answer = Command::read(&piece).map_err(Broken::Garbled)?;
        if !answer.answers(FIND, self.number) {
            return Err(garbled("an answer came to what was not asked"));
        }
        if !answer.has_data_set() {
            return Ok(Some(answer.status().unwrap_or(dimse::PROCESSING_FAILURE)));
        }
        if self.entries.len() == MOST_ENTRIES {
            return Err(garbled("it finds more than a thousand entries: does it look at the keys at all?"));
        }
        self.is_entry = true;
        Ok(None)
    }
}

impl Drop for Association {
    /// Asks for its end where that takes no time: an archive notes an association that is only cut.
    fn drop(&mut self) {
        if self.is_plain {
            let _ = self.line.wire().socket().try_write(&RELEASE);
        }
    }
}
