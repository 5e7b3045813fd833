//! Counts what happens, for Prometheus.

pub(crate) mod day;
mod room;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use engine::{ChannelView, DeliveryOutcome, OpenGroups, Outcome};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use store::Room;

use day::{Day, Kind, Lately};
use room::RoomGauges;

/// Outcomes as `relais_messages_total` names them.
const OUTCOMES: [&str; 6] = ["accepted", "filtered", "unrouted", "refused", "failed", "unavailable"];

/// From a millisecond to a minute: an answer on the way, and one that waited for a peer.
const REPLY_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// From a millisecond to a day: deliveries wait for peers that are away for a night.
const ARRIVAL_SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0, 60.0, 3_600.0, 86_400.0];

/// Every series, and the handles of each channel's.
pub(crate) struct Metrics {
    registry: Registry,
    received: IntCounterVec,
    skipped: IntCounterVec,
    messages: IntCounterVec,
    deliveries: IntCounterVec,
    reply: HistogramVec,
    arrival: HistogramVec,
    depth: IntGaugeVec,
    oldest: GaugeVec,
    connections: IntGaugeVec,
    held: IntGaugeVec,
    overdue: IntGaugeVec,
    groups: IntGaugeVec,
    up: IntGaugeVec,
    room: RoomGauges,
    channels: RwLock<HashMap<String, Arc<Handles>>>,
    /// One scrape at a time: the gauges are set anew for each.
    scraping: Mutex<()>,
}

/// What the store says where the page is read.
pub(crate) struct Stored<'a> {
    pub(crate) overdue: &'a BTreeMap<String, u64>,
    pub(crate) groups: &'a BTreeMap<String, OpenGroups>,
    pub(crate) room: &'a Room,
}

/// One channel's series, looked up once.
struct Handles {
    received: IntCounter,
    skipped: IntCounter,
    messages: [IntCounter; OUTCOMES.len()],
    reply: Histogram,
    arrival: Histogram,
    deliveries: HashMap<String, [IntCounter; DeliveryOutcome::ALL.len()]>,
    /// Outlasts a reload.
    day: Arc<Mutex<Day>>,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            received: counter("relais_received_total", "Messages received", &["channel"])?,
            skipped: counter(
                "relais_skipped_bytes_total",
                "Bytes of senders that belonged to no message",
                &["channel"],
            )?,
            messages: counter("relais_messages_total", "Messages by outcome", &["channel", "outcome"])?,
            deliveries: counter(
                "relais_deliveries_total",
                "Attempts at deliveries by outcome",
                &["channel", "destination", "outcome"],
            )?,
            reply: histogram(
                "relais_reply_seconds",
                "How long senders waited for their answer",
                &REPLY_SECONDS,
            )?,
            arrival: histogram(
                "relais_end_to_end_seconds",
                "From the receipt of a message to its delivery",
                &ARRIVAL_SECONDS,
            )?,
            depth: gauge(
                "relais_queue_depth",
                "Deliveries waiting or under way",
                &["channel", "destination"],
            )?,
            oldest: GaugeVec::new(
                Opts::new(
                    "relais_queue_oldest_seconds",
                    "Since the message of the oldest waiting delivery came",
                ),
                &["channel", "destination"],
            )?,
            connections: gauge("relais_connections", "Open connections of a channel's source", &["channel"])?,
            held: gauge("relais_held", "Messages that wait for a code that a table lacks", &["channel"])?,
            overdue: gauge(
                "relais_overdue",
                "Messages that have no answer in the time in which their channel expects one",
                &["channel"],
            )?,
            groups: gauge(
                "relais_groups_open",
                "Groups of messages that wait until no more of them come",
                &["channel"],
            )?,
            up: gauge("relais_channel_up", "1 if the channel takes messages", &["channel"])?,
            room: RoomGauges::new()?,
            channels: RwLock::default(),
            scraping: Mutex::default(),
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        for counters in [&self.received, &self.skipped, &self.messages, &self.deliveries] {
            self.registry.register(Box::new(counters.clone()))?;
        }
        for histograms in [&self.reply, &self.arrival] {
            self.registry.register(Box::new(histograms.clone()))?;
        }
        for gauges in [&self.depth, &self.connections, &self.held, &self.overdue, &self.groups, &self.up] {
            self.registry.register(Box::new(gauges.clone()))?;
        }
        self.registry.register(Box::new(self.oldest.clone()))?;
        self.room.register(&self.registry)
    }

    /// Makes every series of a channel, with 0 where nothing happened yet.
    pub(crate) fn expect(&self, channel: &str, destinations: impl IntoIterator<Item = String>) {
        let day = self.handles(channel).map_or_else(fresh_day, |before| Arc::clone(&before.day));
        let handles = Handles {
            day,
            received: self.received.with_label_values(&[channel]),
            skipped: self.skipped.with_label_values(&[channel]),
            messages: OUTCOMES.map(|outcome| self.messages.with_label_values(&[channel, outcome])),
            reply: self.reply.with_label_values(&[channel]),
            arrival: self.arrival.with_label_values(&[channel]),
            deliveries: destinations
                .into_iter()
                .map(|destination| {
                    let counters = DeliveryOutcome::ALL.map(|outcome| {
                        self.deliveries.with_label_values(&[channel, &destination, outcome.name()])
                    });
                    (destination, counters)
                })
                .collect(),
        };
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.insert(channel.to_owned(), Arc::new(handles));
    }

    fn handles(&self, channel: &str) -> Option<Arc<Handles>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).get(channel).cloned()
    }

    /// What went through a channel within a day; nothing of one that is not known.
    pub(crate) fn day(&self, channel: &str, now: u64) -> Option<day::Shown> {
        self.handles(channel).map(|handles| handles.day().shown(now))
    }

    /// What went through since the start, how long the slowest twentieth of the last hour took, and what arrived where.
    pub(crate) fn lately(&self, channel: &str, now: u64) -> Lately {
        self.handles(channel).map(|handles| handles.day().lately(now)).unwrap_or_default()
    }

    /// How many messages a channel received since the start.
    pub(crate) fn received_by(&self, channel: &str) -> u64 {
        self.handles(channel).map_or(0, |handles| handles.received.get())
    }

    /// How many messages of a channel ended since the start, and how many of them were refused or failed.
    pub(crate) fn ended_by(&self, channel: &str) -> (u64, u64) {
        let Some(handles) = self.handles(channel) else { return (0, 0) };
        let count = |outcome: Outcome| handles.messages[place(outcome)].get();
        let all = handles.messages.iter().map(IntCounter::get).sum();
        (all, count(Outcome::Refused) + count(Outcome::Failed))
    }

    /// How many deliveries a destination took since the start.
    pub(crate) fn sent_to(&self, channel: &str, destination: &str) -> u64 {
        let handles = self.handles(channel);
        let counters = handles.as_ref().and_then(|handles| handles.deliveries.get(destination));
        counters.map_or(0, |counters| counters[DeliveryOutcome::Sent as usize].get())
    }

    pub(crate) fn received(&self, channel: &str) {
        if let Some(handles) = self.handles(channel) {
            handles.received.inc();
            handles.count(Kind::Received);
        }
    }

    pub(crate) fn skipped(&self, channel: &str, bytes: u64) {
        if let Some(handles) = self.handles(channel) {
            handles.skipped.inc_by(bytes);
        }
    }

    pub(crate) fn ended(&self, channel: &str, outcome: Outcome) {
        if let Some(handles) = self.handles(channel) {
            handles.messages[place(outcome)].inc();
            if matches!(place(outcome), 3..) {
                handles.count(Kind::Wrong);
            }
        }
    }

    pub(crate) fn replied(&self, channel: &str, waited: Duration) {
        if let Some(handles) = self.handles(channel) {
            handles.reply.observe(waited.as_secs_f64());
        }
    }

    pub(crate) fn arrived(&self, channel: &str, since: Duration) {
        if let Some(handles) = self.handles(channel) {
            handles.arrival.observe(since.as_secs_f64());
            handles.day().took(since, day::step_of(SystemTime::now()));
        }
    }

    pub(crate) fn attempted(&self, channel: &str, destination: &str, came: DeliveryOutcome) {
        let handles = self.handles(channel);
        match (came, handles.as_ref()) {
            (DeliveryOutcome::Sent, Some(handles)) => {
                handles.day().sent(destination, day::step_of(SystemTime::now()));
            }
            (DeliveryOutcome::GivenUp | DeliveryOutcome::Unsure, Some(handles)) => handles.count(Kind::Wrong),
            _ => {}
        }
        match handles.as_ref().and_then(|handles| handles.deliveries.get(destination)) {
            Some(counters) => counters[came as usize].inc(),
            // A destination that left the file and still has deliveries.
            None => self.deliveries.with_label_values(&[channel, destination, came.name()]).inc(),
        }
    }

    /// The page that Prometheus reads: what was counted, and how the channels stand now.
    pub(crate) fn page(&self, views: &[ChannelView], broken: &[String], stored: &Stored<'_>) -> String {
        let _alone = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        self.depth.reset();
        self.oldest.reset();
        self.connections.reset();
        self.held.reset();
        self.overdue.reset();
        self.groups.reset();
        self.up.reset();
        for view in views {
            self.show(view);
        }
        for channel in broken {
            self.connections.with_label_values(&[channel]).set(0);
            self.held.with_label_values(&[channel]).set(0);
            self.up.with_label_values(&[channel]).set(0);
            self.overdue.with_label_values(&[channel]).set(0);
            self.groups.with_label_values(&[channel]).set(0);
        }
        for (channel, number) in stored.overdue {
            self.overdue.with_label_values(&[channel]).set(*number as i64);
        }
        for (channel, open) in stored.groups {
            self.groups.with_label_values(&[channel]).set(open.groups as i64);
        }
        self.room.show(stored.room);
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    fn show(&self, view: &ChannelView) {
        let channel = view.name.as_str();
        for destination in &view.destinations {
            let labels = [channel, destination.name.as_str()];
            self.depth.with_label_values(&labels).set(destination.depth as i64);
            self.oldest.with_label_values(&labels).set(destination.oldest_seconds.unwrap_or(0.0));
        }
        self.connections.with_label_values(&[channel]).set(view.connections);
        self.held.with_label_values(&[channel]).set(view.held as i64);
        self.overdue.with_label_values(&[channel]).set(0);
        self.groups.with_label_values(&[channel]).set(0);
        let up = view.state == engine::ChannelState::Running && view.trouble.is_none();
        self.up.with_label_values(&[channel]).set(i64::from(up));
    }
}

impl Handles {
    fn day(&self) -> std::sync::MutexGuard<'_, Day> {
        self.day.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, kind: Kind) {
        self.day().count(kind, day::step_of(SystemTime::now()));
    }
}

fn fresh_day() -> Arc<Mutex<Day>> {
    Arc::new(Mutex::new(Day::new(day::step_of(SystemTime::now()))))
}

/// Where an outcome stands in [`OUTCOMES`]: unreadable counts as refused.
fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Accepted => 0,
        Outcome::Filtered => 1,
        Outcome::Unrouted => 2,
        Outcome::Refused | Outcome::Unreadable => 3,
        Outcome::Failed => 4,
        Outcome::Unavailable => 5,
    }
}

fn counter(name: &str, what: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, what), labels)
}

fn gauge(name: &str, what: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, what), labels)
}

fn histogram(name: &str, what: &str, buckets: &[f64]) -> Result<HistogramVec, prometheus::Error> {
    HistogramVec::new(HistogramOpts::new(name, what).buckets(buckets.to_vec()), &["channel"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(room: &Room) -> Stored<'_> {
        const NONE: &BTreeMap<String, u64> = &BTreeMap::new();
        const OPEN: &BTreeMap<String, OpenGroups> = &BTreeMap::new();
        Stored { overdue: NONE, groups: OPEN, room }
    }

    #[test]
    fn every_series_of_a_channel_stands_at_zero_before_anything_happens() {
        let metrics = Metrics::new().unwrap();
        metrics.expect("lab", ["record".to_owned()]);
        let page =
            metrics.page(&[], &["broken-one".to_owned()], &stored(&Room { used: 7, ..Room::default() }));
        for line in [
            "relais_received_total{channel=\"lab\"} 0",
            "relais_skipped_bytes_total{channel=\"lab\"} 0",
            "relais_messages_total{channel=\"lab\",outcome=\"unavailable\"} 0",
            "relais_deliveries_total{channel=\"lab\",destination=\"record\",outcome=\"given_up\"} 0",
            "relais_reply_seconds_count{channel=\"lab\"} 0",
            "relais_end_to_end_seconds_count{channel=\"lab\"} 0",
            "relais_channel_up{channel=\"broken-one\"} 0",
            "relais_held{channel=\"broken-one\"} 0",
            "relais_groups_open{channel=\"broken-one\"} 0",
            "relais_store_bytes 7",
        ] {
            assert!(page.contains(line), "`{line}` is missing in\n{page}");
        }
    }

    #[test]
    fn what_is_not_known_of_room_has_no_value() {
        let metrics = Metrics::new().unwrap();
        let room = Room { free: 9, floor: 3, budget: Some(8), full_days: Some(1.5), ..Room::default() };
        let page = metrics.page(&[], &[], &stored(&room));
        for line in [
            "relais_store_free_bytes 9",
            "relais_store_floor_bytes 3",
            "relais_store_budget_bytes 8",
            "relais_store_full_days 1.5",
        ] {
            assert!(page.contains(line), "`{line}` is missing in\n{page}");
        }
        let page = metrics.page(&[], &[], &stored(&Room::default()));
        assert!(!page.contains("relais_store_budget_bytes") && !page.contains("relais_store_full_days"));
    }

    #[test]
    fn an_unreadable_message_counts_as_refused() {
        let metrics = Metrics::new().unwrap();
        metrics.expect("lab", []);
        metrics.ended("lab", Outcome::Unreadable);
        metrics.ended("lab", Outcome::Refused);
        let page = metrics.page(&[], &[], &stored(&Room::default()));
        assert!(page.contains("relais_messages_total{channel=\"lab\",outcome=\"refused\"} 2"), "{page}");
    }

    #[test]
    fn each_attempt_counts_under_its_own_outcome() {
        let metrics = Metrics::new().unwrap();
        metrics.expect("lab", ["record".to_owned()]);
        for came in DeliveryOutcome::ALL {
            metrics.attempted("lab", "record", came);
        }
        let page = metrics.page(&[], &[], &stored(&Room::default()));
        for came in DeliveryOutcome::ALL {
            let line = format!("outcome=\"{}\"}} 1", came.name());
            assert!(page.contains(&line), "`{line}` is missing in\n{page}");
        }
    }
}
