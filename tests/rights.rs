//! Every path of the API, as its own document lists them: who is let at it and who is not.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tests::{
    Asker, Behaviour, Project, Receiver, Relais, Sender, comes_true, free_port, message, wait_until,
};

/// Two channels of different tags with a message each, and one destination.
fn two_channels(project: &Project) -> (Relais, [u16; 2]) {
    let ports = [free_port(), free_port()];
    for (name, tag, port) in [("blood", "lab", ports[0]), ("beds", "ward", ports[1])] {
        project.channel(
            name,
            &format!(
                "name: {name}\ntags: [{tag}]\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\ndestinations:\n\
                 \x20 - name: archive\n    to:\n      file: {{ dir: out-{name}, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n"
            ),
        );
    }
    let relais = project.start();
    let senders = ports.map(|port| Sender::connect(port).expect("the channel listens"));
    for (mut sender, patient) in senders.into_iter().zip(["100", "200"]) {
        let answer = sender.send(&message(&format!("M{patient}"), patient)).expect("each is answered");
        assert!(String::from_utf8_lossy(&answer).contains("MSA|AA"));
    }
    (relais, ports)
}

struct Place {
    method: String,
    path: String,
    rights: Vec<String>,
    about: String,
    body: Option<Value>,
}

/// What the document says there is.
fn paths(asker: &Asker) -> Vec<Place> {
    let document = asker.get("/api/v1/openapi.json").json();
    let paths = document["paths"].as_object().expect("there are paths").clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for (path, methods) in paths {
        for (method, place) in methods.as_object().expect("a path has methods") {
            let rights = place["x-rights"].as_array().expect("a path names rights");
            all.push(Place {
                method: method.to_uppercase(),
                path: path.clone(),
                rights: rights.iter().map(text).collect(),
                about: text(&place["x-about"]),
                body: place.get("requestBody").map(|_| json!({})),
            });
        }
    }
    assert!(all.len() > 40, "there are {} paths", all.len());
    all
}

/// The path of something that is there, and that is not seen by who sees `ward` alone.
fn filled(path: &str, message: u64) -> String {
    let path = path.replace("{name}", "blood").replace("{channel}", "blood");
    let path = path.replace("{version}", "0").replace("{destination}", "archive").replace("{act}", "stop");
    path.replace("{id}", &message.to_string())
}

fn ask(asker: &Asker, place: &Place, path: &str) -> tests::Said {
    let body = place.body.as_ref().map(|body| body.to_string().into_bytes());
    asker.ask(&place.method, path, body.as_deref())
}

#[test]
fn every_path_refuses_who_has_no_right_or_does_not_see_what_it_is_about() {
    let project = Project::new();
    let (relais, _) = two_channels(&project);
    let owner = relais.owner();
    let nobody = Asker::nobody(project.port);
    let stranger = Asker::bearing(project.port, "relais_0000");
    let viewer = relais.account("vera", "viewer", &[]);
    let all = ["look", "content", "operate", "deploy", "administer"];
    let message = owner.get("/api/v1/messages?channel=blood").json()[0]["id"].as_u64().expect("it came");
    let ward = relais.token("ward", &all[..4], &["ward"]);
    let places = paths(&owner);
    let named: BTreeSet<_> = places.iter().flat_map(|place| place.rights.clone()).collect();
    assert_eq!(named, all.map(str::to_owned).into_iter().collect(), "each right opens something");
    let lacking: Vec<(&str, Asker)> = all
        .iter()
        .map(|right| {
            let others: Vec<_> = all.iter().copied().filter(|other| other != right).collect();
            (*right, relais.token(&format!("no-{right}"), &others, &[]))
        })
        .collect();
    for place in &places {
        let path = filled(&place.path, message);
        let what = format!("{} {path}", place.method);
        for who in [&nobody, &stranger] {
            let said = ask(who, place, &path);
            assert_eq!(said.status, 401, "{what} to somebody not known");
            assert_eq!(said.json()["code"], "not-signed-in", "{what}");
        }
        for (right, without) in
            lacking.iter().filter(|(right, _)| place.rights.iter().any(|one| one == right))
        {
            let said = ask(without, place, &path);
            assert_eq!(
                (said.status, said.json()["code"].as_str()),
                (403, Some("right-missing")),
                "{what} without {right}"
            );
        }
        if place.rights.iter().any(|right| right != "look") {
            assert_eq!(ask(&viewer, place, &path).status, 403, "{what} as a viewer");
        }
        let expected: &[u16] = match place.about.as_str() {
            "channel" | "message" | "delivery" => &[404],
            "server" => &[403],
            _ => continue,
        };
        if !place.rights.iter().any(|right| right == "administer") {
            let said = ask(&ward, place, &path);
            assert!(expected.contains(&said.status), "{what} for another tag: {said:?}");
        }
    }
}

#[test]
fn whoever_may_everything_finds_no_fault_of_ours_whatever_he_names() {
    let project = Project::new();
    let (relais, _) = two_channels(&project);
    let owner = relais.owner();
    let message = owner.get("/api/v1/messages?channel=blood").json()[0]["id"].as_u64().expect("it came");
    let places = paths(&owner);
    for place in &places {
        if place.path.ends_with("/events") {
            continue;
        }
        for (name, id) in [("blood", message), ("nothing", u64::MAX)] {
            let path = filled(&place.path, id).replace("blood", name);
            let said = ask(&owner, place, &path);
            assert!((200..500).contains(&said.status), "{} {path}: {said:?}", place.method);
            if said.status >= 400 {
                assert_eq!(said.header("content-type"), Some("application/problem+json"), "{path}: {said:?}");
            }
        }
    }
}

#[test]
fn who_is_limited_to_a_tag_is_told_of_its_channels_alone() {
    let project = Project::new();
    let (relais, ports) = two_channels(&project);
    for limited in [
        relais.account("wanda", "engineer", &["ward"]),
        relais.token("w", &["look", "content", "operate"], &["ward"]),
    ] {
        let names = |path: &str, of: &str| -> BTreeSet<String> {
            let said = limited.get(path);
            assert_eq!(said.status, 200, "{path}: {said:?}");
            let all = said.json();
            let all = all.as_array().unwrap_or_else(|| panic!("{path} lists nothing"));
            all.iter().map(|one| one[of].as_str().unwrap_or_default().to_owned()).collect()
        };
        let beds = BTreeSet::from(["beds".to_owned()]);
        assert_eq!(names("/api/v1/channels", "name"), beds);
        assert_eq!(names("/api/v1/messages", "channel"), beds);
        assert_eq!(names("/api/v1/deliveries", "channel"), beds);
        assert_eq!(names("/api/v1/messages?q=200", "channel"), beds);
        for path in [
            "/api/v1/messages?q=100",
            "/api/v1/messages?q=M*&before=2",
            "/api/v1/overdue",
            "/api/v1/unmapped",
        ] {
            assert!(names(path, "channel").is_subset(&beds), "{path}");
        }
        for path in [
            "/api/v1/messages?channel=blood",
            "/api/v1/pending?channel=blood",
            "/api/v1/overdue?channel=blood",
        ] {
            assert_eq!(limited.get(path).status, 404, "{path}");
        }
        assert_eq!(limited.post("/api/v1/channels/blood/stop", &json!(null)).status, 404);
        assert_eq!(limited.post("/api/v1/channels/beds/pause", &json!(null)).status, 200);
        assert_eq!(limited.post("/api/v1/channels/beds/start", &json!(null)).status, 200);
    }
    // Events of the other channel do not come either.
    let limited = relais.token("listener", &["look"], &["ward"]);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", project.port)).expect("the server listens");
    std::io::Write::write_all(&mut stream, &limited.request("GET", "/api/v1/events", None))
        .expect("it can be asked");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stream)).map_while(Result::ok);
    let counts = lines.find(|line| line.contains("\"received\"")).expect("counts come first");
    assert!(counts.contains("beds") && !counts.contains("blood"), "{counts}");
    for (port, id) in ports.into_iter().zip(["E1", "E2"]) {
        wait_until("the channel listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        let mut sender = Sender::connect(port).expect("the channel listens");
        sender.send(&message(id, "300")).expect("each is answered");
    }
    let first = lines.find(|line| line.contains("\"outcome\":\"accepted\"")).expect("an event comes");
    assert!(first.contains("beds"), "{first}");
}

#[test]
fn content_is_shown_through_no_door_to_who_may_not_see_it_and_each_look_is_written_down() {
    let project = Project::new();
    let (relais, _) = two_channels(&project);
    let viewer = relais.account("vera", "viewer", &[]);
    let reader = relais.account("olga", "operator", &[]);
    let id = reader.get("/api/v1/messages?channel=blood").json()[0]["id"].clone();
    let shown = viewer.get(&format!("/api/v1/messages/{id}"));
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json()["content"], "hidden");
    for path in ["/api/v1/messages", "/api/v1/deliveries", "/api/v1/channels", "/api/v1/pending", "/metrics"]
    {
        let said = viewer.get(path);
        assert_eq!(said.status, 200, "{path}");
        assert!(!said.body.contains("EXAMPLE") && !said.body.contains("ANNA"), "{path}");
    }
    assert!(!shown.body.contains("EXAMPLE") && !shown.body.contains("\"100\""), "{shown:?}");
    for path in ["/api/v1/messages?q=100", "/api/v1/deliveries?q=100", "/api/v1/overdue", "/api/v1/unmapped"]
    {
        assert_eq!(viewer.get(path).status, 403, "{path}");
    }
    assert_eq!(viewer.get(&format!("/api/v1/messages/{id}/body")).status, 403);
    assert!(reader.get(&format!("/api/v1/messages/{id}")).body.contains("EXAMPLE^ANNA"));
    assert!(reader.get(&format!("/api/v1/messages/{id}/body")).body.contains("EXAMPLE^ANNA"));
    assert_eq!(reader.get("/api/v1/messages?q=100").status, 200);
    let own = reader.get("/api/v1/audit").json();
    let deeds: Vec<_> = own
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| (line["what"].clone(), line["subject"].clone()))
        .collect();
    let look = (json!("see content"), json!(format!("message {id}")));
    assert_eq!(deeds.iter().filter(|deed| **deed == look).count(), 2, "{deeds:?}");
    assert!(deeds.contains(&(json!("search by content"), json!(""))), "{deeds:?}");
    assert!(
        own.as_array()
            .expect("lines")
            .iter()
            .all(|line| line["who"] == "olga" && line["from"] == "127.0.0.1")
    );
    let all = relais.owner().get("/api/v1/audit?limit=1000").body;
    assert!(!all.contains("EXAMPLE") && !all.contains("four words"), "{all}");
    assert!(all.contains("\"vera\"") && all.contains("account olga: operator"), "{all}");
}

/// The number of a patient, which each reason names.
const MARKER: &str = "ZYGOMATIC";

/// A channel in which a step, a step of a destination and a look at an answer each name the patient, and a rule that tells of it.
fn outspoken(project: &Project, record: u16) -> u16 {
    let port = free_port();
    project.channel(
        "blood",
        &format!(
            "name: blood\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\nsteps:\n  - script: |\n\
             \x20     if msg[\"MSH-10\"] == \"S1\" {{ refuse(msg[\"PID-3\"] + \" has no visit\") }}\n\
             \x20     if msg[\"MSH-10\"] == \"S2\" {{ throw msg[\"PID-3\"] + \" is no number\" }}\n\
             \x20     if msg[\"MSH-10\"] == \"S3\" {{ filter(msg[\"PID-3\"] + \" is of no concern\") }}\n\
             \x20     if msg[\"MSH-10\"] == \"S4\" {{ let at = msg[\"PID-3\"]; refuse(\"no number\", at) }}\n\
             destinations:\n  - name: record\n    to: {{ mllp: {{ connect: \"127.0.0.1:{record}\" }} }}\n\
             \x20   queue: always\n    on_response:\n      - script: refuse(msg[\"PID-3\"] + \" is not known\")\n\
             \x20 - name: archive\n    to: {{ mllp: {{ connect: \"127.0.0.1:{record}\" }} }}\n    queue: always\n\
             \x20   on_response:\n      - script: retry(msg[\"PID-3\"] + \" is busy\")\n"
        ),
    );
    project.channel(
        "alarms",
        "name: alarms\nsource: { channel: {} }\nformat: json\ndestinations:\n  - name: kept\n    to:\n      file: { dir: alarms }\n",
    );
    project.write(
        "alerts/night.yaml",
        "when: { queue_old: { for: 1s } }\nchannels: [blood]\ntell:\n  - channel: { name: alarms }\n",
    );
    port
}

/// Everything that is told of an episode and before, as it happens.
fn heard(asker: &Asker) -> impl FnOnce() -> String + use<> {
    let request = asker.request("GET", "/api/v1/events", None);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", asker.port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time limit can be set");
    std::io::Write::write_all(&mut stream, &request).expect("it can be asked");
    move || {
        let mut told = String::new();
        let began = std::time::Instant::now();
        for line in std::io::BufRead::lines(std::io::BufReader::new(stream)).map_while(Result::ok) {
            told.push_str(&line);
            if line.contains("\"queue_old\"") || began.elapsed() > Duration::from_secs(30) {
                break;
            }
        }
        told
    }
}

#[test]
fn the_words_of_steps_and_receivers_are_read_on_no_path_by_who_may_not_see_content() {
    let project = Project::new();
    let record = Receiver::start(Behaviour::Code("AA"));
    let port = outspoken(&project, record.port);
    let relais = project.start();
    let owner = relais.owner();
    let viewer = relais.account("vera", "viewer", &[]);
    let without = relais.token("w", &["look", "operate", "deploy", "administer"], &[]);
    let (of_owner, of_viewer) = (heard(&owner), heard(&viewer));
    let mut sender = Sender::connect(port).expect("the channel listens");
    for id in ["S1", "S2", "S3", "S4", "M5"] {
        sender.send(&message(id, MARKER)).expect("each is answered");
    }
    assert!(of_owner().contains(MARKER), "the events have the words, for who may read them");
    let told = of_viewer();
    assert!(told.contains("queue_old") && !told.contains(MARKER), "{told}");
    let places = paths(&owner);
    let ids: Vec<u64> = (1..=8).collect();
    let mut holds = BTreeSet::new();
    for place in places.iter().filter(|place| place.method == "GET" && !place.path.ends_with("/events")) {
        for id in ids.iter().take(if place.path.contains("{id}") { ids.len() } else { 1 }) {
            let path = filled(&place.path, *id);
            if ask(&owner, place, &path).body.contains(MARKER) {
                holds.insert(place.path.clone());
            }
            for who in [&viewer, &without] {
                let said = ask(who, place, &path);
                assert!(!said.body.contains(MARKER), "{path}: {said:?}");
            }
        }
    }
    for path in [
        "messages",
        "messages/found",
        "messages/{id}",
        "messages/{id}/attempts",
        "deliveries",
        "pending",
        "episodes",
        "channels",
        "channels/{name}",
        "channels/{name}/report",
    ] {
        assert!(holds.contains(&format!("/api/v1/{path}")), "{path} holds a reason with words: {holds:?}");
    }
    let listed = viewer.get("/api/v1/messages").body;
    assert!(listed.contains("\"a step refused it") && listed.contains("a step failed"), "{listed}");
    wait_until("somebody is told of it", || !project.files("alarms").is_empty());
    for file in project.files("alarms") {
        let text = std::fs::read_to_string(&file).expect("it was written");
        assert!(text.contains("queue_old") && !text.contains(MARKER), "{text}");
    }
    assert!(!relais.log().contains(MARKER), "the log holds words of a step");
    looks_at_words_are_written_down(&owner);
    changes_nothing_to_words(&without, &places, &ids);
}

/// Each place at which words were read has one line, however often it was read, and nobody has one who read kinds.
fn looks_at_words_are_written_down(owner: &Asker) {
    for _ in 0..3 {
        assert!(owner.get("/api/v1/episodes").body.contains(MARKER));
    }
    let lines = owner.get("/api/v1/audit?limit=1000").json();
    let of =
        |what: &'static str| lines.as_array().expect("lines").iter().filter(move |line| line["what"] == what);
    let who: BTreeSet<_> = of("see reasons").map(|line| line["who"].to_string()).collect();
    assert!(who.len() == 1 && !who.contains("\"vera\"") && !who.contains("\"token w\""), "{who:?}");
    let looks = |place: &str| of("see reasons").filter(|line| line["subject"] == place).count();
    for place in [
        "messages",
        "messages/found",
        "deliveries",
        "pending",
        "episodes",
        "channels",
        "channels/blood",
        "messages/5/attempts",
        "events",
    ] {
        assert_eq!(looks(&format!("/{place}")), 1, "{place}: {lines}");
    }
    // A look at what it holds is one already, and nothing of a reason was read where there is none.
    assert_eq!((looks("/messages/1"), looks("/certificates")), (0, 0), "{lines}");
    assert!(of("see content").any(|line| line["subject"] == "message 1"), "{lines}");
    assert!(!lines.to_string().contains(MARKER), "a line holds words of a step");
}

/// What is changed without the right to content is answered without it too.
fn changes_nothing_to_words(without: &Asker, places: &[Place], ids: &[u64]) {
    for place in places.iter().filter(|place| place.method == "POST" && !place.path.ends_with("/backup")) {
        for id in ids {
            let path = filled(&place.path, *id);
            let said = ask(without, place, &path);
            assert!(!said.body.contains(MARKER), "{path}: {said:?}");
            if !path.contains(&id.to_string()) {
                break;
            }
        }
    }
    let ended = || !without.get("/api/v1/resends").body.contains("running");
    assert!(comes_true(Duration::from_secs(30), ended), "the sending again of many ends");
    assert!(!without.get("/api/v1/resends").body.contains(MARKER));
}

#[test]
fn a_change_is_in_the_audit_log_before_it_begins_and_a_second_line_says_how_it_ended() {
    let project = Project::new();
    let (relais, _) = two_channels(&project);
    let owner = relais.owner();
    let statuses = |channel: &str| {
        let log = std::fs::read_to_string(project.path("data/audit.jsonl")).expect("it is on disk");
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
        let named = format!("/channels/{channel}/pause");
        let of_it =
            lines.filter(|line| line["subject"].as_str().is_some_and(|about| about.ends_with(&named)));
        of_it.map(|line| line["status"].as_u64().unwrap_or_default()).collect::<Vec<_>>()
    };
    let pause = |asker: &Asker, channel: &str| {
        asker.post(&format!("/api/v1/channels/{channel}/pause"), &json!({})).status
    };
    assert_eq!((pause(&owner, "blood"), statuses("blood")), (200, vec![102, 200]));
    assert_eq!((pause(&owner, "nothing"), statuses("nothing")), (404, vec![102, 404]));
    // What somebody may not do does not begin.
    let viewer = relais.token("monitor", &["look"], &[]);
    assert_eq!((pause(&viewer, "beds"), statuses("beds")), (403, vec![403]));
}
