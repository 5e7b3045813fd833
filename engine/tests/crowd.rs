//! A thousand senders at once: whether what they send goes on to its destination meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use engine::{
    Channel, EmptyDirectory, Feeds, Inlet, Memory, Past, Ports, Shares, Spots, Surroundings, Unobserved,
};
use stage::{News, Peer, outlet, plan};

/// Spends a processor's time, as reading, steps and a socket do.
fn toil(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

async fn channel(peer: &Arc<Peer>, spots: Spots) -> Arc<Channel> {
    let around = Surroundings {
        store: Arc::new(Memory::new()),
        ports: Ports::default(),
        expectations: engine::Expectations::default(),
        feeds: Feeds::default(),
        shares: Shares::default(),
        observer: Arc::new(Unobserved),
        root: std::env::temp_dir(),
        notes: std::env::temp_dir(),
        spots,
        directory: Arc::new(EmptyDirectory),
    };
    Channel::start(plan(vec![outlet(peer)]), around, &Past::default()).await
}

async fn send(inlet: Inlet, stop: Arc<AtomicBool>, taken: Arc<AtomicU64>) {
    while !stop.load(Ordering::SeqCst) {
        toil(Duration::from_micros(500));
        stage::receive(inlet.clone(), "-").await;
        taken.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

fn threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// `cargo test -p engine --test crowd -- --ignored --nocapture`
#[test]
#[ignore = "prints how many are sent while a thousand are taken"]
fn how_many_are_sent_while_a_thousand_senders_send() {
    let (runtime, sends) = (threads(), threads());
    let spots = Spots::new(1);
    for (what, spots) in [("one runtime", spots.clone()), ("two", spots.sending_on(sends.handle().clone()))] {
        for senders in [1, 64, 1000] {
            let peer = Peer::new("record", &News::default());
            let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
            runtime.block_on(async {
                let channel = channel(&peer, spots.clone()).await;
                let sender = |_| tokio::spawn(send(channel.inlet(), Arc::clone(&stop), Arc::clone(&taken)));
                let tasks: Vec<_> = (0..senders).map(sender).collect();
                tokio::time::sleep(Duration::from_secs(2)).await;
                let (taken, sent) = (taken.load(Ordering::SeqCst), peer.took().len());
                println!("{what}, {senders} senders: {taken} taken, {sent} sent meanwhile");
                stop.store(true, Ordering::SeqCst);
                for task in tasks {
                    task.await.unwrap();
                }
                channel.stop(Duration::ZERO).await;
            });
        }
    }
}
