//! The directory finds what it holds by what it says of itself, keeps its versions, and lets one at a time write for a sync.

#![allow(clippy::unwrap_used, reason = "a test may")]

use bytes::Bytes;
use engine::{
    Changed, Directory as _, Hash, Mirror as _, Page, Presence, Removed, Search, Seen, SyncName, Term,
};
use serde_json::{Value, json};
use store::Directory;

fn opened(folder: &tempfile::TempDir) -> Directory {
    Directory::open(folder.path()).unwrap()
}

fn found(directory: &Directory, terms: Vec<Term>) -> Vec<String> {
    let search = Search { kind: "Practitioner".into(), terms, limit: 10, ..Search::default() };
    directory.find(&search).unwrap().into_iter().map(|held| held.id).collect()
}

fn body(resource: &Value) -> Bytes {
    resource.to_string().into()
}

fn person(id: &str, family: &str, city: &str, code: &str) -> Value {
    json!({
        "resourceType": "Practitioner", "id": id, "identifier": [{ "system": "urn:rpps", "value": format!("1{id}") }],
        "name": [{ "family": family, "given": ["Zoé"] }], "address": [{ "city": city }],
        "qualification": [{ "code": { "coding": [{ "code": code }] } }],
        "organization": { "reference": "Organization/7" },
    })
}

#[test]
fn a_resource_is_found_by_what_it_says_and_no_more_by_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let directory = opened(&folder);
    for (id, family, city, code) in
        [("1", "DUPONT-ÉTOILE", "Lyon", "10"), ("2", "Étienne", "Lyon", "21"), ("3", "DUPOND", "Brest", "10")]
    {
        directory.put("Practitioner", id, &body(&person(id, family, city, code))).unwrap();
    }
    let name = |text: &str| found(&directory, vec![Term::Name(text.into())]);
    assert_eq!(
        (name("dupon"), name("ETOILE"), name("dupont etoi")),
        (vec!["1".into(), "3".into()], vec!["1".into()], vec!["1".into()])
    );
    assert!(name("").is_empty() && name("upont").is_empty());
    let of = |system: Option<&str>, value: &str| {
        found(&directory, vec![Term::Identifier { system: system.map(str::to_owned), value: value.into() }])
    };
    assert_eq!((of(Some("urn:rpps"), "12"), of(None, "12")), (vec!["2".to_owned()], vec!["2".to_owned()]));
    assert!(of(Some("urn:other"), "12").is_empty() && of(None, "1").is_empty());
    let both = vec![Term::Address("lyon".into()), Term::Role("10".into())];
    assert_eq!(found(&directory, both), ["1"]);
    assert_eq!(found(&directory, vec![Term::Refers("Organization/7".into()), Term::Id("3".into())]), ["3"]);

    assert_eq!(directory.put("Practitioner", "1", &body(&person("1", "DUPONT", "Nice", "10"))).unwrap(), 2);
    assert_eq!(directory.put("Practitioner", "1", &body(&person("1", "DUPONT", "Nice", "10"))).unwrap(), 2);
    assert!(found(&directory, vec![Term::Name("etoile".into())]).is_empty());
    assert_eq!(found(&directory, vec![Term::Address("nice".into())]), ["1"]);
    let versions = directory.versions("Practitioner", "1").unwrap();
    assert_eq!(versions.iter().map(|held| held.version).collect::<Vec<_>>(), [2, 1]);
    assert!(versions[0].updated > versions[1].updated);
    let since = Search {
        kind: "Practitioner".into(),
        since: Some(versions[0].updated),
        limit: 9,
        ..Search::default()
    };
    assert_eq!(directory.find(&since).unwrap().len(), 1);
    let next = Search { kind: "Practitioner".into(), after: Some("1".into()), limit: 1, ..Search::default() };
    assert_eq!(directory.find(&next).unwrap()[0].id, "2");
    drop(directory);
    let read = opened(&folder).read("Practitioner", "1").unwrap().unwrap();
    assert_eq!((read.version, read.body), (2, body(&person("1", "DUPONT", "Nice", "10"))));
}

fn seen(id: &str, attempt: i64, content: &str) -> Seen {
    let resource = body(&json!({ "resourceType": "Practitioner", "id": id, "name": content }));
    Seen {
        id: id.into(),
        rank: (attempt, 0, 0),
        hash: Hash::of(&[&resource]),
        is_active: true,
        body: resource,
    }
}

#[test]
fn whoever_was_relieved_writes_no_more_and_two_syncs_share_the_versions_of_a_resource() {
    let folder = tempfile::tempdir().unwrap();
    let directory = opened(&folder);
    let name = |channel: &str| SyncName { channel: channel.into(), resource: "Practitioner".into() };
    let relieved = directory.take_over(&name("one")).unwrap();
    let one = directory.take_over(&name("one")).unwrap();
    let page = |content: &str, note: i64| Page {
        seen: vec![seen("1", 1, content)],
        note: note.into(),
        ..Page::default()
    };
    assert!(
        directory.write(&relieved, &page("a", 1)).unwrap_err().to_string().contains("taken this sync over")
    );
    assert_eq!(directory.write(&one, &page("a", 2)).unwrap().created, 1);
    // The same page again: nothing.
    assert_eq!(directory.write(&one, &page("a", 3)).unwrap().created, 0);
    let other = directory.take_over(&name("other")).unwrap();
    assert_eq!(directory.write(&other, &page("a", 1)).unwrap().created, 1);
    assert_eq!(directory.versions("Practitioner", "1").unwrap().len(), 1, "one resource, one version");
    assert_eq!(directory.take_over(&name("one")).unwrap().note, json!(3));

    // What is gone for one of them is there as long as the other has it.
    let one = directory.take_over(&name("one")).unwrap();
    let gone = |attempt| Page {
        removed: vec![Removed { id: "1".into(), attempt, instead: None }],
        ..Page::default()
    };
    assert_eq!(directory.write(&one, &gone(2)).unwrap().removed, 1);
    assert_eq!(directory.read("Practitioner", "1").unwrap().unwrap().state, Presence::Active);
    assert_eq!(directory.write(&other, &gone(2)).unwrap().removed, 1);
    assert_eq!(directory.read("Practitioner", "1").unwrap().unwrap().state, Presence::Removed);
    let changes = directory.changes(&other, 9).unwrap();
    assert_eq!(
        changes.iter().map(|change| change.what).collect::<Vec<_>>(),
        [Changed::Created, Changed::Removed]
    );
    directory.left(&other, changes[0].number).unwrap();
    assert_eq!(directory.changes(&other, 9).unwrap().len(), 1);
    directory.forget(one.sync).unwrap();
    directory.forget(other.sync).unwrap();
    assert!(directory.read("Practitioner", "1").unwrap().is_none() && directory.syncs().unwrap().is_empty());
}
