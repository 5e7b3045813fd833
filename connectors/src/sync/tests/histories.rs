//! Random histories: whatever goes wrong in whatever order, the end is the same.

use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::{DAY, HOUR, Stage};
use crate::{
    annuaire::mock::{Deed, Event, Fault, FaultKind},
    sync::plan::Rejects,
};

/// One thing that happens in a history.
#[derive(Debug, Clone)]
enum Happens {
    Change { count: u64, late: i64 },
    Deactivate(u64),
    Add(u64),
    Delete(u64),
    Garble(u64),
    Mend,
    Reload,
    Time(i64),
    Fault(FaultKind, u64),
    Run { full: bool, crash: Option<i64> },
    During(u64, Deed),
}

fn happens() -> impl Strategy<Value = Happens> {
    let fault = prop::sample::select(vec![
        FaultKind::BadGateway,
        FaultKind::Timeout,
        FaultKind::Unknown,
        FaultKind::NoContext,
        FaultKind::TooMany,
        FaultKind::Html,
        FaultKind::Truncated,
        FaultKind::Cut,
        FaultKind::LinkTooOld,
        FaultKind::NoTotal,
        FaultKind::Double,
        FaultKind::LostId,
        FaultKind::BadEntry,
    ]);
    prop_oneof![
        3 => (1..6_u64, 0..20 * HOUR).prop_map(|(count, late)| Happens::Change { count, late }),
        2 => (1..3_u64).prop_map(Happens::Deactivate),
        2 => (1..4_u64).prop_map(Happens::Add),
        1 => (1..3_u64).prop_map(Happens::Delete),
        1 => Just(Happens::Reload),
        2 => (1..4_u64).prop_map(Happens::Garble),
        1 => Just(Happens::Mend),
        2 => (HOUR..3 * DAY).prop_map(Happens::Time),
        // The server's clock is set back, and forth.
        1 => prop::sample::select(vec![-DAY, DAY]).prop_map(Happens::Time),
        3 => (fault, 3..9_u64).prop_map(|(kind, calls)| Happens::Fault(kind, calls)),
        4 => (any::<bool>(), prop::option::of(0..12_i64)).prop_map(|(full, crash)| Happens::Run { full, crash }),
        2 => (1..9_u64, prop::sample::select(vec![Deed::Change, Deed::Deactivate, Deed::Add]))
            .prop_map(|(after, deed)| Happens::During(after, deed)),
    ]
}

async fn play(stage: &Stage, history: &[Happens]) {
    let server = &stage.server;
    let happen = |deed, count, late: i64| {
        let late = (late > 0).then(|| format!("{late}ms").parse().unwrap());
        server.annuaire().happen(&Event { count, late, ..Event::new(deed) }, server.now());
    };
    for one in history {
        server.pass(60_000);
        match one {
            Happens::Change { count, late } => happen(Deed::Change, *count, *late),
            Happens::Deactivate(count) => happen(Deed::Deactivate, *count, 0),
            Happens::Add(count) => happen(Deed::Add, *count, 0),
            Happens::Delete(count) => happen(Deed::Delete, *count, 0),
            Happens::Garble(count) => happen(Deed::Garble, *count, 0),
            Happens::Mend => happen(Deed::Mend, 0, 0),
            Happens::Reload => happen(Deed::Reload, 0, 0),
            Happens::Time(milliseconds) => server.pass(*milliseconds),
            Happens::Fault(kind, calls) => {
                let now = server.now();
                server.annuaire().fail(Fault::one_in(*kind, *calls), now);
            }
            Happens::Run { full, crash } => drop(stage.run(*full, *crash).await),
            Happens::During(after, deed) => {
                let at = server.asked.load(Ordering::SeqCst) + after;
                server.during.lock().unwrap().push((at, Event::new(*deed)));
            }
        }
    }
}

/// Nothing fails any more, and a whole pass runs: then all is as it is there.
async fn converge(stage: &Stage) {
    stage.server.annuaire().mend();
    stage.server.during.lock().unwrap().clear();
    stage.server.pass(HOUR);
    // What was cut is ended first; a whole pass of its own then finds what is gone.
    for _ in 0..2 {
        stage.run(true, None).await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_directory_becomes_what_the_server_has_and_each_version_leaves_once(
        history in prop::collection::vec(happens(), 1..24),
        (practitioners, page, seed) in (0..30_u64, 1..7_u32, any::<u64>()),
        slice in prop::option::of(1..60 * DAY / 1000),
        holds in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut stage = Stage::new(practitioners, page, seed);
            stage.plan.slice = slice.map(SignedDuration::from_secs);
            if holds {
                stage.plan.unusable = Rejects::Hold;
            }
            play(&stage, &history).await;
            converge(&stage).await;
            assert_eq!(stage.held(), stage.server.truth());
            stage.told_once();
            assert_eq!(stage.noted().unusable, []);
        });
    }
}
