//! What the messages of each channel went through, told to a collector as traces (OTLP over HTTP).

mod context;
mod otlp;

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use channels::TraceSettings;
use engine::{Attempt, DeliveryOutcome, Message, Outcome, Stepped};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{
    Mutex,
    mpsc::{self, error::TrySendError},
};

use context::{Trace, of_attempt, of_step, of_way};
use otlp::{Kind, Span, Value};

/// Spans that wait for the collector. What comes when it is full is dropped and counted: nothing waits for a collector.
const MOST: usize = 16_384;

/// Spans in one request, and how long the first of them waits for others.
const TOGETHER: usize = 512;
const GATHERED: Duration = Duration::from_millis(500);

/// How long a collector may take for one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes spans on the way of each message, and sends them beside it.
pub(crate) struct Traces {
    share: f64,
    service: String,
    to: String,
    http: reqwest::Client,
    queue: mpsc::Sender<Span>,
    waiting: Mutex<mpsc::Receiver<Span>>,
    told: AtomicU64,
    dropped: AtomicU64,
}

impl Traces {
    pub(crate) fn new(said: &TraceSettings, root: &Path) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, value) in &said.headers {
            let header = HeaderName::from_bytes(name.as_bytes()).ok();
            let pair = header.zip(HeaderValue::from_str(value.reveal()).ok());
            let (name, value) = pair.ok_or_else(|| format!("`traces.headers.{name}` is no header"))?;
            headers.insert(name, value);
        }
        let mut builder = reqwest::Client::builder().timeout(PATIENCE).default_headers(headers);
        if let Some(authorities) = &said.authorities {
            let tls = connectors::tls::trusting(&root.join(authorities))?;
            builder = builder.tls_backend_preconfigured(tls);
        }
        let http = builder.build().map_err(|error| format!("cannot speak HTTP: {error}"))?;
        let (queue, waiting) = mpsc::channel(MOST);
        Ok(Self {
            share: said.share,
            service: said.name.clone(),
            to: said.to.clone(),
            http,
            queue,
            waiting: Mutex::new(waiting),
            told: AtomicU64::default(),
            dropped: AtomicU64::default(),
        })
    }

    /// Spans that the collector took, and those that it did not get.
    pub(crate) fn metrics(&self) -> String {
        let series = |name: &str, help: &str, count: &AtomicU64| {
            let count = count.load(Ordering::Relaxed);
            format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}\n")
        };
        [
            series("relais_spans_told_total", "Spans of traces that the collector took", &self.told),
            series(
                "relais_spans_dropped_total",
                "Spans of traces that the collector did not get",
                &self.dropped,
            ),
        ]
        .concat()
    }

    /// The way of a message from its receipt to its queues, or to where it left.
    pub(crate) fn way(&self, channel: &str, message: &Message, outcome: Outcome) {
        let Some(trace) = self.wanted(message) else { return };
        self.tell(Span {
            trace: trace.id,
            id: of_way(message),
            parent: trace.parent,
            name: channel.to_owned(),
            kind: Kind::Server,
            began: nanoseconds(message.received),
            ended: nanoseconds(SystemTime::now()),
            attributes: vec![
                ("relais.channel", Value::Text(channel.to_owned())),
                ("relais.message", Value::Number(message.id.0)),
                ("relais.outcome", Value::Text(outcome.name().to_owned())),
            ],
            failed: matches!(outcome, Outcome::Failed | Outcome::Unavailable | Outcome::Unreadable),
        });
    }

    pub(crate) fn step(&self, channel: &str, message: &Message, step: &Stepped<'_>) {
        let Some(trace) = self.wanted(message) else { return };
        let began = nanoseconds(step.began);
        let place = step.destination.unwrap_or_default();
        let mut attributes = vec![
            ("relais.channel", Value::Text(channel.to_owned())),
            ("relais.message", Value::Number(message.id.0)),
        ];
        attributes.extend(step.destination.map(|name| ("relais.destination", Value::Text(name.to_owned()))));
        self.tell(Span {
            trace: trace.id,
            id: of_step(message, &format!("{place} {}", step.name), began),
            parent: Some(of_way(message)),
            name: step.name.to_owned(),
            kind: Kind::Internal,
            began,
            ended: began + step.took.as_nanos() as u64,
            attributes,
            failed: step.halt.is_some_and(|halt| halt.outcome() == Outcome::Failed),
        });
    }

    pub(crate) fn attempt(&self, attempt: &Attempt<'_>) {
        let Some(trace) = self.wanted(attempt.message) else { return };
        let began = nanoseconds(attempt.made.began);
        self.tell(Span {
            trace: trace.id,
            id: of_attempt(&attempt.effect, attempt.made.number),
            parent: Some(of_way(attempt.message)),
            name: format!("{} → {}", attempt.channel, attempt.destination),
            kind: Kind::Client,
            began,
            ended: began + attempt.made.took.as_nanos() as u64,
            attributes: vec![
                ("relais.channel", Value::Text(attempt.channel.to_owned())),
                ("relais.message", Value::Number(attempt.message.id.0)),
                ("relais.destination", Value::Text(attempt.destination.to_owned())),
                ("relais.delivery", Value::Number(attempt.delivery.0)),
                ("relais.attempt", Value::Number(attempt.made.number.into())),
                ("relais.outcome", Value::Text(attempt.made.outcome.name().to_owned())),
            ],
            failed: attempt.made.outcome != DeliveryOutcome::Sent,
        });
    }

    /// What a receiver is told of where its request belongs.
    pub(crate) fn parent(&self, message: &Message, (effect, number): (&engine::Hash, u32)) -> String {
        let trace = Trace::of(message);
        context::written(&trace, of_attempt(effect, number), self.wanted(message).is_some())
    }

    /// The trace of a message that is told: what its sender wants, else one of the share.
    fn wanted(&self, message: &Message) -> Option<Trace> {
        let trace = Trace::of(message);
        let is_wanted = trace.sampled.unwrap_or_else(|| trace.is_among(self.share));
        is_wanted.then_some(trace)
    }

    fn tell(&self, span: Span) {
        if let Err(TrySendError::Full(_) | TrySendError::Closed(_)) = self.queue.try_send(span) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what waits, until the task is dropped.
    pub(crate) async fn run(&self) {
        let mut waiting = self.waiting.lock().await;
        let mut spans = Vec::with_capacity(TOGETHER);
        let mut is_away = false;
        while waiting.recv_many(&mut spans, TOGETHER).await > 0 {
            let until = tokio::time::Instant::now() + GATHERED;
            while spans.len() < TOGETHER {
                let room = TOGETHER - spans.len();
                let more = tokio::time::timeout_at(until, waiting.recv_many(&mut spans, room)).await;
                if more.is_err() {
                    break;
                }
            }
            is_away = self.send(&mut spans, is_away).await;
        }
    }

    /// Sends what waits at the end of the process, as long as the collector takes it at once.
    pub(crate) async fn end(&self) {
        let sent = async {
            let mut waiting = self.waiting.lock().await;
            let mut spans = Vec::new();
            while let Ok(span) = waiting.try_recv() {
                spans.push(span);
                if spans.len() == TOGETHER && self.send(&mut spans, false).await {
                    return;
                }
            }
            self.send(&mut spans, false).await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), sent).await;
    }

    /// Sends these, once; says whether the collector is away. One that is gets them not a second time: more come.
    async fn send(&self, spans: &mut Vec<Span>, was_away: bool) -> bool {
        let number = spans.len() as u64;
        if number == 0 {
            return was_away;
        }
        let body = otlp::request(&self.service, spans);
        spans.clear();
        let answer = self.http.post(&self.to).body(body).send().await;
        let why = match answer {
            Ok(answer) if answer.status().is_success() => {
                self.told.fetch_add(number, Ordering::Relaxed);
                if was_away {
                    tracing::info!("the collector of traces takes them again");
                }
                return false;
            }
            Ok(answer) => format!("it answered {}", answer.status()),
            Err(error) => {
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
            }
        };
        self.dropped.fetch_add(number, Ordering::Relaxed);
        if !was_away {
            tracing::warn!(why, "the collector of traces does not take them: they are dropped until it does");
        }
        true
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}
