//! The binary asks a real PostgreSQL for rows: what it finds, what it records, and what becomes of messages while nobody answers.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::fs;

use serde_json::Value;
use tests::{Postgres, Project, Relais, Sender, free_port, message, mshfield, wait_until};

/// A channel that writes what the table `wards` says of a patient into PV1, on a server with such a table.
fn asking(server: &Postgres) -> (Project, u16) {
    let rows = "create table wards (code text, name text, beds numeric); create sequence taken;
        insert into wards values ('42', 'Réanimation', 6.10), ('43', 'Cardiologie', null), ('44', 'a', 1), ('44', 'b', 2)";
    server.ask(rows).expect("rows can be made");
    let project = Project::new();
    project.write("secrets/db", "s3cret\n");
    project.write("server.pem", fs::read(server.path("server.pem")).unwrap());
    table(&project, server, "select name, beds from wards where code = :code");
    let listen = free_port();
    project.channel(
        "asking",
        &format!(
            "name: asking\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nreply: {{ when: processed, within: 2s }}\n\
             steps:\n  - set: {{ OBX-5: '${{table(\"wards\", \"code\", msg[\"PID-3.1\"], \"name\", \"unknown\")}} ${{table(\"wards\", \"code\", msg[\"PID-3.1\"], \"beds\", \"none\")}}' }}\n\
             destinations:\n  - name: files\n    to:\n      file: {{ dir: out, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n"
        ),
    );
    (project, listen)
}

fn table(project: &Project, server: &Postgres, query: &str) {
    let text = format!(
        "postgres:\n  connect: 127.0.0.1:{}\n  database: postgres\n  user: postgres\n  password: \"${{file:secrets/db}}\"\n\
         \x20 tls: {{ authorities: server.pem }}\n  query: {query}\ncache: 1m\n",
        server.port
    );
    project.write("tables/wards.yaml", text);
}

fn sends(port: u16, id: &str, patient: &str) -> String {
    mshfield(&Sender::connect(port).unwrap().send(&message(id, patient)).unwrap(), "MSA", 1)
}

fn written(project: &Project, id: &str) -> String {
    let text = fs::read(project.path(&format!("out/{id}.hl7"))).unwrap_or_default();
    mshfield(&text, "OBX", 5)
}

fn shown(relais: &Relais, project: &Project, id: &str) -> Value {
    let (_, found) = relais.get("/api/v1/messages?channel=asking").unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    let number = found.as_array().unwrap().iter().find(|one| one["control_id"] == id).unwrap()["id"].clone();
    let number = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
    let output = project.relais(&["show", &number, "--format", "json"]);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stdout)))
}

#[test]
fn rows_of_a_database_are_found_recorded_and_waited_for() {
    let mut server = Postgres::start();
    let (project, port) = asking(&server);
    let checked = project.relais(&["check", "--connect", "--strict"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let relais = project.start();
    assert_eq!(sends(port, "M1", "42"), "AA");
    assert_eq!(sends(port, "M2", "43"), "AA");
    assert_eq!(sends(port, "M3", "nobody"), "AA");
    wait_until("all are written", || project.files("out").len() == 3);
    assert_eq!(written(&project, "M1"), "Réanimation 6.10", "digits stay");
    assert_eq!(written(&project, "M2"), "Cardiologie none");
    assert_eq!(written(&project, "M3"), "unknown none");
    let inputs = shown(&relais, &project, "M1")["inputs"].clone();
    let row = &inputs[0]["row"];
    assert_eq!(
        (&row["table"], &row["key"], &row["value"]),
        (&"wards".into(), &"42".into(), &"Réanimation".into()),
        "{inputs}"
    );
    assert!(row["source"].as_str().unwrap().ends_with("/postgres"), "{inputs}");
    assert_eq!(sends(port, "D1", "44"), "AE", "nobody can say which of two rows is meant");

    // What was told is believed for a while; what was not waits, and nothing overtakes it.
    server.stop();
    assert_eq!(sends(port, "M4", "42"), "AA");
    assert_eq!(sends(port, "W1", "50"), "AR");
    assert_eq!(sends(port, "W2", "42"), "AR", "an earlier one waits");
    assert!(written(&project, "W1").is_empty() && written(&project, "W2").is_empty());
    assert!(relais.log().contains("the table `wards`"), "{}", relais.log());
    server.go();
    server.ask("insert into wards values ('50', 'Pédiatrie', 3)").unwrap();
    wait_until("both went on", || !written(&project, "W2").is_empty());
    assert!(
        ["Pédiatrie 3", "unknown none"].contains(&written(&project, "W1").as_str()),
        "{}",
        written(&project, "W1")
    );
    assert_eq!(written(&project, "W2"), "Réanimation 6.10");
    // Whoever was told that nobody could say sends again, and nothing is there twice.
    assert_eq!(sends(port, "W1", "50"), "AA");
    let log = relais.log();
    assert!(!log.contains("s3cret") && !log.contains("Réanimation"), "{log}");
}

#[test]
fn a_message_waits_for_a_row_of_a_database_and_goes_on_by_itself() {
    let server = Postgres::start();
    let (project, port) = asking(&server);
    let text = fs::read_to_string(project.path("tables/wards.yaml")).unwrap();
    project.write("tables/wards.yaml", text.replace("cache: 1m", "cache: 0s\non_missing: hold"));
    let channel = fs::read_to_string(project.path("channels/asking.yaml")).unwrap();
    let strict = channel.replace(", \"unknown\")", ")").replace(", \"none\")", ")");
    project.channel("asking", &strict);
    let relais = project.start();
    assert_eq!(sends(port, "M1", "60"), "AA");
    assert_eq!(sends(port, "M2", "42"), "AA");
    wait_until("the other is written", || written(&project, "M2") == "Réanimation 6.10");
    let unmapped = String::from_utf8(project.relais(&["unmapped"]).stdout).unwrap();
    let place = format!("`wards` (127.0.0.1:{}/postgres)", server.port);
    assert!(unmapped.contains("code=60") && unmapped.contains(&place), "{unmapped}");
    server.ask("insert into wards values ('60', 'Gériatrie', 4)").unwrap();
    wait_until("it went on", || written(&project, "M1") == "Gériatrie 4");
    assert_eq!(relais.metric("relais_held{channel=\"asking\"}"), Some(0.0));
}

#[test]
fn check_says_what_is_wrong_with_a_query_and_nothing_is_written() {
    let server = Postgres::start();
    let (project, port) = asking(&server);
    table(&project, &server, "select nome from wards where code = :code");
    let said = |project: &Project| {
        let checked = project.relais(&["check", "--connect"]);
        assert_eq!(checked.status.code(), Some(1));
        String::from_utf8_lossy(&checked.stdout).into_owned()
    };
    let told = said(&project);
    assert!(told.contains("tables/wards.yaml") && told.contains("column \"nome\" does not exist"), "{told}");
    table(&project, &server, "select name from wards where ward = 1");
    assert!(said(&project).contains("has no parameter"), "{}", said(&project));
    table(&project, &server, "select nextval('taken') as name, 1 as beds where :code <> ''");
    let _relais = project.start();
    assert_eq!(sends(port, "M1", "42"), "AE");
    assert_eq!(server.ask("select is_called from taken").as_deref(), Some("f\n"), "a table is only read");
}
