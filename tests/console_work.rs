//! What an engineer does at the console by day: who is connected, what changed, many messages sent again, certificates, the log.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    Behaviour, Browser, Project, Receiver, Receiving, Relais, Sender, comes_true, free_port, message, python,
    wait_until,
};

const PASSWORD: &str = "a long and quiet evening";

/// How many the receiver refuses at first.
const REFUSED: usize = 12;

/// Signs in as the administrator.
fn sign_in(browser: &mut Browser, project: &Project) {
    browser.open(&project.link("admin"));
    browser.fill("[name=password]", PASSWORD);
    browser.fill("[name=again]", PASSWORD);
    browser.click("button[type=submit]");
    browser.see("#top nav", "");
}

/// Those that `docs/guide` shows.
const IN_GUIDE: [&str; 2] = ["week", "many"];

fn picture(browser: &mut Browser, name: &str) {
    if IN_GUIDE.contains(&name) {
        browser.shot_for_guide(name);
    } else {
        browser.shot(name);
    }
}

/// A channel to a record that is there, and one by TLS whose certificate ends in five days.
fn lab(project: &Project, record: u16, description: &str) -> [u16; 2] {
    let ports = [free_port(), free_port()];
    project.write("relais.yaml", format!("listen: 127.0.0.1:{}\nreload: on_command\n", project.port));
    written(project, (ports[0], record), description);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut asked = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    asked.not_after = (std::time::SystemTime::now() + Duration::from_hours(24 * 5 + 1)).into();
    project
        .write("server.pem", asked.self_signed(&key).unwrap().pem())
        .write("server.key", key.serialize_pem());
    project.channel(
        "safe",
        &format!(
            "name: safe\nsource:\n  mllp: {{ listen: \"127.0.0.1:{}\", tls: {{ certificate: server.pem, key: server.key }} }}\ndestinations: []\n",
            ports[1]
        ),
    );
    ports
}

fn written(project: &Project, (port, record): (u16, u16), description: &str) {
    project.channel(
        "lab",
        &format!(
            "name: lab\ndescription: {description}\ntags: [laboratory]\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\n\
             steps:\n  - require: [PID-3.1]\ndestinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{record}\" }}\n"
        ),
    );
}

/// As a server leaves it that has watched the channel for a month: by day and on workdays.
fn learned(project: &Project) {
    let cells = 0..7 * 24;
    let usual: Vec<u32> =
        cells.map(|at| if at / 24 < 5 && (7..19).contains(&(at % 24)) { 62 } else { 3 }).collect();
    let (none, day) = (json!({ "mean": 0.0, "square": 0.0 }), 24.0 * 30.0);
    let rhythm = json!({
        "usual": usual, "yearly": 200_000.0, "seen": vec![4; 7 * 24], "watched": day,
        "tail": { "number": 0, "slow": none, "fast": none },
        "hour": { "number": i64::MIN, "cell": 0, "watched": 0.0, "came": 0.0 },
        "day": { "number": i64::MIN, "came": 0.0, "expected": 0.0, "part": 0.0 },
        "silence": { "seconds": 0.0, "before": 0.0, "usual": 0.0, "quiet": 0.0 },
    });
    project.write("data/rhythms.json", json!({ "rhythms": { "lab": rhythm }, "last": {} }).to_string());
}

fn sent(sender: &mut Sender, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        let answer = sender.send(&message(&id, "4711")).unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("MSA|AA"), "{id}");
    }
}

#[test]
fn an_engineer_sees_who_is_connected_what_a_version_changed_and_sends_many_again() {
    let (project, record) = (Project::new(), Receiver::start(Behaviour::Code("AE")));
    let ports = lab(&project, record.port, "Results");
    learned(&project);
    let relais = project.start();
    let mut sender = Sender::connect(ports[0]).unwrap();
    sent(&mut sender, (0..REFUSED).map(|number| format!("DAY{number}")));
    wait_until("they are given up", || given_up(&relais) == REFUSED);
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({}));
    sign_in(&mut browser, &project);

    browser.open("#/channels/lab/peers");
    browser.see(".panel tr:has-text('sender')", "127.0.0.1:");
    browser.see(".panel tr:has-text('→ record')", &record.port.to_string());
    browser.see(".panel", "2 connections are open");
    assert_eq!(browser.count(".panel td:has-text('none yet')"), 0, "bytes went both ways on both");
    browser.is_open_to_all();
    picture(&mut browser, "peers");
    drop(sender);
    browser.see_no(".panel tr:has-text('sender')", "");

    browser.open("#/channels/lab");
    browser.see(".rhythm", "62/h");
    browser.see(".panel", "are usual at this hour");
    assert_eq!(browser.count(".rhythm .hour"), 7 * 24);
    browser.is_open_to_all();
    browser.run("document.querySelector('.rhythm').scrollIntoView({ block: 'end' })");
    picture(&mut browser, "week");

    changes_a_version(&mut browser, &project, (ports[0], record.port));
    record.behave(Behaviour::Code("AA"));
    sends_many_again(&mut browser, &relais, &record);
    holds_from_the_list(&mut browser, &relais);
    assert_eq!(browser.complaints(), json!([]));
}

fn given_up(relais: &Relais) -> usize {
    let (_, text) = relais.get("/api/v1/messages?state=given_up&limit=1000").unwrap();
    serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().len()
}

/// What was edited comes into force under a name, and what it changed is shown later too.
fn changes_a_version(browser: &mut Browser, project: &Project, ports: (u16, u16)) {
    written(project, ports, "Results of the whole laboratory");
    browser.open("#/channels/lab/changes");
    browser.see(".history", "found in the files");
    browser.click(".panel button:has-text('Bring into force')");
    browser.see("dialog .lines", "lab runs as its files say now");
    browser.click("dialog button.first");
    browser.see(".history", "admin");
    assert_eq!(browser.count(".history tbody tr"), 2);
    browser.see(".history tr:has-text('in force')", "admin");
    browser.click(".history button:has-text('What it changed')");
    browser.see("dialog .difference .gone", "description: Results");
    browser.see("dialog .difference .new", "Results of the whole laboratory");
    browser.is_open_to_all();
    picture(browser, "version");
    browser.press(&["Escape"]);
}

/// A plan of all that fit, one confirmation, and each goes once.
fn sends_many_again(browser: &mut Browser, relais: &Relais, record: &Receiver) {
    let before = record.count();
    browser.open("#/find?channel=lab&state=given_up");
    browser.see(".foot", &format!("{REFUSED} messages shown"));
    browser.click("button:has-text('Send all that fit again')");
    browser.see("dialog", "at most 10,000");
    browser.is_open_to_all();
    browser.click("dialog button[type=submit]");
    browser.see("dialog .lines", &format!("{REFUSED} × lab → record (given up)"));
    assert_eq!(record.count(), before, "a plan does nothing");
    picture(browser, "many");
    browser.click("dialog button.first");
    browser.see("#told", &format!("{REFUSED}"));
    wait_until("the record has them", || record.count() == before + REFUSED);
    wait_until("nothing is given up any more", || given_up(relais) == 0);
    let (_, goes) = relais.get("/api/v1/resends").unwrap();
    let goes: Value = serde_json::from_str(&goes).unwrap();
    assert_eq!((&goes[0]["state"], &goes[0]["done"]), (&json!("done"), &json!(REFUSED)), "{goes}");
    assert!(!comes_true(Duration::from_secs(1), || record.count() > before + REFUSED), "each goes once");
    browser.open("#/system/audit");
    browser.see(".audit", "sent many again");
    browser.see(".audit", &format!("go 1: done, {REFUSED} of {REFUSED} sent again, 0 not"));
    browser.open("#/find?channel=lab");
    browser.see(".found li", "sent");
    browser.click("button:has-text('Send all that fit again')");
    browser.click("dialog button[type=submit]");
    browser.see("dialog .problem", "Nothing of what fits can be sent again");
    browser.press(&["Escape"]);
}

fn holds_from_the_list(browser: &mut Browser, relais: &Relais) {
    browser.open("#/channels");
    browser.click("[data-row=lab] .of-act button");
    browser.click("dialog button:has-text('Hold: record')");
    browser.see("dialog .lines", "Nothing is sent to record any more");
    browser.click("dialog button.first");
    browser.see("#told", "record is held");
    let (_, channel) = relais.get("/api/v1/channels/lab").unwrap();
    let channel: Value = serde_json::from_str(&channel).unwrap();
    assert_eq!(channel["destinations"][0]["state"], "held");
}

/// The same from a terminal: what `check` says of ways that are not there, and a trial.
fn tried_by_hand(project: &Project, mail: &mut Receiving) -> Relais {
    let checked = project.relais(&["check", "--connect"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success(), "{said}");
    assert!(said.contains("alerts/night.yaml:4:") && said.contains("unreachable"), "{said}");
    assert!(!said.contains("alerts/night.yaml:3:"), "the mail server is there: {said}");
    let relais = project.start();
    let tried = project.relais(&["alert", "test", "night"]);
    let words = String::from_utf8_lossy(&tried.stdout).into_owned();
    assert_eq!(tried.status.code(), Some(1), "{words}");
    assert!(words.contains("tell 1, smtp: taken") && words.contains("tell 2, http: not told"), "{words}");
    let letter = mail.next_read();
    assert!(letter["subject"].as_str().unwrap().ends_with("trial of alerts/night.yaml"), "{letter}");
    assert!(letter["text"].as_str().unwrap().contains("nothing is wrong"), "{letter}");
    let missing = project.relais(&["alert", "test", "day"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no rule `day` in force"));
    let listed = project.relais(&["alert", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("smtp, http"));
    relais
}

#[test]
fn certificates_the_log_and_a_trial_of_an_alert_are_seen_in_french_on_a_telephone_in_the_dark() {
    let (project, record) = (Project::new(), Receiver::start(Behaviour::Code("AA")));
    let [port, _] = lab(&project, record.port, "Results");
    let mut mail = Receiving::start(python("mail.py"));
    let nobody = free_port();
    let rule = format!(
        "when: {{ given_up: {{}} }}\ntell:\n  - smtp: {{ server: \"127.0.0.1:{}\", encryption: none, from: relais@example.org, to: [\"night@example.org\"] }}\n  \
         - http: {{ url: \"http://127.0.0.1:{nobody}/\" }}\n",
        mail.port
    );
    project.write("alerts/night.yaml", rule);
    let relais = tried_by_hand(&project, &mut mail);

    let mut browser = Browser::start(project.port);
    browser.anew(&json!({ "locale": "fr-FR", "scheme": "dark", "width": 390, "height": 844 }));
    sign_in(&mut browser, &project);
    browser.open("#/system/certificates");
    browser.see(".panel tr:has-text('server.pem')", "5 jours");
    browser.is_open_to_all();
    picture(&mut browser, "certificates");
    browser.open("#/system/alerts");
    browser.see(".panel", "night");
    browser.is_open_to_all();
    browser.run("document.querySelector('.panel button').focus()");
    browser.press(&["Enter"]);
    browser.see("dialog .lines", "marqué comme essai");
    browser.is_open_to_all();
    browser.press(&["Enter"]);
    browser.see("dialog .tried .mark.good", "1. smtp");
    browser.see("dialog .tried .mark.bad", "2. http");
    browser.is_open_to_all();
    picture(&mut browser, "trial");
    assert!(mail.next_read()["subject"].as_str().unwrap().contains("trial of"));
    browser.press(&["Escape"]);
    browser.open("#/system/logs");
    browser.see(".logs", "needs a person");
    browser.is_open_to_all();
    picture(&mut browser, "logs");
    browser.choose(".panel select", "lab");
    browser.see(".panel", "Aucune ligne ne correspond");
    assert_eq!(browser.count(".logs tbody tr"), 0);
    // What is logged from now on comes by itself.
    record.behave(Behaviour::Code("AE"));
    Sender::connect(port).unwrap().send(&message("L1", "42")).unwrap();
    browser.see(".logs", "a delivery did not arrive");
    for place in ["#/channels/lab/peers", "#/channels/lab/changes", "#/channels/lab"] {
        browser.open(place);
        browser.see(".panel", "");
        browser.is_open_to_all();
    }
    assert_eq!(browser.complaints(), json!([]));
    let (status, lines) = relais.get("/api/v1/logs?level=warn").unwrap();
    assert!(status == 200 && !lines.contains("\"info\""), "{lines}");
    assert_eq!(relais.get("/api/v1/logs?level=loud").unwrap().0, 400);
}

/// How long a browser may take here, beside whatever else this machine does; what it took is printed.
const PATIENT: f64 = 5000.0;

#[test]
fn the_page_is_painted_soon_with_a_thousand_channels_in_its_list() {
    const CHANNELS: usize = 1000;
    let project = Project::new();
    for number in 0..CHANNELS {
        let text =
            "source: { channel: {} }\ndestinations:\n  - name: kept\n    to:\n      file: { dir: out }\n";
        project.channel(
            &format!("feed-{number:04}"),
            &format!("name: feed-{number:04}\ntags: [group-{}]\n{text}", number % 20),
        );
    }
    let _relais = project.start();
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({}));
    sign_in(&mut browser, &project);
    for place in ["#/now", "#/channels"] {
        browser.open(place);
        browser.see("h1", "");
        // By the browser's own clock, from the request for the page on: three times, files asked for anew each time.
        let mut painted = Vec::new();
        for _ in 0..3 {
            browser.run("location.reload(), null");
            browser.see("#top nav", "");
            let took = browser.run(PAINTED);
            painted.push(took.as_f64().unwrap());
        }
        painted.sort_unstable_by(f64::total_cmp);
        println!("{place}: first contentful paint {:.0} ms (median of 3, {CHANNELS} channels)", painted[1]);
        assert!(painted[1] > 0.0 && painted[1] < PATIENT, "{place}: {painted:?}");
    }
    let listed = browser.run(LISTED);
    println!(
        "#/channels: all {CHANNELS} rows made {} ms after the request for the page; what they show had come after {} ms",
        listed["made"], listed["asked"]
    );
    assert_eq!(listed["rows"], CHANNELS, "{listed}");
    browser.fill("#search", "group-7");
    browser.see("[role=status]", "50 channels of 1,000");
    browser.is_open_to_all();
}

const PAINTED: &str = "new Promise((told) => new PerformanceObserver((list, self) => { \
    const one = list.getEntriesByName('first-contentful-paint')[0]; if (one) { self.disconnect(); told(one.startTime); } \
    }).observe({ type: 'paint', buffered: true }))";

/// By the marks that the page sets itself: when somebody looks is later.
const LISTED: &str = "new Promise((told) => { const look = () => { \
    const rows = document.querySelectorAll('.channels tbody tr').length; const [made] = performance.getEntriesByName('all rows'); \
    const answers = performance.getEntriesByType('resource').filter((one) => /api\\/v1\\/(channels|series)$/.test(one.name)); \
    if (rows >= 1000 && made) told({ rows, made: Math.round(made.startTime), asked: Math.round(Math.max(...answers.map((one) => one.responseEnd))) }); \
    else requestAnimationFrame(look); }; look(); })";

/// A channel that refuses at first, and then takes a while for each message.
fn slow(project: &Project, port: u16, steps: &str) {
    project.channel(
        "slow",
        &format!(
            "name: slow\nreply: delivered\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\n{steps}destinations:\n  - name: program\n    to:\n      \
             exec: {{ run: [sleep, \"0.2\"] }}\n"
        ),
    );
}

#[test]
fn sending_many_again_is_stopped_between_two_messages_and_one_goes_at_a_time() {
    const REFUSED: usize = 60;
    let (project, port) = (Project::new(), free_port());
    project.write("relais.yaml", format!("listen: 127.0.0.1:{}\nreload: on_command\n", project.port));
    slow(&project, port, "steps:\n  - require: [PV1-44]\n");
    let relais = project.start();
    let mut sender = Sender::connect(port).unwrap();
    for number in 0..REFUSED {
        sender.send(&message(&format!("SLOW{number}"), "4711")).unwrap();
    }
    slow(&project, port, "");
    assert!(project.relais(&["deploy"]).status.success());
    let owner = relais.owner();
    let wish = json!({ "channel": "slow", "state": "refused" });
    let planned =
        owner.post("/api/v1/resends", &json!({ "channel": "slow", "state": "refused", "plan": true })).json();
    assert_eq!((&planned["messages"], &planned["left"]), (&json!(REFUSED), &json!(0)), "{planned}");
    assert_eq!(planned["deeds"][0]["destination"], Value::Null, "they run again whole: {planned}");
    let begun = owner.post("/api/v1/resends", &wish).json();
    assert_eq!(begun["state"], "running", "{begun}");
    let second = owner.post("/api/v1/resends", &wish);
    assert_eq!(second.status, 409, "{second:?}");
    let go = || owner.get("/api/v1/resends").json()[0].clone();
    wait_until("some have gone", || go()["done"].as_u64() > Some(1));
    assert_eq!(owner.post("/api/v1/resends/1/stop", &json!(null)).status, 204);
    wait_until("it is stopped", || go()["state"] == "stopped");
    let done = go()["done"].as_u64().unwrap() as usize;
    assert!(done < REFUSED, "{done}");
    let left = owner.get("/api/v1/messages?channel=slow&state=refused&limit=1000").json();
    assert_eq!(left.as_array().unwrap().len(), REFUSED - done, "what did not go stands as it stood");
    let audit = owner.get("/api/v1/audit?limit=20").body;
    assert!(audit.contains("channel slow, state refused") && audit.contains("go 1: stopped"), "{audit}");
    assert_eq!(owner.post("/api/v1/resends/7/stop", &json!(null)).status, 404);
}
