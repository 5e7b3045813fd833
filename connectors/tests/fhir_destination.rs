//! What a FHIR destination asks of a server, and what it makes of everything a server may answer.

#![allow(clippy::unwrap_used)]

mod stage;

use std::path::Path;

use engine::{Destination, Outbound, Response, SendError};
use serde_json::{Value, json};
use stage::{Asked, Web, destination, opening, outbound, says};

/// A destination that asks nothing beforehand.
async fn open(mut settings: Value, web: &Web) -> Box<dyn Destination> {
    settings["base"] = web.url("/fhir/");
    settings["capabilities"] = "ignored".into();
    destination("fhir", settings, Path::new(".")).await
}

/// Sends one payload, which the server answers so.
async fn exchange(
    settings: Value,
    outbound: &Outbound,
    answer: impl AsRef<[u8]>,
) -> (Result<Response, SendError>, Asked) {
    let web = Web::open().await;
    let destination = open(settings, &web).await;
    let (sent, (asked, _guest)) = tokio::join!(destination.send(outbound), web.answer(answer));
    (sent, asked)
}

/// What is asked of the server for this payload.
async fn asked(settings: Value, payload: &Value) -> Asked {
    let (sent, asked) = exchange(settings, &outbound(payload.to_string()), says(200, &[], "")).await;
    sent.unwrap();
    asked
}

fn with_texts(payload: &Value, texts: &[(&str, &str)]) -> Outbound {
    let mut outbound = outbound(payload.to_string());
    outbound.texts = texts.iter().map(|(at, text)| ((*at).to_owned(), (*text).to_owned())).collect();
    outbound
}

fn body(asked: &Asked) -> Value {
    serde_json::from_slice(&asked.body).unwrap()
}

fn why(sent: &Result<Response, SendError>) -> String {
    sent.as_ref().unwrap_err().to_string()
}

#[track_caller]
fn assert_refused(sent: &Result<Response, SendError>, words: &str) {
    assert!(matches!(sent, Err(SendError::Refused { .. })), "{sent:?}");
    assert!(why(sent).contains(words), "{sent:?}");
}

#[tokio::test]
async fn a_resource_is_stored_by_its_id_or_its_identifier() {
    let patient = json!({ "resourceType": "Patient", "id": "p-1", "identifier": [{ "system": "urn:a", "value": "1" }] });
    let put = asked(json!({ "headers": { "X-Tenant": "north" } }), &patient).await;
    assert_eq!(put.line, "PUT /fhir/Patient/p-1 HTTP/1.1");
    assert_eq!(put.header("content-type"), Some("application/fhir+json"));
    assert_eq!(put.header("prefer"), Some("return=minimal"));
    assert_eq!(put.header("x-tenant"), Some("north"));
    assert_eq!(put.text(), patient.to_string(), "byte for byte");
    let identifier = json!([{ "value": "7" }, { "system": "urn:a|b", "value": "1,2" }]);
    let put = asked(json!({}), &json!({ "resourceType": "Patient", "identifier": identifier })).await;
    assert_eq!(put.line, "PUT /fhir/Patient?identifier=urn%3Aa%5C%7Cb%7C1%5C%2C2 HTTP/1.1");
}

#[tokio::test]
async fn what_has_neither_is_created_once_by_a_mark_of_its_delivery() {
    let observation = json!({ "resourceType": "Observation", "valueQuantity": { "value": 1 } });
    // A number keeps its digits on the way.
    let written = observation.to_string().replace("\"value\":1", "\"value\":1.50");
    let first = exchange(json!({}), &outbound(&written), says(201, &[], "")).await.1;
    let second = exchange(json!({}), &outbound(&written), says(200, &[], "")).await.1;
    assert_eq!(first.line, "POST /fhir/Observation HTTP/1.1");
    let mark = body(&first)["identifier"][0].clone();
    assert_eq!(mark["system"], "urn:relais:effect");
    let condition = format!("identifier=urn%3Arelais%3Aeffect%7C{}", mark["value"].as_str().unwrap());
    assert_eq!(first.header("if-none-exist"), Some(condition.as_str()));
    assert_eq!(
        (first.text(), first.header("if-none-exist")),
        (second.text(), second.header("if-none-exist"))
    );
    assert!(first.text().contains("\"value\":1.50"), "{}", first.text());
    // A type without identifiers is found by a tag.
    let audit = asked(json!({ "mark_system": "urn:m" }), &json!({ "resourceType": "AuditEvent" })).await;
    assert_eq!(body(&audit)["meta"]["tag"][0]["system"], "urn:m");
    assert!(audit.header("if-none-exist").unwrap().starts_with("_tag=urn%3Am%7C"));
}

#[tokio::test]
async fn a_condition_says_what_is_updated_created_or_patched() {
    let settings = |interaction: &str, target: Value| {
        let condition = json!({ "identifier": "urn:a|${msg}", "birthdate": "1980" });
        let mut settings = json!({ "interaction": interaction, "condition": condition });
        if !target.is_null() {
            settings["target"] = target;
        }
        settings
    };
    let patient = json!({ "resourceType": "Patient", "id": "x" });
    let outbound = with_texts(&patient, &[("condition.identifier", "urn:a|é 1")]);
    let query = "birthdate=1980&identifier=urn%3Aa%7C%C3%A9+1";
    for interaction in ["store", "update"] {
        let (_, put) = exchange(settings(interaction, Value::Null), &outbound, says(200, &[], "")).await;
        assert_eq!(put.line, format!("PUT /fhir/Patient?{query} HTTP/1.1"));
    }
    let (_, post) = exchange(settings("create", Value::Null), &outbound, says(201, &[], "")).await;
    assert_eq!(
        (post.line.as_str(), post.header("if-none-exist")),
        ("POST /fhir/Patient HTTP/1.1", Some(query))
    );
    assert_eq!(post.text(), patient.to_string(), "it needs no mark");
    let patch =
        with_texts(&json!([{ "op": "remove", "path": "/name" }]), &[("condition.identifier", "urn:a|1")]);
    let (_, asked) = exchange(settings("patch", "Patient".into()), &patch, says(200, &[], "")).await;
    assert_eq!(asked.line, "PATCH /fhir/Patient?birthdate=1980&identifier=urn%3Aa%7C1 HTTP/1.1");
    assert_eq!(asked.header("content-type"), Some("application/json-patch+json"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_leaves() {
    let web = Web::open().await;
    let refuses = async |settings: Value, outbound: &Outbound, words: &str| {
        assert_refused(&open(settings, &web).await.send(outbound).await, words);
    };
    for (payload, words) in [
        ("MSH|^~\\&|", "no JSON from line 1"),
        ("<Patient/>", "is XML"),
        ("[]", "is no object"),
        ("{}", "no `resourceType`"),
        ("{\"resourceType\": \"../x\"}", "no type of FHIR"),
        ("{\"resourceType\": \"Patient\", \"id\": \"a/b\"}", "`id` of the Patient"),
        ("{\"resourceType\": \"Patient\", \"id\": \"..\"}", "`id` of the Patient"),
        (
            "{\"resourceType\": \"Bundle\", \"type\": \"batch\", \"entry\": [{}]}",
            "entry 1 of the bundle has no `request`",
        ),
    ] {
        refuses(json!({}), &outbound(payload), words).await;
    }
    let patient = json!({ "resourceType": "Patient" });
    refuses(json!({ "interaction": "update" }), &outbound(patient.to_string()), "needs an `id`").await;
    let patch = json!({ "interaction": "patch", "target": "Patient/1" });
    refuses(patch, &outbound(patient.to_string()), "a patch is a list").await;
    for empty in ["", "  ", "urn:a|"] {
        let outbound = with_texts(&patient, &[("condition.identifier", empty)]);
        let settings = json!({ "condition": { "identifier": "${msg}" } });
        refuses(settings, &outbound, "`identifier` has no value").await;
    }
    assert!(web.is_lonely());
}

fn transaction() -> Value {
    let entry = |resource: Value, request: Value| json!({ "fullUrl": "urn:uuid:1", "resource": resource, "request": request });
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        entry(json!({ "resourceType": "Observation" }), json!({ "method": "POST", "url": "Observation" })),
        entry(json!({ "resourceType": "Observation" }), json!({ "method": "POST", "url": "Observation" })),
        entry(json!({ "resourceType": "Patient" }), json!({ "method": "POST", "url": "Patient", "ifNoneExist": "identifier=1" })),
        entry(json!({ "resourceType": "Patient" }), json!({ "method": "PUT", "url": "Patient?identifier=2" })),
    ] })
}

#[tokio::test]
async fn each_creation_of_a_bundle_is_marked_by_itself() {
    let post = asked(json!({ "merged": "leave" }), &transaction()).await;
    assert_eq!(post.line, "POST /fhir HTTP/1.1");
    assert_eq!(post.header("if-none-exist"), None);
    let entries = body(&post)["entry"].as_array().unwrap().clone();
    let conditions: Vec<&str> =
        entries.iter().take(2).map(|entry| entry["request"]["ifNoneExist"].as_str().unwrap()).collect();
    assert_ne!(conditions[0], conditions[1]);
    for (entry, condition) in entries.iter().zip(conditions) {
        let value = entry["resource"]["identifier"][0]["value"].as_str().unwrap();
        assert!(condition.ends_with(value));
    }
    assert_eq!(
        entries[2..],
        transaction()["entry"].as_array().unwrap()[2..],
        "what has a condition keeps it"
    );
    let message =
        asked(json!({}), &json!({ "resourceType": "Bundle", "type": "message", "entry": [] })).await;
    assert_eq!(message.line, "POST /fhir/$process-message HTTP/1.1");
    assert_eq!(body(&message)["identifier"]["system"], "urn:relais:effect");
    let document = asked(json!({}), &json!({ "resourceType": "Bundle", "type": "document" })).await;
    assert_eq!(document.line, "POST /fhir/Bundle HTTP/1.1");
}

#[tokio::test]
async fn an_outcome_is_read_into_the_reason_without_its_free_text() {
    let issue = json!({ "severity": "error", "code": "structure", "diagnostics": "DUPONT", "expression": ["Patient.name[0]"] });
    let outcome = json!({ "resourceType": "OperationOutcome", "issue": [issue] }).to_string();
    let patient = outbound("{\"resourceType\": \"Patient\"}");
    let (sent, _) = exchange(json!({}), &patient, says(422, &[], &outcome)).await;
    assert_eq!(why(&sent), "refused: the server answered 422 (error: structure at Patient.name[0])");
    let Err(SendError::Refused { code, response, .. }) = sent else { unreachable!() };
    assert_eq!((code.as_deref(), response.unwrap().as_ref()), (Some("422"), outcome.as_bytes()));
    let (sent, _) = exchange(json!({}), &patient, says(412, &[], &outcome)).await;
    assert_refused(&sent, "several resources fit the condition");
    // A success that says of itself that it is none.
    let (sent, _) = exchange(json!({}), &patient, says(200, &[], &outcome)).await;
    assert_refused(&sent, "answered 200, and said error: structure");
    let (sent, _) = exchange(json!({}), &patient, says(503, &["Retry-After: 7"], &outcome)).await;
    let Err(SendError::NotDelivered { not_before, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!(not_before.unwrap().as_secs(), 7);
    let (sent, _) = exchange(json!({}), &patient, says(500, &[], &outcome)).await;
    assert!(matches!(sent, Err(SendError::Unknown { .. })), "{sent:?}");
}

#[tokio::test]
async fn each_entry_of_a_batch_has_its_own_outcome() {
    let mut batch = transaction();
    batch["type"] = "batch".into();
    let outbound = outbound(batch.to_string());
    let exchange = async |statuses: &[&str]| {
        let entries: Vec<Value> =
            statuses.iter().map(|status| json!({ "response": { "status": status } })).collect();
        let answer = json!({ "resourceType": "Bundle", "type": "batch-response", "entry": entries });
        exchange(json!({ "merged": "leave" }), &outbound, says(200, &[], &answer.to_string())).await.0
    };
    assert!(exchange(&["201 Created", "201", "200", "200 OK"]).await.is_ok());
    let sent = exchange(&["201", "422 Unprocessable", "200", "409"]).await;
    assert_refused(&sent, "2 of 4 entries were not done: entry 2: 422; entry 4: 409");
    let sent = exchange(&["201", "422", "429", "200"]).await;
    assert!(matches!(sent, Err(SendError::NotDelivered { .. })), "{sent:?}");
    for untold in [&["201", "422", "429", "500"][..], &["201", "200"], &["what", "200", "200", "200"]] {
        let sent = exchange(untold).await;
        assert!(matches!(sent, Err(SendError::Unknown { .. })), "{untold:?}: {sent:?}");
    }
}

#[tokio::test]
async fn what_a_second_time_would_do_twice_is_not_sent_after_doubt() {
    let entry = json!({ "request": { "method": "POST", "url": "Patient/$merge" }, "resource": { "resourceType": "Parameters" } });
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": [entry] });
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let mut again = outbound(bundle.to_string());
    again.doubts = 1;
    assert_refused(&destination.send(&again).await, "would be carried out twice");
    assert!(web.is_lonely());
}

#[tokio::test]
async fn the_receiver_of_a_message_says_whether_it_takes_it() {
    let message = outbound(json!({ "resourceType": "Bundle", "type": "message" }).to_string());
    let answered = async |code: &str| {
        let header = json!({ "resource": { "resourceType": "MessageHeader", "response": { "code": code } } });
        let answer = json!({ "resourceType": "Bundle", "type": "message", "entry": [header] });
        exchange(json!({}), &message, says(200, &[], &answer.to_string())).await.0
    };
    assert!(answered("ok").await.is_ok());
    assert_refused(&answered("fatal-error").await, "fatal-error");
    assert!(matches!(answered("transient-error").await, Err(SendError::NotDelivered { .. })));
}

#[tokio::test]
async fn a_missing_path_is_of_the_message_where_the_server_is_there() {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let patient = outbound("{\"resourceType\": \"Patient\", \"id\": \"1\"}");
    let answers = async |metadata: u16| {
        let (sent, ()) = tokio::join!(destination.send(&patient), async {
            let (_, mut guest) = web.answer(says(404, &["Connection: close"], "")).await;
            assert!(guest.asked().await.is_none());
            let (asked, _) = web.answer(says(metadata, &["Connection: close"], "{}")).await;
            assert_eq!(asked.line, "GET /fhir/metadata HTTP/1.1");
        });
        sent
    };
    assert_refused(&answers(200).await, "answered 404");
    assert!(matches!(answers(404).await, Err(SendError::NotDelivered { .. })));
}

fn statement(parameters: &[&str]) -> String {
    let parameters: Vec<Value> = parameters.iter().map(|name| json!({ "name": name })).collect();
    let patient = json!({
        "type": "Patient", "conditionalCreate": true, "searchParam": parameters,
        "interaction": [{ "code": "create" }, { "code": "update" }],
    });
    let rest = json!([{ "mode": "server", "resource": [patient] }]);
    json!({ "resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest }).to_string()
}

/// Opens a destination whose server says so of itself.
async fn opened(web: &Web, settings: &Value, statement: String) -> Result<Box<dyn Destination>, String> {
    let mut settings = settings.clone();
    settings["base"] = web.url("/fhir");
    let kind = connectors::find("fhir").unwrap().destination.as_ref().unwrap();
    let settings = (kind.parse)(settings).map_err(|misfit| misfit.message).unwrap();
    let opening = opening(Path::new("."));
    let close = &["Connection: close"];
    let (opened, _) = tokio::join!(settings.open(&opening), web.answer(says(200, close, &statement)));
    opened.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_server_that_would_pass_over_the_condition_is_refused() {
    let web = Web::open().await;
    let wanted = json!({ "resources": ["Patient"] });
    let why = opened(&web, &wanted, statement(&["name"])).await.err().unwrap();
    assert!(why.contains("does not name the search parameter `identifier` of Patient"), "{why}");
    assert!(opened(&web, &wanted, statement(&["identifier"])).await.is_ok());
    let why = opened(&web, &wanted, "<html>".to_owned()).await.err().unwrap();
    assert!(why.contains("no CapabilityStatement"), "{why}");
    // What only a message tells is refused with that message, and nothing of it leaves.
    let destination = opened(&web, &json!({}), statement(&["name"])).await.unwrap();
    let sent = destination.send(&outbound("{\"resourceType\": \"Patient\"}")).await;
    assert_refused(&sent, "`identifier` of Patient");
    let sent = destination.send(&outbound("{\"resourceType\": \"Slot\", \"id\": \"1\"}")).await;
    assert_refused(&sent, "does not name the type Slot");
    assert!(web.is_lonely());
}

/// Patients as a server finds and reads them; the chain ends at `stands`.
fn merged_into(stands: &[&str]) -> Vec<String> {
    let patient = |id: &str, into: Option<&&str>| {
        let link = into.map(
            |into| json!([{ "type": "replaced-by", "other": { "reference": format!("Patient/{into}") } }]),
        );
        json!({ "resourceType": "Patient", "id": id, "link": link })
    };
    let found = json!({ "resourceType": "Bundle", "type": "searchset", "entry": [{ "resource": patient("old", stands.first()) }] });
    let read = stands.iter().enumerate().map(|(place, id)| patient(id, stands.get(place + 1)));
    std::iter::once(found).chain(read).map(|resource| says(200, &[], &resource.to_string())).collect()
}

fn about(patient: &Value) -> Outbound {
    let of = json!({ "reference": "urn:uuid:1" });
    let order = json!({ "resourceType": "ServiceRequest", "subject": of });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "fullUrl": "urn:uuid:1", "resource": patient, "request": { "method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:p|1" } },
        { "fullUrl": "urn:uuid:2", "resource": order, "request": { "method": "POST", "url": "ServiceRequest" } },
    ] });
    outbound(bundle.to_string())
}

/// Sends while a server answers so, one request after the other; gives what was asked.
async fn asked_in_turn(
    outbound: &Outbound,
    answers: Vec<String>,
) -> (Result<Response, SendError>, Vec<Asked>) {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let answering = async {
        let mut guest = web.accept().await;
        let mut asked = Vec::new();
        for answer in answers {
            asked.push(guest.asked().await.unwrap());
            guest.write(answer).await;
        }
        asked
    };
    tokio::join!(destination.send(outbound), answering)
}

#[tokio::test]
async fn what_comes_for_a_merged_patient_goes_to_the_one_that_stands() {
    let mut answers = merged_into(&["middle", "stands"]);
    let done = json!({ "resourceType": "Bundle", "type": "transaction-response", "entry": [{ "response": { "status": "201" } }] });
    answers.push(says(200, &[], &done.to_string()));
    let patient = json!({ "resourceType": "Patient", "name": [{ "family": "X" }] });
    let (sent, asked) = asked_in_turn(&about(&patient), answers).await;
    assert_eq!(sent.unwrap().facts["merged"], json!(["Patient/stands"]));
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    let first = "GET /fhir/Patient?identifier=urn:p%7C1 HTTP/1.1";
    assert_eq!(lines[..2], [first, "GET /fhir/Patient/middle HTTP/1.1"]);
    let sent = body(&asked[3]);
    assert_eq!(sent["entry"].as_array().unwrap().len(), 1, "the patient is left out");
    assert_eq!(sent["entry"][0]["resource"]["subject"]["reference"], "Patient/stands");
}

#[tokio::test]
async fn a_merge_in_a_circle_and_a_patient_that_is_gone_are_for_a_person() {
    let patient = json!({ "resourceType": "Patient" });
    let (sent, _) = asked_in_turn(
        &about(&patient),
        merged_into(&["a", "b", "a", "b", "a", "b", "a", "b", "a"])[..9].to_vec(),
    )
    .await;
    assert_refused(&sent, "in a circle");
    let gone = vec![merged_into(&["gone"]).remove(0), says(410, &[], "")];
    assert_refused(&asked_in_turn(&about(&patient), gone).await.0, "which is not there");
    let (sent, _) = asked_in_turn(&about(&patient), vec![says(503, &[], "")]).await;
    assert!(matches!(sent, Err(SendError::NotDelivered { .. })), "{sent:?}");
    let (sent, _) = asked_in_turn(&about(&patient), vec![says(400, &[], "")]).await;
    assert_refused(&sent, "`merged: leave` asks nothing");
}
