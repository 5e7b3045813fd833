//! The store on disk is held to the one in memory: random operations against both must agree.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;
mod model {
    pub(crate) mod compare;
    pub(crate) mod operation;
}

use engine::Memory;
use model::{
    compare::compare,
    operation::{Operation, Pair, operations},
};
use proptest::prelude::*;
use store::{Settings, Sqlite};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_disk_agree(operations in operations()) {
        play(operations, Settings::default());
    }

    #[test]
    fn they_agree_also_where_every_few_messages_begin_another_file(operations in operations()) {
        play(operations, Settings { span: 3, ..Settings::default() });
    }
}

fn play(operations: Vec<Operation>, settings: Settings) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(operations, settings));
}

async fn run(operations: Vec<Operation>, settings: Settings) {
    let folder = tempfile::tempdir().unwrap();
    let mut pair = Pair { memory: Memory::new(), disk: Sqlite::open_with(folder.path(), settings).unwrap() };
    pair.number_alike();
    let last = operations.len() - 1;
    for (number, operation) in operations.into_iter().enumerate() {
        pair = if matches!(operation, Operation::Restart) {
            restart(pair, folder.path(), settings)
        } else {
            pair.apply(&operation).await;
            pair
        };
        // To look at everything takes longer than to do something.
        if number % 4 == 0 || number == last {
            compare(&pair, &operation).await;
        }
    }
}

/// A store that is opened anew doubts what was begun; the one in memory has no such moment.
fn restart(pair: Pair, folder: &std::path::Path, settings: Settings) -> Pair {
    let begun = |delivery: &engine::memory::StoredDelivery| delivery.state == engine::DeliveryState::Begun;
    if pair.memory.snapshot().deliveries.iter().any(begun) {
        return pair;
    }
    drop(pair.disk);
    pair.memory.reopen();
    let pair = Pair { disk: Sqlite::open_with(folder, settings).unwrap(), memory: pair.memory };
    pair.number_alike();
    pair
}
