//! Random senders, peers, failures, crashes and reloads: what must hold whatever happens.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use engine::{
    DeliveryId, DeliveryState, MessageId, MessageState, Order, Outcome, ReadAhead, Reply, ReplyWhen,
    memory::StoredMessage,
};
use proptest::prelude::*;
use stage::{
    Answer, News, Peer, Stage, When, answering_again, is_quiet, knowing, marked, outlet, plan, replying,
};
use tokio::task::JoinHandle;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    Send(Kind),
    /// The same message once more; counted from the first.
    Repeat(usize),
    /// What a peer answers next.
    Answers(usize, Answer),
    /// Every write fails, or those of one name.
    Break(Option<&'static str>, When),
    Mend,
    Crash,
    Restart,
    Reload,
    Hold,
    Release,
    /// The channel is stopped, and started again.
    Halt,
    Resume,
    /// Tasks run a little.
    Turn(u8),
    /// Time passes.
    Pass(u16),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain,
    Keyed(u8),
    TwoKeys,
    ArchiveOnly,
    /// Waits for a code until the end.
    Unknown(u8),
    Split,
    Filtered,
    Refused,
    Broken,
}

impl Kind {
    fn text(self, number: usize) -> String {
        match self {
            Self::Plain => format!("M{number}."),
            Self::Keyed(key) => format!("M{number}. key:{key}"),
            Self::TwoKeys => format!("M{number}. key:0 key:1"),
            Self::Unknown(key) => format!("M{number}. key:{key} hold:L"),
            Self::ArchiveOnly => format!("M{number}. to:archive"),
            Self::Split => format!("M{number}. split:2 key:0"),
            Self::Filtered => format!("M{number}. filter"),
            Self::Refused => format!("M{number}. refuse"),
            Self::Broken => format!("M{number}. break"),
        }
    }

    /// How many deliveries of it the archive and the record get.
    fn deliveries(self) -> [usize; 2] {
        match self {
            Self::Plain | Self::Keyed(_) | Self::TwoKeys | Self::Unknown(_) => [1, 1],
            Self::ArchiveOnly => [1, 0],
            Self::Split => [2, 2],
            Self::Filtered | Self::Refused | Self::Broken => [0, 0],
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let kind = prop_oneof![
        4 => Just(Kind::Plain),
        4 => (0..3u8).prop_map(Kind::Keyed),
        1 => Just(Kind::TwoKeys),
        1 => Just(Kind::ArchiveOnly),
        2 => (0..3u8).prop_map(Kind::Unknown),
        1 => Just(Kind::Split),
        1 => Just(Kind::Filtered),
        1 => Just(Kind::Refused),
        1 => Just(Kind::Broken),
    ];
    let answer = prop_oneof![
        Just(Answer::Away),
        Just(Answer::AwayFor(20)),
        Just(Answer::Doubt),
        Just(Answer::Nack("AE")),
        Just(Answer::Nack("CE")),
        Just(Answer::Panic),
        Just(Answer::Take),
    ];
    let write = prop_oneof![
        Just(None),
        Just(Some("keep")),
        Just(Some("queue")),
        Just(Some("begin")),
        Just(Some("settle")),
        Just(Some("close")),
    ];
    let when = prop_oneof![Just(When::Before), Just(When::After)];
    let event = prop_oneof![
        10 => kind.prop_map(Event::Send),
        2 => (0..20usize).prop_map(Event::Repeat),
        4 => (0..3usize, answer).prop_map(|(peer, answer)| Event::Answers(peer, answer)),
        2 => (write, when).prop_map(|(write, when)| Event::Break(write, when)),
        3 => Just(Event::Mend),
        2 => Just(Event::Crash),
        1 => Just(Event::Restart),
        1 => Just(Event::Reload),
        1 => Just(Event::Hold),
        1 => Just(Event::Release),
        1 => Just(Event::Halt),
        2 => Just(Event::Resume),
        6 => (1..40u8).prop_map(Event::Turn),
        3 => (1..40_000u16).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 1..60)
}

struct Play {
    stage: Stage,
    /// The archive (by arrival), the record (by key) and one that follows the archive.
    peers: [Arc<Peer>; 3],
    sent: Vec<(Kind, String)>,
    answers: Vec<(usize, JoinHandle<Reply>)>,
    /// What was begun and not settled at each crash.
    cut: Vec<DeliveryId>,
    reloads: usize,
    ahead: ReadAhead,
}

impl Play {
    async fn start(when: ReplyWhen, ahead: ReadAhead) -> Self {
        let news = News::default();
        let peers = ["archive", "record", "late"].map(|name| Peer::new(name, &news));
        let mut outlets: Vec<_> = peers.iter().map(outlet).collect();
        outlets[1].order = Order::Key;
        outlets[1].workers = 3;
        outlets[2].after = Some("archive".to_owned());
        let plan = replying(when, answering_again(plan(outlets)));
        let stage = Stage::start_with(&news, plan, |store| store.reads_ahead(ahead)).await;
        Self { stage, peers, sent: Vec::new(), answers: Vec::new(), cut: Vec::new(), reloads: 0, ahead }
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Send(kind) => {
                let text = kind.text(self.sent.len());
                self.answers.push((self.sent.len(), self.stage.send(&text)));
                self.sent.push((kind, text));
            }
            Event::Repeat(number) if number < self.sent.len() => {
                self.answers.push((number, self.stage.send(&self.sent[number].1)));
            }
            Event::Repeat(_) => {}
            Event::Answers(peer, answer) => self.peers[peer].answers([answer]),
            Event::Break(Some(write), when) => self.stage.store.fail_each(write, when),
            Event::Break(None, when) => self.stage.store.fail(when),
            Event::Mend => self.stage.store.mend(),
            Event::Crash => {
                let ahead = self.ahead;
                let cut = self.stage.crash_with(|store| store.reads_ahead(ahead)).await;
                self.cut.extend(cut);
            }
            Event::Restart => {
                // A stop that had to be cut short is a crash for whatever was under way.
                let ahead = self.ahead;
                let cut = self.stage.restart_with(|store| store.reads_ahead(ahead)).await;
                self.cut.extend(cut);
            }
            Event::Reload => {
                self.reloads += 1;
                let mark = if self.reloads.is_multiple_of(2) { "" } else { "!" };
                self.stage.plan = marked(mark, self.stage.plan.clone());
                self.stage.channel.reload(self.stage.plan.clone()).await;
            }
            Event::Hold => drop(self.stage.channel.hold("record", "anna").await),
            Event::Release => drop(self.stage.channel.release("record", "anna").await),
            Event::Halt => {
                drop(self.stage.channel.halt("anna").await);
                self.cut.extend(self.stage.deliveries(DeliveryState::Begun));
            }
            Event::Resume => drop(self.stage.channel.resume("anna").await),
            Event::Turn(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            Event::Pass(milliseconds) => {
                tokio::time::advance(Duration::from_millis(milliseconds.into())).await;
            }
        }
    }

    /// Everything is mended, and everybody waits until all has ended. Returns what each sender heard.
    async fn end(&mut self) -> Vec<(usize, Outcome)> {
        self.stage.store.mend();
        self.stage.channel.release("record", "anna").await.unwrap();
        self.stage.channel.resume("anna").await.unwrap();
        self.stage.plan = knowing(&["L"], self.stage.plan.clone());
        self.stage.channel.reload(self.stage.plan.clone()).await;
        let mut heard = Vec::new();
        for (number, answer) in std::mem::take(&mut self.answers) {
            heard.push((number, answer.await.unwrap().outcome));
        }
        loop {
            self.stage
                .until("all has ended, or waits for a person", |snapshot| {
                    let held = |stored: &StoredMessage| stored.state == MessageState::Held;
                    is_quiet(snapshot) && !snapshot.messages.iter().any(held)
                        || snapshot.deliveries.iter().any(|delivery| delivery.tally.stopped)
                })
                .await;
            let snapshot = self.stage.memory.snapshot();
            let Some(stopped) = snapshot.deliveries.iter().find(|delivery| delivery.tally.stopped) else {
                return heard;
            };
            self.stage.channel.resend(stopped.id, None, None, "anna").await.unwrap();
        }
    }

    fn check(&self, heard: &[(usize, Outcome)]) {
        for (number, outcome) in heard {
            let (kind, text) = &self.sent[*number];
            if outcome.is_positive() {
                self.has_arrived(*kind, text);
            }
            if kind.deliveries() == [0, 0] {
                let id = text.split(' ').next().unwrap();
                let tried = self.peers.iter().flat_map(|peer| peer.tried()).any(|body| body.starts_with(id));
                assert!(!tried, "{text} was sent");
            }
        }
        self.nothing_is_sent_twice();
        self.first_tries_keep_the_order();
    }

    /// What has ended in the store ends in memory, with the next try to write it.
    async fn nothing_is_counted_any_more(&self) {
        let depths = || self.stage.channel.view().destinations.iter().map(|outlet| outlet.depth).sum::<u64>();
        for _ in 0..100 {
            if depths() > 0 {
                tokio::time::advance(Duration::from_millis(100)).await;
            }
        }
        assert_eq!(depths(), 0);
    }

    /// Accepted: every delivery of it was taken by its peer, or refused by it.
    fn has_arrived(&self, kind: Kind, text: &str) {
        let id = text.split(' ').next().unwrap();
        for (peer, expected) in self.peers.iter().zip(kind.deliveries()) {
            let ended: HashSet<String> = peer
                .sends()
                .into_iter()
                .filter(|sent| matches!(sent.answer, Answer::Take | Answer::Nack("AE")))
                .filter(|sent| sent.body.starts_with(id))
                .map(|sent| sent.body.trim_end_matches('!').to_owned())
                .collect();
            assert_eq!(ended.len(), expected, "{text} was accepted and is not at {}", peer.name);
        }
    }

    fn nothing_is_sent_twice(&self) {
        let snapshot = self.stage.memory.snapshot();
        for peer in &self.peers {
            let mut ended: HashMap<String, usize> = HashMap::new();
            let mut cuts: HashMap<String, usize> = HashMap::new();
            for sent in peer.sends() {
                let body = sent.body.trim_end_matches('!').to_owned();
                // A copy that is processed anew has the effects of the first.
                let of_it = snapshot.deliveries.iter().filter(|delivery| delivery.effect == sent.effect);
                let ids: HashSet<DeliveryId> = of_it.map(|delivery| delivery.id).collect();
                assert!(!ids.is_empty(), "what is sent is in the store");
                cuts.insert(body.clone(), self.cut.iter().filter(|cut| ids.contains(cut)).count());
                if sent.answer == Answer::Take {
                    *ended.entry(body).or_default() += 1;
                }
            }
            for (body, times) in ended {
                assert!(times <= 1 + cuts[&body], "{} took {body} {times} times", peer.name);
            }
        }
    }

    /// By arrival at the archive; at the record among those that share a key.
    fn first_tries_keep_the_order(&self) {
        let mut last: BTreeMap<(usize, String), (MessageId, u32)> = BTreeMap::new();
        let snapshot = self.stage.memory.snapshot();
        for (index, peer) in self.peers.iter().enumerate() {
            let mut seen = HashSet::new();
            for sent in peer.sends() {
                if !seen.insert(sent.effect) {
                    continue;
                }
                let of_it: Vec<_> =
                    snapshot.deliveries.iter().filter(|delivery| delivery.effect == sent.effect).collect();
                // A copy that is processed anew comes at its own place, with the effect of the first.
                let [delivery] = of_it[..] else { continue };
                let position = (delivery.message, delivery.part.unwrap_or(0));
                // In the order of arrival one that waits for a code is overtaken.
                if index != 1 && sent.body.contains("hold:") {
                    continue;
                }
                let lanes = if index == 1 { delivery.keys.clone() } else { vec!["*".to_owned()] };
                let lanes = if lanes.is_empty() { vec![String::new()] } else { lanes };
                for lane in lanes {
                    let before = last.insert((index, lane), position);
                    assert!(
                        before.is_none_or(|before| before < position),
                        "{} at {} is late",
                        sent.body,
                        peer.name
                    );
                }
            }
        }
    }
}

fn play(when: ReplyWhen, ahead: ReadAhead, events: Vec<Event>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut play = Play::start(when, ahead).await;
        for event in events {
            play.happen(event).await;
        }
        let heard = play.end().await;
        play.check(&heard);
        play.nothing_is_counted_any_more().await;
        assert!(play.stage.deliveries(DeliveryState::Begun).is_empty());
        play.stage.channel.stop(Duration::ZERO).await;
    });
}

/// All of a queue in memory, or hardly any of it.
fn read_aheads() -> impl Strategy<Value = ReadAhead> {
    let little = (1..6usize, 1..4usize, 1..4usize);
    let little = little.prop_map(|(deliveries, of_a_key, page)| ReadAhead { deliveries, of_a_key, page });
    prop_oneof![1 => Just(ReadAhead::default()), 3 => little]
}

fn modes() -> impl Strategy<Value = ReplyWhen> {
    let from = Just(ReplyWhen::From("record".to_owned()));
    prop_oneof![
        2 => Just(ReplyWhen::Processed),
        1 => Just(ReplyWhen::Stored),
        2 => Just(ReplyWhen::Delivered),
        1 => Just(ReplyWhen::Script),
        1 => from,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_is_accepted_arrives_once_and_in_order(
        when in modes(),
        ahead in read_aheads(),
        events in events(),
    ) {
        play(when, ahead, events);
    }
}
