//! The other side: answers as it is told, and remembers what it was sent.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use engine::{
    Content, DeliveryId, Destination, DestinationSettings, Doubt, Hash, Hindrance, LateAnswer, Note,
    OpenError, Opening, Outbound, Response, SendError,
};
use tokio::{sync::watch, time::Instant};

use super::News;

/// What a peer does with one send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Takes it and answers `ok BODY`.
    Take,
    /// Cannot take anything now.
    Away,
    /// The same, and says for how many seconds.
    AwayFor(u64),
    /// Took it, perhaps: the line was cut.
    Doubt,
    /// Refuses it with this code.
    Nack(&'static str),
    Panic,
    /// Panics before it is even begun.
    PanicEarly,
}

/// One attempt, seen from the peer.
#[derive(Debug, Clone)]
pub struct Sent {
    pub body: String,
    pub effect: Hash,
    pub attempt: u32,
    pub previous: Option<Note>,
    pub at: Instant,
    pub answer: Answer,
}

/// One destination's other side. It outlives every restart.
pub struct Peer {
    pub name: &'static str,
    news: News,
    state: Mutex<State>,
    /// While it is shut, a send waits for its answer.
    shut: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    sends: Vec<Sent>,
    /// Beginnings of bodies and what is answered to them, before anything else.
    particular: HashMap<String, VecDeque<Answer>>,
    next: VecDeque<Answer>,
    usual: Option<Answer>,
    underway: usize,
    most_at_once: usize,
    late: Vec<LateAnswer>,
    panics_overhearing: bool,
}

impl Peer {
    pub fn new(name: &'static str, news: &News) -> Arc<Self> {
        Arc::new(Self { name, news: news.clone(), state: Mutex::default(), shut: watch::Sender::new(false) })
    }

    /// What the next sends get; after them the usual answer.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().next.extend(answers);
    }

    /// What sends whose body begins so get, one after the other.
    pub fn answers_to(&self, body: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().particular.entry(body.to_owned()).or_default().extend(answers);
    }

    pub fn usually(&self, answer: Answer) {
        self.state.lock().unwrap().usual = Some(answer);
    }

    /// Lets every send wait for its answer.
    pub fn shut(&self) {
        self.shut.send_replace(true);
    }

    pub fn open(&self) {
        self.shut.send_replace(false);
    }

    /// This comes for a delivery whose attempt has ended, and is told after the next send.
    pub fn answers_late(&self, delivery: DeliveryId, body: &str) {
        let response = Response { body: Some(body.to_owned().into()), ..Response::default() };
        self.state.lock().unwrap().late.push(LateAnswer { delivery, response });
    }

    /// The next look for late answers panics.
    pub fn panic_overhearing(&self) {
        self.state.lock().unwrap().panics_overhearing = true;
    }

    /// Every attempt, in order.
    pub fn sends(&self) -> Vec<Sent> {
        self.state.lock().unwrap().sends.clone()
    }

    /// The bodies of all attempts.
    pub fn tried(&self) -> Vec<String> {
        self.sends().into_iter().map(|sent| sent.body).collect()
    }

    /// The bodies it took.
    pub fn took(&self) -> Vec<String> {
        let taken = self.sends().into_iter().filter(|sent| sent.answer == Answer::Take);
        taken.map(|sent| sent.body).collect()
    }

    pub fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most_at_once
    }

    fn answer(&self, body: &str) -> Answer {
        let mut state = self.state.lock().unwrap();
        let particular = state.particular.iter_mut().find(|(start, _)| body.starts_with(start.as_str()));
        if let Some(answer) = particular.and_then(|(_, answers)| answers.pop_front()) {
            return answer;
        }
        let usual = state.usual.unwrap_or(Answer::Take);
        state.next.pop_front().unwrap_or(usual)
    }

    /// What would be answered next, left where it is.
    fn is_next(&self, answer: Answer) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.next.front() == Some(&answer) {
            state.next.pop_front();
            return true;
        }
        false
    }
}

/// A connection to a peer.
struct Link(Arc<Peer>);

/// Counts the sends under way, also one that is cut off.
struct Underway<'a>(&'a Peer);

impl<'a> Underway<'a> {
    fn enter(peer: &'a Peer) -> Self {
        let mut state = peer.state.lock().unwrap();
        state.underway += 1;
        state.most_at_once = state.most_at_once.max(state.underway);
        Self(peer)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().underway -= 1;
    }
}

#[async_trait]
impl Destination for Link {
    async fn prepare(&self, outbound: &Outbound) -> Option<Note> {
        assert!(!self.0.is_next(Answer::PanicEarly), "told to panic early");
        Some(Note::from(outbound.attempt))
    }

    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let _underway = Underway::enter(&self.0);
        let body = text(&outbound.body);
        let answer = self.0.answer(&body);
        self.0.state.lock().unwrap().sends.push(Sent {
            body: body.clone(),
            effect: outbound.effect,
            attempt: outbound.attempt,
            previous: outbound.previous.clone(),
            at: Instant::now(),
            answer,
        });
        self.0.news.tell();
        let _ = self.0.shut.subscribe().wait_for(|shut| !shut).await;
        let answered = Some(format!("ok {body}").into_bytes().into());
        match answer {
            Answer::Take => Ok(Response { body: answered, ..Response::default() }),
            Answer::Away => Err(SendError::not_delivered("nobody is there")),
            Answer::AwayFor(seconds) => Err(SendError::NotDelivered {
                why: "too many requests".to_owned(),
                by: Some(Hindrance::Busy),
                not_before: Some(Duration::from_secs(seconds)),
            }),
            Answer::Doubt => Err(SendError::unknown("cut before the answer")),
            Answer::Nack(code) => Err(SendError::Refused {
                why: "no".to_owned(),
                code: Some(code.to_owned()),
                response: Some(code.as_bytes().to_vec().into()),
            }),
            Answer::Panic | Answer::PanicEarly => panic!("told to panic"),
        }
    }

    fn overheard(&self) -> Vec<LateAnswer> {
        let is_told = std::mem::take(&mut self.0.state.lock().unwrap().panics_overhearing);
        assert!(!is_told, "told to panic over a late answer");
        std::mem::take(&mut self.0.state.lock().unwrap().late)
    }
}

/// How a channel's file would name a peer.
pub struct PeerSettings {
    pub peer: Arc<Peer>,
    pub doubt: Doubt,
}

#[async_trait]
impl DestinationSettings for PeerSettings {
    fn doubt(&self) -> Doubt {
        self.doubt
    }

    async fn open(&self, _opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Link(Arc::clone(&self.peer))))
    }
}

pub fn text(body: &Content) -> String {
    String::from_utf8_lossy(body.bytes().unwrap()).into_owned()
}
