//! Many writers compete for one period: one wins, and the others learn which.

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::*;

const WRITERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_race_for_a_period_has_one_winner() {
    races(60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn a_thousand_races_for_a_period_have_one_winner_each() {
    races(1000).await;
}

async fn races(rounds: usize) {
    let server = Server::start().await;
    // Each writer has its own connections, like a driver on another machine.
    server.new_store().await;
    let stores = [(); WRITERS].map(|()| Arc::new(server.store("test-0")));
    let mut stored: Option<PeriodRecord> = None;
    for round in 0..rounds {
        let (next, expected) = match &stored {
            None => (january(), Expected::Absent),
            Some(record) => (record.revised(), record.expected()),
        };
        let winners = race(&stores, &next, &expected, round).await;
        let found = stores[0].get(&next.dataset, next.period).await;
        let found = found.expect("get").expect("an item");
        assert_eq!(
            winners,
            std::slice::from_ref(&found.load_id),
            "round {round}"
        );
        stored = Some(found);
    }
}

/// Returns the writers whose write succeeded.
async fn race(
    stores: &[Arc<DynamoDb>],
    next: &PeriodRecord,
    expected: &Expected,
    round: usize,
) -> Vec<String> {
    let start = Arc::new(Barrier::new(stores.len()));
    let mut writers = JoinSet::new();
    for (writer, store) in stores.iter().enumerate() {
        let (store, start, expected) = (store.clone(), start.clone(), expected.clone());
        let mut record = next.clone();
        record.load_id = format!("round {round}, writer {writer}");
        record.attempt += 1;
        record.lease_owner = Some(record.load_id.clone());
        writers.spawn(async move {
            start.wait().await;
            let answer = store.put(&record, &expected).await;
            (record.load_id, answer)
        });
    }
    let mut winners = Vec::new();
    for (writer, answer) in writers.join_all().await {
        match answer {
            Ok(()) => winners.push(writer),
            Err(StatusError::Conflict {
                current: Some(current),
            }) => assert_ne!(current.load_id, writer),
            Err(error) => panic!("{writer}: {error:?}"),
        }
    }
    winners
}
