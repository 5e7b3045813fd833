//! Queues that are longer than memory holds of them: order, keys, people and counts beyond what is in memory.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use engine::{Content, DeliveryId, DeliveryState, Order, Outcome, QueueMode, ReadAhead, ReplyWhen};
use proptest::prelude::*;
use stage::{Answer, News, Peer, Sight, Stage, outlet, plan, replying};

/// So little that everything happens with few messages.
const LITTLE: ReadAhead = ReadAhead { deliveries: 4, of_a_key: 2, page: 2 };

async fn one(order: Order, ahead: ReadAhead) -> (Stage, Arc<Peer>) {
    replied(ReplyWhen::Processed, order, ahead).await
}

async fn replied(when: ReplyWhen, order: Order, ahead: ReadAhead) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let mut outlet = outlet(&peer);
    outlet.order = order;
    outlet.workers = 3;
    let plan = replying(when, plan(vec![outlet]));
    let stage = Stage::start_with(&news, plan, |store| store.reads_ahead(ahead)).await;
    (stage, peer)
}

fn depth(stage: &Stage) -> u64 {
    stage.channel.view().destinations[0].depth
}

/// How many the store has waiting.
fn waiting(stage: &Stage) -> u64 {
    let all = stage.memory.snapshot().deliveries;
    let waits =
        |state| matches!(state, DeliveryState::Waiting | DeliveryState::Begun | DeliveryState::Unsure);
    all.iter().filter(|stored| waits(stored.state)).count() as u64
}

/// Lets every task go on as far as it can without time passing.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_is_read_while_the_one_before_it_is_sent() {
    let (mut stage, peer) = one(Order::Arrival, ReadAhead::default()).await;
    stage.channel.hold("record", "anna").await.unwrap();
    for message in ["A", "B", "C"] {
        stage.receive(message).await;
    }
    // Nothing of what is to be sent is in memory after a start.
    stage.crash().await;
    peer.shut();
    stage.channel.release("record", "anna").await.unwrap();
    stage.news.until("A is being sent", || peer.tried() == ["A"]).await;
    settle().await;
    stage.store.sees(Sight::Blind);
    peer.open();
    stage.news.until("B goes without a look into the store", || peer.took() == ["A", "B"]).await;
    settle().await;
    assert_eq!(peer.tried(), ["A", "B"], "C could not be read");
    stage.store.sees(Sight::Clear);
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B", "C"]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_beyond_memory_goes_in_order_and_across_a_restart() {
    for order in [Order::Arrival, Order::Key, Order::None] {
        let (mut stage, peer) = one(order, LITTLE).await;
        stage.channel.hold("record", "anna").await.unwrap();
        let sent: Vec<String> = (0..40).map(|number| format!("M{number} key:{}", number % 3)).collect();
        for message in &sent {
            stage.receive(message).await;
        }
        assert_eq!(depth(&stage), 40);
        stage.crash_with(|store| store.reads_ahead(LITTLE)).await;
        settle().await;
        assert_eq!(depth(&stage), 40);
        for message in &sent {
            stage.receive(&format!("{message} again")).await;
        }
        assert_eq!(depth(&stage), 80);
        stage.channel.release("record", "anna").await.unwrap();
        stage.quiet().await;
        settle().await;
        assert_eq!(depth(&stage), 0);
        let took = peer.took();
        assert_eq!(took.len(), 80);
        if order == Order::Arrival {
            let expected = sent.iter().cloned().chain(sent.iter().map(|message| format!("{message} again")));
            assert_eq!(took, expected.collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_stuck_with_many_behind_them_hold_no_other() {
    let ahead = ReadAhead { deliveries: 12, ..LITTLE };
    for is_restarted in [false, true] {
        let (mut stage, peer) = one(Order::Key, ahead).await;
        peer.answers_to("S", vec![Answer::AwayFor(3600); 2]);
        for number in 0..60 {
            let stuck = number % 2;
            stage.receive(&format!("S{number} key:stuck{stuck}")).await;
        }
        if is_restarted {
            stage.crash_with(|store| store.reads_ahead(ahead)).await;
        }
        for number in 0..60 {
            stage.receive(&format!("M{number} key:{}", number % 7)).await;
        }
        stage.news.until("the others went", || peer.took().len() == 60).await;
        assert!(peer.took().iter().all(|body| body.starts_with('M')));
        stage.quiet().await;
        assert_eq!(peer.took().len(), 120);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_is_served_beyond_memory_too() {
    let (stage, peer) = replied(ReplyWhen::From("record".to_owned()), Order::Arrival, LITTLE).await;
    peer.shut();
    let answers: Vec<_> = (0..7).map(|number| stage.send(&format!("M{number}"))).collect();
    stage.news.until("the first is tried", || peer.tried().len() == 1).await;
    settle().await;
    peer.open();
    for answer in answers {
        assert!(answer.await.unwrap().body.is_some(), "it hears what the destination said");
    }
    peer.answers([Answer::AwayFor(3600)]);
    let before = tokio::time::Instant::now();
    for number in 10..30 {
        let reply = stage.receive(&format!("M{number}")).await;
        assert_eq!((reply.outcome, reply.body), (Outcome::Accepted, None));
    }
    assert!(before.elapsed().is_zero(), "behind one that waits nobody waits");
    stage.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_nothing_stays_beyond_memory_when_its_sender_has_left() {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let mut outlet = outlet(&peer);
    outlet.queue = QueueMode::Never;
    let plan = replying(ReplyWhen::Delivered, plan(vec![outlet]));
    let stage = Stage::start_with(&news, plan, |store| store.reads_ahead(LITTLE)).await;
    peer.shut();
    let answers: Vec<_> = (0..20).map(|number| stage.send(&format!("M{number}"))).collect();
    for answer in answers {
        assert_eq!(answer.await.unwrap().outcome, Outcome::Failed);
    }
    peer.open();
    stage.quiet().await;
    assert_eq!(peer.tried().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn payloads_beyond_memory_are_made_again() {
    let (mut stage, peer) = one(Order::Arrival, LITTLE).await;
    stage.channel.hold("record", "anna").await.unwrap();
    for number in 0..20 {
        stage.receive(&format!("M{number}")).await;
    }
    stage.plan = stage::marked("!", stage.plan.clone());
    stage.channel.reload(stage.plan.clone()).await;
    assert_eq!(stage.channel.rerun_waiting().await.unwrap(), (20, Vec::new()));
    stage.channel.release("record", "anna").await.unwrap();
    stage.quiet().await;
    assert!(peer.took().iter().all(|body| body.ends_with('!')));
}

/// One thing that happens to a queue.
#[derive(Debug, Clone)]
enum Event {
    Send(BTreeSet<u8>),
    /// A message to come finds nobody, so many times.
    Stick(usize, usize),
    Away(usize),
    Nack,
    Drop(usize),
    Resend(usize),
    Edit(usize),
    Park,
    Hold,
    Release,
    Order(Order),
    Crash,
    Restart,
    Pass(u16),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let keys = prop_oneof![
        1 => Just(BTreeSet::new()),
        6 => (0..4u8).prop_map(|key| BTreeSet::from([key])),
        3 => prop::collection::btree_set(0..4u8, 2..4),
    ];
    let orders = prop_oneof![3 => Just(Order::Key), 1 => Just(Order::Arrival), 1 => Just(Order::None)];
    let event = prop_oneof![
        30 => keys.prop_map(Event::Send),
        3 => (0..10usize, 1..20usize).prop_map(|(which, times)| Event::Stick(which, times)),
        2 => (1..4usize).prop_map(Event::Away),
        1 => Just(Event::Nack),
        3 => (0..40usize).prop_map(Event::Drop),
        3 => (0..40usize).prop_map(Event::Resend),
        2 => (0..40usize).prop_map(Event::Edit),
        1 => Just(Event::Park),
        2 => Just(Event::Hold),
        3 => Just(Event::Release),
        1 => orders.prop_map(Event::Order),
        1 => Just(Event::Crash),
        1 => Just(Event::Restart),
        4 => (1..2_000u16).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 1..80)
}

struct Play {
    stage: Stage,
    peer: Arc<Peer>,
    sent: usize,
    ahead: ReadAhead,
    cut: Vec<DeliveryId>,
    /// Those that a person took hold of: their place in the order is that person's doing.
    touched: HashSet<DeliveryId>,
    /// The order was another one for a while.
    is_reordered: bool,
}

impl Play {
    async fn start(ahead: ReadAhead) -> Self {
        let (stage, peer) = one(Order::Key, ahead).await;
        let (cut, touched) = (Vec::new(), HashSet::new());
        Self { stage, peer, sent: 0, ahead, cut, touched, is_reordered: false }
    }

    async fn happen(&mut self, event: Event) {
        let ahead = self.ahead;
        match event {
            Event::Send(keys) => {
                let keys = keys.iter().fold(String::new(), |keys, key| format!("{keys} key:{key}"));
                self.stage.receive(&format!("M{}.{keys}", self.sent)).await;
                self.sent += 1;
            }
            Event::Stick(which, times) => {
                let message = format!("M{}.", self.sent + which);
                self.peer.answers_to(&message, vec![Answer::AwayFor(2); times]);
            }
            Event::Away(times) => self.peer.answers(vec![Answer::AwayFor(2); times]),
            Event::Nack => self.peer.answers([Answer::Nack("AE")]),
            Event::Drop(which) => {
                self.on(which, |stage, id| async move { drop(stage.drop_delivery(id, "anna").await) }).await;
            }
            Event::Resend(which) => {
                self.on(which, |stage, id| async move { drop(stage.resend(id, None, None, "anna").await) })
                    .await;
            }
            Event::Edit(which) => {
                let body = || Some(Content::from(b"edited".to_vec()));
                self.on(which, |stage, id| async move { drop(stage.resend(id, None, body(), "anna").await) })
                    .await;
            }
            Event::Park => {
                let parked = self.stage.channel.park("record", "anna").await;
                self.touched.extend(parked.ok().flatten());
            }
            Event::Hold => self.stage.channel.hold("record", "anna").await.unwrap(),
            Event::Release => self.stage.channel.release("record", "anna").await.unwrap(),
            Event::Order(order) => {
                self.stage.plan.outlets[0].order = order;
                self.is_reordered = true;
                self.stage.channel.reload(self.stage.plan.clone()).await;
            }
            Event::Crash => {
                let cut = self.stage.crash_with(|store| store.reads_ahead(ahead)).await;
                self.cut.extend(cut);
            }
            Event::Restart => {
                let cut = self.stage.restart_with(|store| store.reads_ahead(ahead)).await;
                self.cut.extend(cut);
            }
            Event::Pass(milliseconds) => {
                tokio::time::advance(Duration::from_millis(milliseconds.into())).await;
            }
        }
    }

    /// Has a person do something to one of the deliveries.
    async fn on<F: Future<Output = ()>>(
        &mut self,
        which: usize,
        act: impl FnOnce(Arc<engine::Channel>, DeliveryId) -> F,
    ) {
        let all = self.stage.memory.snapshot().deliveries;
        let Some(delivery) = all.get(which % all.len().max(1)) else { return };
        self.touched.insert(delivery.id);
        act(Arc::clone(&self.stage.channel), delivery.id).await;
        let after = self.stage.memory.snapshot().deliveries;
        self.touched.extend(after.iter().skip(all.len()).map(|delivery| delivery.id));
    }

    async fn end(&mut self) {
        self.stage.channel.release("record", "anna").await.unwrap();
        loop {
            let stage = &self.stage;
            stage
                .until("all has ended", |snapshot| {
                    stage::is_quiet(snapshot)
                        || snapshot.deliveries.iter().any(|delivery| delivery.tally.stopped)
                })
                .await;
            let all = stage.memory.snapshot().deliveries;
            let Some(stopped) = all.iter().find(|delivery| delivery.tally.stopped) else { return };
            stage.channel.resend(stopped.id, None, None, "anna").await.unwrap();
        }
    }

    fn check(&self) {
        let all = self.stage.memory.snapshot().deliveries;
        let sends = self.peer.sends();
        for delivery in &all {
            let times = sends
                .iter()
                .filter(|sent| sent.effect == delivery.effect && sent.answer == Answer::Take)
                .count();
            let cuts = self.cut.iter().filter(|cut| **cut == delivery.id).count();
            let least = usize::from(delivery.state == DeliveryState::Sent);
            assert!((least..=least + cuts).contains(&times), "{delivery:?} arrived {times} times");
        }
        if self.is_reordered {
            return;
        }
        let mut last: BTreeMap<String, DeliveryId> = BTreeMap::new();
        let mut seen = HashSet::new();
        for sent in sends.iter().filter(|sent| seen.insert(sent.effect)) {
            let delivery = all.iter().find(|delivery| delivery.effect == sent.effect).unwrap();
            if self.touched.contains(&delivery.id) {
                continue;
            }
            let nothing = vec![String::new()];
            for key in if delivery.keys.is_empty() { &nothing } else { &delivery.keys } {
                let before = last.insert(key.clone(), delivery.id);
                assert!(before.is_none_or(|before| before < delivery.id), "{} is late", sent.body);
            }
        }
    }
}

fn play(ahead: ReadAhead, events: Vec<Event>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut play = Play::start(ahead).await;
        for event in events {
            let what = format!("{event:?}");
            play.happen(event).await;
            settle().await;
            assert_eq!(depth(&play.stage), waiting(&play.stage), "after {what}");
        }
        play.end().await;
        settle().await;
        assert_eq!(depth(&play.stage), 0);
        play.check();
        play.stage.channel.stop(Duration::ZERO).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_is_sent_once_in_order_and_counted_whatever_is_in_memory(
        deliveries in 1..6usize,
        of_a_key in 1..4usize,
        page in 1..4usize,
        events in events(),
    ) {
        play(ReadAhead { deliveries, of_a_key, page }, events);
    }
}
