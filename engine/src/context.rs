//! What a step may know beside the message, and a record of what it asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Content, Directory, Facts, GivenRows, Halt, Hash, LookupError, MessageId, Question, Ran, Register,
    Resource, Search, Stepped, StoreError, Watch, pace,
};

/// The only door between a step and the world. Every answer it gives is recorded.
pub struct Context {
    pub channel: Arc<str>,
    pub message: MessageId,
    pub source: Arc<Facts>,
    /// What other destinations answered, by name: only where `after:` waits for them.
    pub responses: BTreeMap<String, Answered>,
    /// What tables of servers hold in a test, in which no server is asked.
    pub rows: Option<GivenRows>,
    inputs: Inputs,
    watch: Option<Arc<dyn Watch>>,
    directory: Option<Arc<dyn Directory>>,
    recorded: Mutex<Vec<Input>>,
    /// It is made where the steps begin.
    began: Instant,
}

/// Where the clock, the ids and the random numbers come from.
#[derive(Debug, Clone, Default)]
pub enum Inputs {
    #[default]
    Live,
    /// Pinned: the same instant, ids and numbers at each run (`tests:`).
    Pinned { at: SystemTime, seed: u64 },
    /// As an earlier run recorded them, in their order.
    Again(Vec<Input>),
}

/// One thing a step asked that is not in the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Nanoseconds since 1970.
    Now(i64),
    Id(String),
    /// 64 random bits, before a script makes a number of them.
    Random(u64),
    Row(Row),
    Response {
        destination: String,
    },
}

/// What a table said, and which edition of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub table: String,
    /// The source and the version that the table says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the row was to hold; of several columns, with ` / ` between.
    pub key: String,
    /// Whose row was looked for, where the table has rows per sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    pub wanted: String,
    /// Nothing where there is no such row.
    pub value: Option<String>,
}

/// What a destination answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The body as text, where it is text.
    pub body: Option<String>,
    /// What the connector tells beside it: a status, headers, a file's path.
    pub facts: Facts,
}

impl Context {
    pub fn new(channel: Arc<str>, message: MessageId, source: Arc<Facts>, inputs: Inputs) -> Self {
        Self {
            channel,
            message,
            source,
            responses: BTreeMap::new(),
            rows: None,
            inputs,
            watch: None,
            directory: None,
            recorded: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// How long the steps took that end now.
    pub(crate) fn ran(&self) -> Ran {
        Ran { ended: SystemTime::now(), took: self.began.elapsed() }
    }

    /// Lets steps look into a directory. Without one they find nothing there.
    #[must_use]
    pub fn looking_into(self, directory: Arc<dyn Directory>) -> Self {
        Self { directory: Some(directory), ..self }
    }

    /// Has somebody hear of each step.
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Begins to measure a step, where somebody listens.
    pub fn stopwatch(&self) -> Option<Stopwatch<'_>> {
        let watch = self.watch.as_deref()?;
        Some(Stopwatch { watch, began: SystemTime::now(), since: Instant::now() })
    }

    /// What an earlier run was answered at this place.
    fn answered_then(&self) -> Option<&Input> {
        let Inputs::Again(all) = &self.inputs else { return None };
        all.get(self.recorded.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    /// The resources of the directory that fit. Whoever asks writes down what he took of them ([`Self::looked_up`]).
    pub fn find(&self, search: &Search) -> Result<Vec<Resource>, StoreError> {
        self.directory.as_ref().map_or(Ok(Vec::new()), |directory| directory.find(search))
    }

    /// The time, the same for all that one run of the steps asks within it when pinned.
    pub fn now(&self) -> SystemTime {
        let now = match (&self.inputs, self.answered_then()) {
            (Inputs::Pinned { at, .. }, _) => *at,
            (_, Some(Input::Now(then))) => {
                SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(*then).unwrap_or_default())
            }
            _ => SystemTime::now(),
        };
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.record(Input::Now(since.as_nanos() as i64));
        now
    }

    /// A new identifier: 32 hexadecimal digits that nobody else has.
    pub fn id(&self) -> String {
        let id = match self.answered_then() {
            Some(Input::Id(then)) => then.clone(),
            _ => format!("{:016x}{:016x}", self.draw(b"id-high"), self.draw(b"id-low")),
        };
        self.record(Input::Id(id.clone()));
        id
    }

    /// 64 random bits.
    pub fn random(&self) -> u64 {
        let random = match self.answered_then() {
            Some(Input::Random(then)) => *then,
            _ => self.draw(b"random"),
        };
        self.record(Input::Random(random));
        random
    }

    /// Writes down what a table said.
    pub fn looked_up(&self, row: Row) {
        self.record(Input::Row(row));
    }

    /// Asks a table of a server, and writes down what it said.
    pub fn ask(
        &self,
        register: &dyn Register,
        question: &Question<'_>,
    ) -> Result<Option<String>, LookupError> {
        let value = match (&self.rows, &self.inputs) {
            (Some(rows), _) => given(rows, question)?,
            (None, Inputs::Again(_)) => self.said_then(question)?,
            (None, _) => pace::aside(|| register.look_up(&question.keys, question.wanted))?,
        };
        self.looked_up(Row {
            table: question.table.to_owned(),
            source: Some(register.source().to_owned()),
            key: question.key(),
            wanted: question.wanted.to_owned(),
            value: value.clone(),
            ..Row::default()
        });
        Ok(value)
    }

    /// What `destination` answered, if these steps waited for it.
    pub fn response(&self, destination: &str) -> Option<&Answered> {
        let answered = self.responses.get(destination)?;
        self.record(Input::Response { destination: destination.to_owned() });
        Some(answered)
    }

    /// Everything asked so far, in order.
    pub fn recorded(&self) -> Value {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_value(&*recorded).unwrap_or(Value::Null)
    }

    /// Whether nothing was asked: then there is nothing to store.
    pub fn is_untouched(&self) -> bool {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn record(&self, input: Input) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).push(input);
    }

    /// What a server said when an earlier run asked it at this place.
    fn said_then(&self, question: &Question<'_>) -> Result<Option<String>, LookupError> {
        match self.answered_then() {
            Some(Input::Row(row))
                if (&*row.table, &row.key, &*row.wanted)
                    == (question.table, &question.key(), question.wanted) =>
            {
                Ok(row.value.clone())
            }
            _ => Err(LookupError::Wrong("the steps asked something else then".to_owned())),
        }
    }

    fn draw(&self, what: &[u8]) -> u64 {
        let drawn = match self.inputs {
            Inputs::Live | Inputs::Again(_) => return random_bits(),
            Inputs::Pinned { seed, .. } => {
                let drawn = self.recorded.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
                Hash::of(&[what, &seed.to_be_bytes(), &self.message.0.to_be_bytes(), &drawn.to_be_bytes()])
            }
        };
        let mut bits = [0; 8];
        bits.copy_from_slice(&drawn.0[..8]);
        u64::from_be_bytes(bits)
    }
}

/// Measures one step.
pub struct Stopwatch<'c> {
    watch: &'c dyn Watch,
    began: SystemTime,
    since: Instant,
}

impl Stopwatch<'_> {
    /// The step has ended: a destination's own one, or the channel's.
    pub fn step(self, (name, destination): (&str, Option<&str>), halt: Option<&Halt>, contents: &[Content]) {
        let Self { watch, began, since } = self;
        watch.step(&Stepped { name, destination, began, took: since.elapsed(), halt, contents });
    }
}

/// What a test says that a table holds. One that it says nothing of is asked by mistake.
fn given(rows: &GivenRows, question: &Question<'_>) -> Result<Option<String>, LookupError> {
    let Some(table) = rows.get(question.table) else {
        let why = format!("the test does not say what the table `{}` holds (`tables:`)", question.table);
        return Err(LookupError::Wrong(why));
    };
    Ok(table.get(&question.key()).and_then(|row| row.get(question.wanted)).cloned())
}

/// Bits nobody can guess twice: the standard library's hasher is keyed anew for each call.
fn random_bits() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() ^ fresh()
}

/// `RandomState` counts up its key within a thread; the clock and a counter keep two draws apart.
fn fresh() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (clock.as_nanos() as u64).rotate_left(32) ^ DRAWN.fetch_add(1, Ordering::SeqCst)
}
