//! Finding messages by words in what they hold: who may, what is written down, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use serde_json::{Value, json};
use tests::{Asker, Project, Relais, Said, Sender, free_port, message};

/// Two channels of different tags with a message each; the second sends its own into a folder, and refuses what it does not know.
fn two_channels(project: &Project) -> Relais {
    let ports = [free_port(), free_port()];
    for (name, tag, port) in [("blood", "lab", ports[0]), ("beds", "ward", ports[1])] {
        project.channel(
            name,
            &format!(
                "name: {name}\ntags: [{tag}]\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\nsteps:\n\
                 \x20 - script: if msg[\"PID-3.1\"] == \"300\" {{ refuse(\"the ward of MOREAU is closed\") }}\ndestinations:\n\
                 \x20 - name: archive\n    to:\n      file: {{ dir: out-{name}, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n"
            ),
        );
    }
    let relais = project.start();
    for (port, patients) in ports.into_iter().zip([&["100"][..], &["200", "300"]]) {
        let mut sender = Sender::connect(port).unwrap();
        for patient in patients {
            sender.send(&message(&format!("M{patient}"), patient)).unwrap();
        }
    }
    relais
}

/// The events of an answer.
fn events(said: &Said) -> Vec<Value> {
    assert_eq!(said.status, 200, "{said:?}");
    // Pieces of the transfer stand between.
    let told = said.body.lines().filter_map(|line| line.strip_prefix("data: "));
    told.map(|told| serde_json::from_str(told).unwrap_or_else(|_| panic!("{said:?}"))).collect()
}

/// Control ids and places, in their order.
fn found(asker: &Asker, query: &str) -> Vec<(String, Option<String>)> {
    let said = asker.get(&format!("/api/v1/messages/found?{query}"));
    let events = events(&said);
    assert_eq!(events.last().map(|last| &last["is_end"]), Some(&json!(true)), "{said:?}");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = events.iter().flat_map(|event| event["messages"].as_array().unwrap().clone());
    all.map(|one| (text(&one["message"]["control_id"]).unwrap(), text(&one["place"]))).collect()
}

fn in_what_came(ids: &[&str]) -> Vec<(String, Option<String>)> {
    ids.iter().map(|id| ((*id).to_owned(), Some("received".to_owned()))).collect()
}

#[test]
fn words_are_looked_for_by_who_may_see_content_in_the_channels_he_sees_and_that_is_written_down() {
    let project = Project::new();
    let relais = two_channels(&project);
    let owner = relais.owner();
    assert_eq!(found(&owner, "text=example%5Eanna"), in_what_came(&["M300", "M200", "M100"]));
    assert_eq!(found(&owner, "text=Example&channel=blood"), in_what_came(&["M100"]));
    assert_eq!(found(&owner, "text=example&state=refused"), in_what_came(&["M300"]));
    assert_eq!(found(&owner, "text=example&destination=archive&limit=1"), in_what_came(&["M200"]));
    assert_eq!(found(&owner, "text=moreau"), [("M300".to_owned(), Some("reason".to_owned()))]);
    assert_eq!(found(&owner, "text=EXAMPLE.ANNA"), []);
    assert_eq!(found(&owner, "q=M*").len(), 3);
    assert_eq!(found(&owner, "q=200"), [("M200".to_owned(), None)]);
    assert_eq!(found(&owner, "limit=2").len(), 2);

    let ward = relais.account("wanda", "engineer", &["ward"]);
    assert_eq!(found(&ward, "text=example"), in_what_came(&["M300", "M200"]));
    assert_eq!(ward.get("/api/v1/messages/found?text=example&channel=blood").status, 404);
    let nobody = relais.account("nina", "engineer", &["nowhere"]);
    assert_eq!(found(&nobody, "text=example"), []);
    let viewer = relais.account("vera", "viewer", &[]);
    for words in ["text=example", "q=200"] {
        let said = viewer.get(&format!("/api/v1/messages/found?{words}"));
        assert_eq!((said.status, said.json()["code"].as_str()), (403, Some("right-missing")), "{words}");
    }
    assert_eq!(found(&viewer, "state=refused").len(), 1, "what is no word of theirs may be filtered by");
    let shown = viewer.get("/api/v1/messages/found").body;
    assert!(!shown.contains("MOREAU"), "{shown}");

    let log = owner.get("/api/v1/audit?limit=1000");
    let lines = log.json();
    let of = |who: &str| {
        let all = lines.as_array().unwrap().iter();
        let looks = all.filter(|line| line["who"] == who && line["what"] == "search in contents");
        looks.map(|line| line["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((of("wanda"), of("vera").len()), (vec![String::new()], 0), "{lines}");
    assert!(lines.to_string().contains("channel blood"), "{lines}");
    assert!(!log.body.to_lowercase().contains("example") && !log.body.contains("MOREAU"), "{lines}");
    let logged = relais.log().to_lowercase();
    assert!(!logged.contains("example") && !logged.contains("moreau"), "{logged}");
}

#[test]
fn it_says_how_far_it_looked_and_goes_on_from_there() {
    let project = Project::new();
    let relais = two_channels(&project);
    let owner = relais.owner();
    let page = |query: &str| events(&owner.get(&format!("/api/v1/messages/found?{query}")));
    let first = page("text=example&limit=2");
    let end = first.last().unwrap();
    let before = end["before"].as_u64().expect("there is more");
    assert_eq!(end["looked"]["messages"], 2);
    let rest = page(&format!("text=example&limit=2&before={before}"));
    let end = rest.last().unwrap();
    assert_eq!((&end["before"], &end["looked"]["messages"]), (&Value::Null, &json!(1)));
    let nowhere = page("text=zygomatic");
    let end = nowhere.last().unwrap();
    assert_eq!((&end["looked"]["messages"], &end["is_end"]), (&json!(3), &json!(true)));
    assert!(end["looked"]["until"].as_str().unwrap().ends_with('Z'), "{end}");
}

#[test]
fn a_longer_list_than_there_is_is_refused_and_not_cut() {
    let project = Project::new();
    let relais = two_channels(&project);
    let owner = relais.owner();
    for (list, most) in [
        ("messages", 1000),
        ("messages/found", 1000),
        ("deliveries", 1000),
        ("audit", 1000),
        ("logs", 2000),
        ("overdue", 10_000),
        ("pending", 10_000),
    ] {
        let at = |limit: u64| owner.get(&format!("/api/v1/{list}?limit={limit}"));
        assert_eq!(at(most).status, 200, "{list}");
        let said = at(most + 1);
        assert_eq!((said.status, said.json()["code"].as_str()), (400, Some("request-wrong")), "{list}");
        assert!(said.body.contains(&format!("between 1 and {most}")), "{said:?}");
    }
    let long = "x".repeat(201);
    for wrong in [
        "q=a&text=b",
        "text=%20",
        &format!("text={long}"),
        "text=a&state=lost",
        "text=a&since=yesterday",
        "limit=0",
    ] {
        let said = owner.get(&format!("/api/v1/messages/found?{wrong}"));
        assert_eq!(said.status, 400, "{wrong}: {said:?}");
        assert_eq!(said.header("content-type"), Some("application/problem+json"), "{wrong}");
    }
}

#[test]
fn the_command_says_each_as_it_is_found_and_how_far_it_looked() {
    let project = Project::new();
    let _relais = two_channels(&project);
    let run = |arguments: &[&str]| {
        let ran = project.relais(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
    };
    let (code, found, far) = run(&["find", "--text", "Example"]);
    assert_eq!(code, Some(0), "{far}");
    let ids: Vec<_> = found.lines().filter_map(|line| line.split("  ").nth(5)).collect();
    assert_eq!(ids, ["M300", "M200", "M100"], "{found}");
    assert!(
        found.contains("in what came") && far.contains("looked into 3 messages, back to"),
        "{found}{far}"
    );
    let (code, found, far) = run(&["find", "--text", "zygomatic"]);
    assert_eq!((code, found.as_str()), (Some(1), ""), "{far}");
    assert!(far.contains("looked into 3 messages"), "{far}");
    let (_, found, far) = run(&["find", "--text", "example", "--limit", "1"]);
    assert!(found.lines().count() == 1 && far.contains("older ones: --before"), "{found}{far}");
    let (_, found, _) = run(&["find", "--text", "moreau", "--format", "json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found[0]["control_id"], "M300");
    let (code, _, hint) = run(&["find", "EXAMPLE"]);
    assert!(code == Some(1) && hint.contains("relais find --text"), "{hint}");
    assert_eq!(run(&["find", "M1", "--text", "x"]).0, Some(2), "one or the other");
}
