//! Channels that feed each other: delivered means kept there, and never twice.

#![allow(clippy::unwrap_used)]

mod stage;

use std::path::Path;

use engine::{Destination, Feeds, Opening, ReplyWords, SendError};
use serde_json::json;
use stage::{Stage, destination_in, message, opening, outbound, telling};

async fn next(feeds: &Feeds) -> Stage {
    let stage = Stage::start("channel", json!({}), ReplyWords::default(), feeds.clone(), None).await;
    // The source offers itself once its task has run.
    while feeds.find("next").is_none() {
        tokio::task::yield_now().await;
    }
    stage
}

async fn feeder(feeds: &Feeds) -> Box<dyn Destination> {
    let opening = Opening { feeds: feeds.clone(), ..opening(Path::new(".")) };
    destination_in("channel", json!({ "name": "next" }), &opening).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fed_message_is_kept_with_where_it_came_from() {
    let feeds = Feeds::default();
    let stage = next(&feeds).await;
    let response = feeder(&feeds).await.send(&outbound(message("M-1"))).await.unwrap();
    assert_eq!(response.facts["outcome"], "accepted");
    let kept = stage.messages().remove(0);
    assert_eq!(kept.message.facts["channel"], "lab");
    assert_eq!(kept.message.facts["message"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_effect_is_taken_once() {
    let feeds = Feeds::default();
    let stage = next(&feeds).await;
    let feeder = feeder(&feeds).await;
    for _ in 0..2 {
        feeder.send(&outbound(message("M-1"))).await.unwrap();
    }
    assert_eq!(stage.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_fed_channel_says_no_to_is_refused() {
    let feeds = Feeds::default();
    let _stage = next(&feeds).await;
    let feeder = feeder(&feeds).await;
    for body in [telling("M-1", "refuse"), telling("M-2", "break"), "hello".to_owned()] {
        assert!(matches!(feeder.send(&outbound(&body)).await, Err(SendError::Refused { .. })), "{body}");
    }
    let filtered = feeder.send(&outbound(telling("M-3", "filter"))).await.unwrap();
    assert_eq!(filtered.facts["outcome"], "filtered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_does_not_run_delivers_nothing() {
    let feeds = Feeds::default();
    let feeder = feeder(&feeds).await;
    let is_not_delivered = |sent| matches!(sent, Err(SendError::NotDelivered { .. }));
    assert!(is_not_delivered(feeder.send(&outbound(message("M-1"))).await));
    let stage = next(&feeds).await;
    feeder.send(&outbound(message("M-1"))).await.unwrap();
    stage.stop().await;
    assert!(is_not_delivered(feeder.send(&outbound(message("M-2"))).await));
}
