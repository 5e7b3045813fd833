//! What a DICOMweb source asks of a server, and what it makes of servers that fail in between.

#![allow(clippy::unwrap_used)]

mod stage;

use std::path::Path;

use engine::ReplyWords;
use serde_json::{Value, json};
use stage::{Stage, Web, says};

async fn searching(root: &Path, web: &Web) -> Stage {
    let settings = json!({ "url": web.url("/dicom-web"), "every": "1ms", "take": "metadata", "search": "ModalitiesInStudy=CT" });
    Stage::fetching("dicomweb", root, settings, ReplyWords::default()).await
}

/// Takes the next request, and answers it so; what was asked, without what all have in common.
async fn asked(web: &Web, status: u16, body: &str) -> String {
    let (asked, _) = web.answer(says(status, &["Connection: close"], body)).await;
    let path = asked.line.split(' ').nth(1).unwrap().to_owned();
    path.trim_start_matches("/dicom-web/studies").replace("limit=500&offset=0", "")
}

fn studies(counts: &[(&str, u64)]) -> String {
    let study = |(uid, count): &(&str, u64)| json!({ "0020000D": { "Value": [uid] }, "00201208": { "Value": [count] } });
    Value::from(counts.iter().map(study).collect::<Vec<_>>()).to_string()
}

fn instances(uids: &[&str]) -> String {
    let instance = |uid: &&str| json!({ "0020000E": { "Value": ["1.2.1"] }, "00080018": { "Value": [uid] } });
    Value::from(uids.iter().map(instance).collect::<Vec<_>>()).to_string()
}

#[tokio::test]
async fn what_the_server_does_not_give_holds_back_nothing_and_is_looked_for_again() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage = searching(root.path(), &web).await;
    let both = instances(&["1.2.1.1", "1.2.1.2"]);
    assert_eq!(asked(&web, 200, &studies(&[("1.2", 2)])).await, "?ModalitiesInStudy=CT&");
    assert_eq!(asked(&web, 200, &both).await, "/1.2/instances?");
    assert_eq!(asked(&web, 500, "").await, "/1.2/series/1.2.1/instances/1.2.1.1/metadata");
    assert_eq!(asked(&web, 200, "[{}]").await, "/1.2/series/1.2.1/instances/1.2.1.2/metadata");
    stage.ended(1).await;
    stage.trouble(Some("it answered 500 for the metadata of an instance")).await;
    asked(&web, 200, &studies(&[("1.2", 2)])).await;
    asked(&web, 200, &both).await;
    assert_eq!(asked(&web, 200, "[{}]").await, "/1.2/series/1.2.1/instances/1.2.1.1/metadata");
    stage.ended(2).await;
    // A study that was taken whole is not looked into until it has more instances.
    for _ in 0..2 {
        assert_eq!(asked(&web, 200, &studies(&[("1.2", 2)])).await, "?ModalitiesInStudy=CT&");
    }
    stage.trouble(None).await;
    asked(&web, 200, &studies(&[("1.2", 3)])).await;
    assert_eq!(asked(&web, 200, &instances(&["1.2.1.1", "1.2.1.2", "1.2.1.3"])).await, "/1.2/instances?");
    assert_eq!(asked(&web, 200, "[{}]").await, "/1.2/series/1.2.1/instances/1.2.1.3/metadata");
    stage.ended(3).await;
    stage.stop().await;
}

#[tokio::test]
async fn what_was_taken_is_known_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage = searching(root.path(), &web).await;
    asked(&web, 200, &studies(&[("1.2", 2)])).await;
    asked(&web, 200, &instances(&["1.2.1.1", "1.2.1.2"])).await;
    asked(&web, 200, "[{}]").await;
    asked(&web, 200, "[{}]").await;
    stage.ended(2).await;
    // The next search begins when all of the last is noted.
    asked(&web, 200, &studies(&[("1.2", 2)])).await;
    stage.stop().await;
    let stage = searching(root.path(), &web).await;
    for _ in 0..2 {
        assert_eq!(asked(&web, 200, &studies(&[("1.2", 2)])).await, "?ModalitiesInStudy=CT&");
    }
    stage.stop().await;
    assert_eq!(stage.messages().len(), 0);
}

#[tokio::test]
async fn a_server_that_gives_nothing_ends_the_search() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage = searching(root.path(), &web).await;
    let many: Vec<String> = (1..=30).map(|number| format!("1.2.1.{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    asked(&web, 200, &studies(&[("1.2", 30)])).await;
    asked(&web, 200, &instances(&many)).await;
    for _ in 0..10 {
        assert!(asked(&web, 503, "").await.ends_with("/metadata"));
    }
    assert_eq!(asked(&web, 200, "<html/>").await, "?ModalitiesInStudy=CT&");
    stage.trouble(Some("its answer is no JSON")).await;
    stage.stop().await;
}
