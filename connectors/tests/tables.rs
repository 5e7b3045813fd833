//! Tables whose rows servers hold: what is asked of them, what their answers mean, and what is believed how long.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{path::Path, sync::Arc};

use connectors::tables::TableFile;
use engine::{Checks, Diagnostic, LookupError, Register};
use serde_json::{Value, json};
use stage::{Asked, Web, says};

fn register(file: Value, root: &Path) -> Arc<dyn Register> {
    TableFile::read(file).unwrap().register(root).unwrap()
}

fn faults(file: Value) -> Vec<(&'static str, String)> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut checks = Checks::new(engine::Path::default(), &mut found);
    TableFile::read(file).unwrap().check(Path::new("."), &mut checks);
    found.into_iter().map(|fault| (fault.code, fault.at.to_string())).collect()
}

type Looked = Result<Option<String>, LookupError>;

/// Asks as a step does: by waiting.
async fn look(register: &Arc<dyn Register>, code: &str, wanted: &str) -> Looked {
    let (register, code, wanted) = (Arc::clone(register), code.to_owned(), wanted.to_owned());
    let keys = vec![(register.keys()[0].clone(), code)];
    tokio::task::spawn_blocking(move || register.look_up(&keys, &wanted)).await.unwrap()
}

fn terms(web: &Web, more: Value) -> Value {
    let mut fhir = json!({ "base": web.url("/fhir"), "system": "urn:ours" });
    let Value::Object(more) = more else { panic!("more settings are an object") };
    fhir.as_object_mut().unwrap().extend(more);
    json!({ "fhir": fhir })
}

/// Asks a terminology server that answers so.
async fn answered(more: Value, (code, wanted): (&str, &str), answer: String) -> (Looked, Asked) {
    let web = Web::open().await;
    let register = register(terms(&web, more), Path::new("."));
    let (looked, (asked, _guest)) = tokio::join!(look(&register, code, wanted), web.answer(answer));
    (looked, asked)
}

fn parameters(list: &Value) -> String {
    says(200, &[], &json!({ "resourceType": "Parameters", "parameter": list }).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_translated_by_the_best_match_and_asked_once() {
    let matched = |relation: &str, code: &str| {
        json!({ "name": "match", "part": [
            { "name": "equivalence", "valueCode": relation },
            { "name": "concept", "valueCoding": { "system": "http://loinc.org", "code": code, "display": "Potassium" } },
        ] })
    };
    let said = json!([{ "name": "result", "valueBoolean": true },
        matched("unmatched", "x"), matched("wider", "y"), matched("equivalent", "2823-3")]);
    let web = Web::open().await;
    let settings =
        terms(&web, json!({ "operation": "translate", "map": "urn:map", "target": "http://loinc.org" }));
    let register = register(settings, Path::new("."));
    let (looked, (asked, _guest)) =
        tokio::join!(look(&register, "KAL é", "target"), web.answer(parameters(&said)));
    assert_eq!(looked, Ok(Some("2823-3".to_owned())));
    let query = "system=urn%3Aours&code=KAL+%C3%A9&url=urn%3Amap&targetsystem=http%3A%2F%2Floinc.org";
    assert_eq!(asked.line, format!("GET /fhir/ConceptMap/$translate?{query} HTTP/1.1"));
    assert_eq!(
        look(&register, "KAL é", "display").await,
        Ok(Some("Potassium".to_owned())),
        "it was told already"
    );
    assert!(web.is_lonely());
    assert_eq!(register.source(), "urn:map");
    let nothing = json!([{ "name": "result", "valueBoolean": false }, matched("unmatched", "x")]);
    let translate = json!({ "operation": "translate", "map": "urn:map" });
    assert_eq!(answered(translate, ("X", "target"), parameters(&nothing)).await.0, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_looked_up_with_its_properties_and_an_unknown_one_is_no_row() {
    let said = json!([{ "name": "display", "valueString": "Potassium" },
        { "name": "property", "part": [{ "name": "code", "valueCode": "CLASS" }, { "name": "value", "valueString": "CHEM" }] }]);
    let lookup = || json!({ "operation": "lookup" });
    let (looked, asked) = answered(lookup(), ("2823-3", "CLASS"), parameters(&said)).await;
    assert_eq!(looked, Ok(Some("CHEM".to_owned())));
    assert_eq!(asked.line, "GET /fhir/CodeSystem/$lookup?system=urn%3Aours&code=2823-3 HTTP/1.1");
    assert_eq!(answered(lookup(), ("2823-3", "other"), parameters(&said)).await.0, Ok(None));
    let outcome = json!({ "resourceType": "OperationOutcome", "issue": [{ "severity": "error", "code": "not-found" }] });
    assert_eq!(answered(lookup(), ("?", "display"), says(404, &[], &outcome.to_string())).await.0, Ok(None));
    let validate = || json!({ "operation": "validate", "value_set": "urn:set" });
    let (looked, asked) = answered(
        validate(),
        ("K", "valid"),
        parameters(&json!([{ "name": "result", "valueBoolean": false }])),
    )
    .await;
    assert_eq!(looked, Ok(Some("false".to_owned())));
    assert_eq!(
        asked.line,
        "GET /fhir/ValueSet/$validate-code?system=urn%3Aours&code=K&url=urn%3Aset HTTP/1.1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_answer_now_is_told_from_one_that_never_will() {
    let looked =
        async |answer: String| answered(json!({ "operation": "lookup" }), ("K", "display"), answer).await.0;
    for away in [
        says(503, &[], ""),
        says(401, &[], ""),
        says(404, &[], "no such page"),
        says(502, &[], ""),
        says(200, &[], "[]"),
    ] {
        let said = looked(away.clone()).await;
        assert!(matches!(said, Err(LookupError::NotNow(_))), "{away}: {said:?}");
    }
    for never in [says(500, &[], ""), says(400, &[], "")] {
        let said = looked(never.clone()).await;
        assert!(matches!(said, Err(LookupError::Wrong(_))), "{never}: {said:?}");
    }
    let nobody =
        json!({ "fhir": { "base": "http://127.0.0.1:9/fhir", "system": "urn:ours", "operation": "lookup" } });
    let register = register(nobody, Path::new("."));
    assert!(
        matches!(look(&register, "K", "display").await, Err(LookupError::NotNow(why)) if why.contains("cannot connect"))
    );
    assert!(register.reach().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_sqlite_is_asked_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wards.db");
    let sqlite = |query: &str| {
        let file = json!({ "sqlite": { "file": "wards.db", "query": query }, "cache": "0s" });
        register(file, folder.path())
    };
    let wards = sqlite("select name, beds, note from wards where code = :code");
    assert!(matches!(look(&wards, "CAR", "name").await, Err(LookupError::NotNow(_))), "it may be made later");
    let database = rusqlite::Connection::open(&path).unwrap();
    let rows = "create table wards (code text, name text, beds int, note text);
        insert into wards values ('CAR', 'Cardiologie', 12, null), ('D', 'one', 1, ''), ('D', 'two', 2, '');";
    database.execute_batch(rows).unwrap();
    assert_eq!(look(&wards, "CAR", "name").await, Ok(Some("Cardiologie".to_owned())));
    assert_eq!(look(&wards, "CAR", "beds").await, Ok(Some("12".to_owned())));
    assert_eq!(look(&wards, "CAR", "note").await, Ok(None));
    assert_eq!(look(&wards, "' or 1=1 --", "name").await, Ok(None));
    assert!(
        matches!(look(&wards, "CAR", "size").await, Err(LookupError::Wrong(why)) if why.contains("`size`"))
    );
    assert!(
        matches!(look(&wards, "D", "name").await, Err(LookupError::Wrong(why)) if why.contains("several rows"))
    );
    database.execute("update wards set name = 'Cardio' where code = 'CAR'", []).unwrap();
    assert_eq!(
        look(&wards, "CAR", "name").await,
        Ok(Some("Cardio".to_owned())),
        "`cache: 0s` asks each time"
    );
    assert_eq!(wards.reach(), Ok(()));
    let writes = sqlite("delete from wards where code = :code returning name");
    assert!(writes.reach().is_err());
    assert!(matches!(look(&writes, "CAR", "name").await, Err(LookupError::Wrong(_))));
    assert!(sqlite("select nome from wards where code = :code").reach().unwrap_err().contains("nome"));
}

#[test]
fn what_is_wrong_with_a_table_is_told_before_it_is_asked() {
    assert_eq!(faults(json!({})), [("missing-field", String::new())]);
    let fhir = |more: Value| {
        let mut fhir = json!({ "base": "http://h/fhir", "system": "urn:s" });
        fhir.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        faults(json!({ "fhir": fhir }))
    };
    assert_eq!(fhir(json!({ "operation": "lookup" })), []);
    assert_eq!(fhir(json!({ "operation": "translate" })), [("missing-field", "fhir".to_owned())]);
    assert_eq!(
        fhir(json!({ "operation": "lookup", "map": "urn:m" })),
        [("unused-field", "fhir.map".to_owned())]
    );
    let sqlite = json!({ "sqlite": { "file": "x.db", "query": "select 1" } });
    assert_eq!(faults(sqlite.clone()), [("wrong-value", "sqlite.query".to_owned())]);
    let both = json!({ "sqlite": sqlite["sqlite"], "fhir": { "base": "http://h", "system": "urn:s", "operation": "lookup" } });
    assert_eq!(faults(both), [("conflicting-fields", String::new())]);
}
