//! What a FHIR source asks of a server, page for page, and what it makes of servers that fail in between.

#![allow(clippy::unwrap_used)]

mod stage;

use std::path::Path;

use serde_json::{Value, json};
use stage::{Asked, Stage, Web, says};

const DATE: &str = "Date: Sun, 01 Mar 2026 08:00:00 GMT";

/// A version of an observation, changed at so many seconds past the minute.
fn version(id: &str, version: &str, second: u32) -> Value {
    let changed = format!("2026-03-01T07:59:{second:02}Z");
    json!({ "resourceType": "Observation", "id": id, "meta": { "versionId": version, "lastUpdated": changed } })
}

fn page(found: &[Value], next: Option<&str>) -> String {
    let entries: Vec<Value> =
        found.iter().map(|one| json!({ "resource": one, "search": { "mode": "match" } })).collect();
    let links: Vec<Value> = next.iter().map(|url| json!({ "relation": "next", "url": url })).collect();
    json!({ "resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries }).to_string()
}

async fn searching(root: &Path, web: &Web, settings: Value) -> Stage {
    let mut all = json!({
        "base": web.url("/fhir"), "search": "Observation?status=final", "every": "1ms", "capabilities": "ignored",
    });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Stage::searching(root, all).await
}

/// Takes the next request, and answers it so.
async fn answer(web: &Web, status: u16, body: &str) -> Asked {
    web.answer(says(status, &[DATE, "Connection: close"], body)).await.0
}

async fn path(web: &Web, body: &str) -> String {
    let asked = answer(web, 200, body).await;
    asked.line.split(' ').nth(1).unwrap().to_owned()
}

/// What was kept: id and version of each, in order.
fn kept(stage: &Stage) -> Vec<String> {
    let messages = stage.messages();
    let one = |facts: &engine::Facts| {
        format!("{}/{}", facts["id"].as_str().unwrap(), facts["version"].as_str().unwrap())
    };
    messages.iter().map(|stored| one(&stored.message.facts)).collect()
}

#[tokio::test]
async fn each_version_is_taken_once_page_for_page_and_again_from_the_servers_own_time() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage = searching(root.path(), &web, json!({ "page": 2 })).await;
    let first = [version("a", "1", 1), version("b", "1", 2)];
    let next = "http://inside.example.org:8080/fhir?page=2";
    assert_eq!(
        path(&web, &page(&first, Some(next))).await,
        "/fhir/Observation?status=final&_sort=_lastUpdated&_count=2"
    );
    assert_eq!(
        path(&web, &page(&[version("c", "1", 3)], None)).await,
        "/fhir?page=2",
        "it never leaves its server"
    );
    stage.ended(3).await;
    // The next search looks back by the overlap; what it finds again is not taken again.
    let again = [version("b", "1", 2), version("b", "2", 4), version("late", "1", 0)];
    let since = "_lastUpdated=ge2026-03-01T07:50:00Z";
    assert!(path(&web, &page(&again, None)).await.contains(since));
    stage.ended(5).await;
    assert!(path(&web, &page(&again, None)).await.contains(since));
    stage.stop().await;
    // Where it has come to outlives the process; the store knows what it took.
    let stage = searching(root.path(), &web, json!({})).await;
    assert!(path(&web, &page(&[], None)).await.contains(since));
    stage.stop().await;
    assert_eq!(kept(&stage), [""; 0]);
}

#[tokio::test]
async fn what_was_taken_by_an_earlier_run_is_known_by_its_message() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage = searching(root.path(), &web, json!({})).await;
    let all = [version("a", "1", 1), version("b", "1", 2)];
    // The first search breaks off behind its first page: nothing says how far it came.
    path(&web, &page(&all, Some("/fhir?page=2"))).await;
    answer(&web, 500, "").await;
    stage.ended(2).await;
    path(&web, &page(&all, None)).await;
    path(&web, &page(&all, None)).await;
    assert_eq!(kept(&stage), ["a/1", "b/1"]);
    stage.stop().await;
}

#[tokio::test]
async fn a_link_that_has_died_is_taken_up_behind_what_it_brought() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage = searching(root.path(), &web, json!({})).await;
    path(&web, &page(&[version("a", "1", 1), version("b", "1", 2)], Some("/fhir?page=2"))).await;
    answer(&web, 410, "").await;
    let asked = path(&web, &page(&[version("b", "1", 2), version("c", "1", 3)], None)).await;
    assert!(asked.contains("_lastUpdated=ge2026-03-01T07:59:02Z"), "{asked}");
    stage.ended(3).await;
    assert_eq!(kept(&stage), ["a/1", "b/1", "c/1"]);
    // Of pages without order nobody knows what lies behind: the search fails, and begins where it began.
    path(&web, &page(&[version("e", "1", 9), version("d", "1", 5)], Some("/fhir?page=2"))).await;
    answer(&web, 404, "").await;
    let asked = path(&web, &page(&[], None)).await;
    assert!(asked.contains("_lastUpdated=ge2026-03-01T07:50:00Z"), "{asked}");
    stage.stop().await;
}

#[tokio::test]
async fn a_server_that_answers_anything_else_is_asked_again_and_nothing_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage =
        searching(root.path(), &web, json!({ "since": "2026-01-01T00:00:00Z", "timeout": "5s" })).await;
    let circle = page(&[], Some("/fhir?page=2"));
    for (status, body) in [(503, ""), (200, "<html>"), (200, "{\"resourceType\": \"Patient\"}"), (401, "{}")]
    {
        let asked = answer(&web, status, body).await;
        assert!(asked.line.contains("_lastUpdated=ge2026-01-01T00:00:00Z"), "{}", asked.line);
    }
    // Pages that come back to themselves.
    path(&web, &circle).await;
    path(&web, &circle).await;
    let asked = path(&web, &page(&[version("a", "1", 1)], None)).await;
    assert!(asked.contains("_lastUpdated=ge2026-01-01T00:00:00Z"), "{asked}");
    stage.ended(1).await;
    stage.stop().await;
}

#[tokio::test]
async fn what_the_server_says_of_the_search_itself_is_no_message() {
    let root = tempfile::tempdir().unwrap();
    let web = Web::open().await;
    let stage = searching(root.path(), &web, json!({})).await;
    let entries = json!([
        { "resource": { "resourceType": "OperationOutcome", "id": "x" }, "search": { "mode": "outcome" } },
        { "resource": { "resourceType": "Patient", "id": "p" }, "search": { "mode": "include" } },
        { "resource": version("a", "1", 1) },
    ]);
    path(&web, &json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries }).to_string()).await;
    let messages = stage.ended(2).await;
    let of = |place: usize, name: &str| messages[place].message.facts[name].as_str().unwrap().to_owned();
    assert_eq!((of(0, "type"), of(0, "mode")), ("Patient".to_owned(), "include".to_owned()));
    assert_eq!((of(1, "type"), of(1, "mode")), ("Observation".to_owned(), "match".to_owned()));
    stage.stop().await;
}
