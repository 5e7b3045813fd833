//! The binary asks a terminology server of others for codes: what it says is used and recorded, and what becomes of messages without it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::fs;

use serde_json::{Value, json};
use tests::{Project, Relais, Sender, Terms, free_port, message, mshfield, wait_until};

const MAP: &str = "urn:example:lab-to-loinc";

/// What the laboratory's codes are in LOINC: these, and no others.
fn map(codes: &[(&str, &str)]) -> Value {
    let elements = codes.iter().map(|(ours, theirs)| {
        // The worse one first: it is not the order that decides.
        let target = [
            json!({ "code": "1-8", "equivalence": "inexact" }),
            json!({ "code": theirs, "equivalence": "equivalent" }),
        ];
        json!({ "code": ours, "target": target })
    });
    let elements: Vec<Value> = elements.collect();
    json!({ "resourceType": "ConceptMap", "id": "lab-loinc", "url": MAP, "status": "active", "group": [
        { "source": "urn:example:lab", "target": "http://loinc.org", "element": elements }] })
}

fn terms() -> Terms {
    let codes = json!({ "resourceType": "CodeSystem", "id": "lab", "url": "urn:example:lab", "status": "active",
        "content": "complete", "name": "Lab", "version": "2026", "property": [{ "code": "unit", "type": "string" }],
        "concept": [
            { "code": "K", "display": "Kalium", "property": [{ "code": "unit", "valueString": "mmol/L" }] },
            { "code": "NA", "display": "Natrium" }, { "code": "CL", "display": "Chlorid" }] });
    let set = json!({ "resourceType": "ValueSet", "id": "urgent", "url": "urn:example:urgent", "status": "active",
        "compose": { "include": [{ "system": "urn:example:lab", "concept": [{ "code": "K" }] }] } });
    Terms::start(&[codes, set, map(&[("K", "2823-3"), ("NA", "2951-2")])])
}

/// Three tables on that server, and a channel that writes what they say of a message's code.
fn asking(server: &Terms) -> (Project, u16) {
    let project = Project::new();
    let table = |name: &str, more: &str, end: &str| {
        let text = format!(
            "fhir:\n  base: {}\n  system: urn:example:lab\n  timeout: 2s\n{more}{end}",
            server.base()
        );
        project.write(&format!("tables/{name}.yaml"), text);
    };
    table("loinc", &format!("  operation: translate\n  map: {MAP}\n"), "cache: 1s\non_missing: hold\n");
    table("known", "  operation: lookup\n", "cache: 1h\n");
    table("urgent", "  operation: validate\n  value_set: urn:example:urgent\n", "cache: 1h\n");
    table("valid", "  operation: validate\n", "cache: 1h\n");
    let listen = free_port();
    let asked = |table: &str, column: &str, more: &str| {
        format!("${{table(\"{table}\", \"code\", msg[\"PID-3.1\"], \"{column}\"{more})}}")
    };
    let written = [
        asked("loinc", "target", ""),
        asked("loinc", "target_system", ""),
        asked("known", "display", ", \"nobody\""),
        asked("known", "unit", ", \"none\""),
        asked("urgent", "valid", ", \"?\""),
        asked("valid", "valid", ", \"?\""),
    ]
    .join(" ");
    project.channel(
        "asking",
        &format!(
            "name: asking\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nreply: {{ when: processed, within: 3s }}\n\
             steps:\n  - set: {{ OBX-5: '{written}' }}\n\
             destinations:\n  - name: files\n    to:\n      file: {{ dir: out, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n"
        ),
    );
    (project, listen)
}

fn sends(port: u16, id: &str, code: &str) -> String {
    mshfield(&Sender::connect(port).unwrap().send(&message(id, code)).unwrap(), "MSA", 1)
}

fn written(project: &Project, id: &str) -> String {
    let text = fs::read(project.path(&format!("out/{id}.hl7"))).unwrap_or_default();
    mshfield(&text, "OBX", 5)
}

/// The rows that are recorded with a message: table, code and value of each.
fn recorded(relais: &Relais, project: &Project, id: &str) -> Vec<[String; 3]> {
    let (_, found) = relais.get("/api/v1/messages?channel=asking").unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    let number = found.as_array().unwrap().iter().find(|one| one["control_id"] == id).unwrap()["id"].clone();
    let number = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
    let output = project.relais(&["show", &number, "--format", "json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = shown["inputs"].as_array().unwrap().iter().filter_map(|input| input.get("row"));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    rows.map(|row| ["table", "key", "value"].map(|name| text(&row[name]))).collect()
}

#[test]
fn a_code_is_translated_looked_up_and_validated_by_a_server_and_waits_where_it_is_unknown_or_nobody_answers()
{
    let mut server = terms();
    let (project, port) = asking(&server);
    let checked = project.relais(&["check", "--connect", "--strict"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let relais = project.start();
    assert_eq!(sends(port, "M1", "K"), "AA");
    assert_eq!(sends(port, "M2", "NA"), "AA");
    wait_until("both are written", || project.files("out").len() == 2);
    assert_eq!(written(&project, "M1"), "2823-3 http://loinc.org Kalium mmol/L true true");
    assert_eq!(written(&project, "M2"), "2951-2 http://loinc.org Natrium none false true");
    let rows = recorded(&relais, &project, "M1");
    let row = |table: &str, value: &str| [table.to_owned(), "K".to_owned(), value.to_owned()];
    for wanted in [row("loinc", "2823-3"), row("known", "mmol/L"), row("urgent", "true")] {
        assert!(rows.contains(&wanted), "{wanted:?}: {rows:?}");
    }

    // Nobody has said what these are: they wait for a person, while others go on.
    assert_eq!(sends(port, "U1", "CL"), "AA");
    assert_eq!(sends(port, "U2", "XX"), "AA");
    assert_eq!(sends(port, "M3", "K"), "AA");
    wait_until("the known one is written", || !written(&project, "M3").is_empty());
    let unmapped = String::from_utf8(project.relais(&["unmapped"]).stdout).unwrap();
    assert!(unmapped.contains("code=CL") && unmapped.contains("code=XX"), "{unmapped}");
    server.put(&map(&[("K", "2823-3"), ("NA", "2951-2"), ("CL", "2075-0"), ("XX", "9-9")]));
    wait_until("both went on", || !written(&project, "U1").is_empty() && !written(&project, "U2").is_empty());
    assert_eq!(written(&project, "U1"), "2075-0 http://loinc.org Chlorid none false true");
    assert_eq!(written(&project, "U2"), "9-9 http://loinc.org nobody none false false");
    assert_eq!(relais.metric("relais_held{channel=\"asking\"}"), Some(0.0));

    // What was told is believed for as long as the table says; nobody's silence is taken for an unknown code.
    let long = |name: &str| {
        let path = format!("tables/{name}.yaml");
        let text = fs::read_to_string(project.path(&path)).unwrap();
        project.write(&path, text.replace("cache: 1s", "cache: 1h"));
    };
    long("loinc");
    assert!(project.relais(&["deploy"]).status.success());
    assert_eq!(sends(port, "M4", "K"), "AA");
    server.stop();
    assert_eq!(sends(port, "M5", "K"), "AA", "it is known by heart");
    assert_eq!(sends(port, "W1", "NA"), "AR", "nobody can say");
    let unmapped = String::from_utf8(project.relais(&["unmapped"]).stdout).unwrap();
    assert!(!unmapped.contains("NA"), "{unmapped}");
    server.go();
    wait_until("it went on by itself", || !written(&project, "W1").is_empty());
    assert_eq!(written(&project, "W1"), "2951-2 http://loinc.org Natrium none false true");
    assert_eq!(sends(port, "W1", "NA"), "AA", "whoever sends it again hears so");
    assert_eq!(project.files("out").len(), 8, "and nothing is there twice");
}
