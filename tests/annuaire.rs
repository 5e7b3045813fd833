//! The binary keeps itself in step with an Annuaire that is played: through kills, refusals and changes, and looks into what it has.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    Annuaire, Browser, Private, Project, Relais, Sender, binary, comes_true, free_port, mshfield, wait_until,
};

/// A channel that mirrors one type, and writes each change into a file.
fn mirror(project: &Project, base: &str, settings: &str) {
    project.write("key", "secret\n");
    project.channel(
        "people",
        &format!(
            "name: people\nsource:\n  annuaire: {{ base: \"{base}\", resources: [Practitioner], every: 1h, {settings} }}\n\
             destinations:\n  - name: directory\n    to:\n      directory: {{}}\n  - name: files\n    to:\n\
             \x20     file: {{ dir: out, name: '${{source.change}}-${{source.id}}-${{source.version}}.json' }}\n\
             \x20   order: {{ key: source.id }}\n"
        ),
    );
}

fn syncs(project: &Project) -> Vec<Value> {
    let output = project.relais(&["sync", "list", "--format", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn sync(project: &Project, resource: &str) -> Value {
    syncs(project).into_iter().find(|one| one["resource"] == resource).unwrap_or_default()
}

fn succeeds(project: &Project, arguments: &[&str]) {
    let output = project.relais(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a sync to its end.
fn run(project: &Project, act: &str) {
    let before = sync(project, "Practitioner")["last_success"].clone();
    succeeds(project, &["sync", act, "people"]);
    wait_until("the run has come to its end", || {
        let now = sync(project, "Practitioner");
        now["state"] == "OK" && now["last_success"] != before
    });
}

/// How many files there are of each change.
fn changes(project: &Project) -> BTreeMap<String, usize> {
    let mut changes = BTreeMap::new();
    for file in project.files("out") {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        *changes.entry(name.split('-').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    changes
}

fn accepted(relais: &Relais) -> f64 {
    relais.metric("relais_messages_total{channel=\"people\",outcome=\"accepted\"}").unwrap_or_default()
}

#[test]
fn six_hundred_are_taken_through_a_kill_and_then_exactly_what_changes() {
    let annuaire = Annuaire::start(&["--practitioners", "600"]);
    let project = Project::new();
    mirror(&project, &annuaire.base(), "page: 10, rate: 30/s, key: \"${file:key}\"");
    let relais = project.start();
    let pages = |at_least: u64| {
        let now = sync(&project, "Practitioner");
        now["state"] == "RUNNING" && now["pages"].as_u64() >= Some(at_least)
    };
    wait_until("twenty pages are taken", || pages(20));
    relais.kill();
    let relais = project.start();
    let after = sync(&project, "Practitioner");
    assert!(after["pages"].as_u64() >= Some(20), "it goes on where it was: {after}");
    assert_ne!(after["state"], "OK");
    wait_until("everything is here", || sync(&project, "Practitioner")["state"] == "OK");
    let done = sync(&project, "Practitioner");
    assert_eq!(done["resources"], 600);
    assert!(done["pages"].as_u64() <= Some(64), "no page but the last is taken twice: {done}");
    assert!(done["next_run"].is_string() && done["why"].is_null(), "{done}");
    let told = |wanted: &[(&str, usize)]| {
        let wanted: BTreeMap<String, usize> =
            wanted.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        wait_until(&format!("{wanted:?} have left"), || changes(&project) == wanted);
    };
    told(&[("created", 600)]);

    let before = accepted(&relais);
    annuaire.happen(r#"{"do": "change", "count": 50}"#);
    run(&project, "start");
    told(&[("created", 600), ("updated", 50)]);
    run(&project, "start");
    assert!((accepted(&relais) - before - 50.0).abs() < 0.5, "fifty leave, and no more");

    annuaire.happen(r#"{"do": "delete", "ids": ["003-9000007-9100007"]}"#);
    annuaire.happen(r#"{"do": "deactivate", "ids": ["003-9000009-9100009"]}"#);
    run(&project, "full");
    told(&[("created", 600), ("deactivated", 1), ("removed", 1), ("updated", 50)]);
    assert_eq!(sync(&project, "Practitioner")["resources"], 599);
    assert_eq!(
        relais.metric("relais_sync_resources{channel=\"people\",resource=\"Practitioner\"}"),
        Some(599.0)
    );
}

#[test]
fn what_a_destination_that_is_down_has_not_taken_waits_in_the_directory() {
    let annuaire = Annuaire::start(&["--practitioners", "2600"]);
    let project = Project::new();
    // Where its folder should be is a file.
    project.write("out", "");
    project.channel(
        "people",
        &format!(
            "name: people\nsource:\n  annuaire: {{ base: \"{}\", resources: [Practitioner], every: 1s, rate: none, key: x }}\n\
             destinations:\n  - name: files\n    to:\n\
             \x20     file: {{ dir: out, name: '${{source.change}}-${{source.id}}-${{source.version}}.json' }}\n\
             \x20   order: {{ key: source.id }}\n    workers: 8\n    queue: always\n\
             \x20   retry: {{ first: 100ms, longest: 500ms }}\n",
            annuaire.base()
        ),
    );
    let relais = project.start();
    let waits = || {
        let now = sync(&project, "Practitioner");
        now["resources"] == 2600
            && now["why"].as_str().is_some_and(|why| why.contains("waiting for the destination `files`"))
    };
    wait_until("everybody is here, and the changes wait", waits);
    let waiting = "relais_sync_waiting{channel=\"people\",resource=\"Practitioner\"}";
    let queued = 2600.0 - relais.metric(waiting).expect("it is counted");
    assert!((2000.0..2200.0).contains(&queued), "{queued} wait in the queue");
    // What changes meanwhile is in the directory all the same.
    annuaire.happen(r#"{"do": "change", "count": 5}"#);
    wait_until("the mirror goes on", || sync(&project, "Practitioner")["updated"] == 5);
    succeeds(&project, &["sync", "stop", "people"]);
    wait_until("it is stopped", || sync(&project, "Practitioner")["state"] == "STOP");
    succeeds(&project, &["sync", "start", "people"]);
    wait_until("it waits again", waits);
    relais.kill();
    let _relais = project.start();
    fs::remove_file(project.path("out")).expect("the file is there");
    let all = BTreeMap::from([("created".to_owned(), 2600), ("updated".to_owned(), 5)]);
    wait_until("all have left", || changes(&project) == all);
    wait_until("nothing waits", || {
        let now = sync(&project, "Practitioner");
        now["state"] == "OK" && now["waiting"] == 0 && now["why"].is_null()
    });
}

#[test]
fn three_syncs_with_one_key_make_no_more_calls_together_than_one_may() {
    let annuaire = Annuaire::start(&["--practitioners", "150"]);
    let project = Project::new();
    project.write("key", "secret\n");
    for (name, resource) in
        [("people", "Practitioner"), ("roles", "PractitionerRole"), ("places", "Organization")]
    {
        project.channel(
            name,
            &format!(
                "name: {name}\nsource:\n  annuaire: {{ base: \"{}\", resources: [{resource}], every: 1h, page: 10, rate: 10/s, key: \"${{file:key}}\" }}\n\
                 destinations:\n  - name: directory\n    to:\n      directory: {{}}\n",
                annuaire.base()
            ),
        );
    }
    let began = Instant::now();
    let _relais = project.start();
    wait_until("all have ended", || {
        let all = syncs(&project);
        all.len() == 3 && all.iter().all(|one| one["state"] == "OK")
    });
    let took = began.elapsed();
    let pages: Vec<u64> = syncs(&project).iter().filter_map(|one| one["pages_total"].as_u64()).collect();
    let (all, most) = (pages.iter().sum::<u64>(), pages.iter().max().copied().unwrap_or_default());
    assert!(all > most + 10, "several had much to ask for: {pages:?}");
    // Each page is a call at least, and noise makes calls later only.
    assert!(took >= Duration::from_millis((all - 1) * 100), "{pages:?} in {took:?}");
}

#[test]
fn a_page_of_ten_megabytes_is_taken_and_memory_stays_small() {
    const PRACTITIONERS: u64 = 11_000;
    let annuaire = Annuaire::start(&["--practitioners", &PRACTITIONERS.to_string()]);
    let page = annuaire.search("Practitioner?_count=5500");
    assert!(page.to_string().len() > 10 << 20, "{} bytes", page.to_string().len());
    drop(page);
    let project = Project::new();
    project.channel(
        "people",
        &format!(
            "name: people\nsource:\n  annuaire: {{ base: \"{}\", resources: [Practitioner], every: 1h, page: 5500, rate: none }}\n\
             destinations:\n  - name: directory\n    to:\n      directory: {{}}\n",
            annuaire.base()
        ),
    );
    let relais = project.start();
    wait_until("everything is here", || sync(&project, "Practitioner")["state"] == "OK");
    let done = sync(&project, "Practitioner");
    assert_eq!(done["resources"], PRACTITIONERS);
    assert!(done["pages"].as_u64().is_some_and(|pages| pages <= 5), "{done}");
    let peak = relais.memory_peak();
    assert!(peak < 200, "{peak} MB");
}

#[test]
fn a_key_that_is_refused_and_a_certificate_nobody_knows_say_so_and_are_put_right() {
    let annuaire = Annuaire::start(&["--practitioners", "30", "--key", "secret"]);
    let private = Private::before(annuaire.port);
    let project = Project::new();
    let base = format!("https://127.0.0.1:{}/fhir/v2", private.port);
    let ends = |words: &str| {
        let mut last = Value::Null;
        let is_so = comes_true(Duration::from_mins(1), || {
            last = sync(&project, "Practitioner");
            last["state"] == "KO" && last["why"].as_str().is_some_and(|why| why.contains(words))
        });
        assert!(is_so, "{words}: {last}");
    };
    mirror(&project, &base, "key: wrong");
    let _relais = project.start();
    ends("certificate is not accepted");
    private.introduce(&project);
    mirror(&project, &base, "key: wrong, tls: { authorities: ca.pem }");
    succeeds(&project, &["deploy"]);
    ends("the key was refused (401)");
    let output = project.relais(&["status"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("401"), "the channel says so too");
    // Links name the host by which the server was reached, without TLS.
    annuaire.happen(r#"{"do": "fail", "fault": "html:2"}"#);
    mirror(&project, &base, "key: \"${file:key}\", page: 200, tls: { authorities: ca.pem }");
    succeeds(&project, &["deploy"]);
    wait_until("it is put right", || sync(&project, "Practitioner")["state"] == "OK");
    assert_eq!(sync(&project, "Practitioner")["resources"], 30);
}

#[test]
fn of_a_sync_that_tries_again_by_itself_nobody_says_that_it_needs_a_person() {
    let project = Project::new();
    mirror(&project, &format!("http://127.0.0.1:{}/fhir/v2", free_port()), "key: \"${file:key}\"");
    let relais = project.start();
    let status = || String::from_utf8_lossy(&project.relais(&["status"]).stdout).into_owned();
    wait_until("it is told", || status().contains("is tried again by itself: people: takes nothing"));
    assert!(!status().contains("needs a person"), "{}", status());
    assert!(!relais.log().contains("needs a person"), "{}", relais.log());
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({}));
    browser.open(&project.link("admin"));
    browser.fill("[name=password]", "a long and quiet evening");
    browser.fill("[name=again]", "a long and quiet evening");
    browser.click("button[type=submit]");
    browser.see("#top nav", "");
    browser.open("#/now");
    browser.see(".episode", "It tries again by itself");
    browser.see(".headline", "Nothing needs you");
}

#[test]
fn what_cannot_be_used_is_shown_kept_and_taken_once_it_can_be() {
    const SPOILED: &str = "003-9000007-9100007";
    let annuaire = Annuaire::start(&["--practitioners", "40"]);
    annuaire.happen(&format!(r#"{{"do": "garble", "ids": ["{SPOILED}"]}}"#));
    let project = Project::new();
    mirror(&project, &annuaire.base(), "rate: none, key: x");
    let relais = project.start();
    wait_until("the others are here", || sync(&project, "Practitioner")["state"] == "OK");
    assert_eq!(sync(&project, "Practitioner")["resources"], 39);
    let said = |arguments: &[&str]| {
        let output = project.relais(arguments);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = said(&["sync", "show", "people/Practitioner"]);
    let names = shown.contains(&format!("{SPOILED} since "));
    assert!(names && shown.contains("1 entries could not be used"), "{shown}");
    let unusable = || relais.metric("relais_sync_unusable{channel=\"people\",resource=\"Practitioner\"}");
    assert_eq!(unusable(), Some(1.0));
    let kept = || said(&["find", "--state", "refused", "--format", "json"]).matches("\"refused\"").count();
    assert_eq!(kept(), 1);
    // The same entry is kept once, however often it comes.
    run(&project, "full");
    assert_eq!((kept(), sync(&project, "Practitioner")["resources"].clone()), (1, 39.into()));
    annuaire.happen(r#"{"do": "mend"}"#);
    run(&project, "start");
    assert_eq!((unusable(), sync(&project, "Practitioner")["resources"].clone()), (Some(0.0), 40.into()));
    let created = BTreeMap::from([("created".to_owned(), 40)]);
    wait_until("all have left", || changes(&project) == created);
}

#[test]
fn check_finds_a_base_of_version_1() {
    let project = Project::new();
    mirror(&project, "https://gateway.api.esante.gouv.fr/fhir/v1", "key: secret");
    let output = project.relais(&["check"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("version 1 of the Annuaire") && said.contains("people.yaml:3:"), "{said}");
}

#[test]
fn syncs_are_made_stopped_and_removed_while_the_server_runs() {
    let annuaire = Annuaire::start(&["--practitioners", "40"]);
    let project = Project::new();
    project.write(
        "sources/played.yaml",
        format!("annuaire:\n  base: {}\n  every: 1h\n  rate: none\n", annuaire.base()),
    );
    // A server with no channel at all would have nothing to do, and leave.
    project.channel("idle", "name: idle\nsource:\n  channel: {}\ndestinations:\n  - name: out\n    to:\n      file: { dir: idle, name: x }\n");
    let _relais = project.start();
    assert!(syncs(&project).is_empty());
    succeeds(
        &project,
        &["sync", "create", "devices", "--source", "played", "--resources", "Device,Organization"],
    );
    assert_eq!(project.relais(&["check", "--strict"]).status.code(), Some(0));
    let stands = |resource: &str, state: &str| {
        wait_until(&format!("{resource} is {state}"), || sync(&project, resource)["state"] == state);
    };
    stands("Device", "OK");
    stands("Organization", "OK");
    let found = annuaire.search("Device?_count=0&_total=accurate");
    assert_eq!(sync(&project, "Device")["resources"], found["total"]);
    succeeds(&project, &["sync", "stop", "devices/Device"]);
    stands("Device", "STOP");
    stands("Organization", "OK");
    succeeds(&project, &["sync", "start", "devices/Device"]);
    stands("Device", "OK");
    assert!(!project.relais(&["sync", "stop", "devices/Nothing"]).status.success());
    succeeds(&project, &["sync", "delete", "devices", "--forget"]);
    assert!(syncs(&project).is_empty() && !project.path("channels/devices.yaml").exists());
    // Nothing is left of what it brought: everything comes anew.
    let at = ["--at", "30 2 * * *", "--zone", "Europe/Paris"];
    let anew = ["sync", "create", "devices", "--source", "played", "--resources", "Device"];
    succeeds(&project, &[anew.as_slice(), &at].concat());
    stands("Device", "OK");
    let next = sync(&project, "Device")["next_run"].as_str().unwrap_or_default().to_owned();
    assert!(next.contains(":30:") || next.contains(":29:59"), "half past two in Paris: {next}");
    assert_eq!(sync(&project, "Device")["created"], found["total"]);
}

#[test]
fn an_order_gets_its_prescriber_out_of_the_directory() {
    let annuaire = Annuaire::start(&["--practitioners", "20"]);
    let project = Project::new();
    mirror(&project, &annuaire.base(), "rate: none, key: x");
    let listen = free_port();
    project.channel(
        "lab",
        &format!(
            "name: lab\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nsteps:\n  - script: |\n\
             \x20     let name = table(\"directory/Practitioner\", \"rpps\", msg[\"ORC-12.1\"], \"family\");\n\
             \x20     if name == () {{ refuse(\"nobody has this RPPS\", \"ORC-12.1\"); }}\n\
             \x20     msg[\"ORC-12.2\"] = name;\n\
             destinations:\n  - name: orders\n    to:\n      file: {{ dir: orders, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n"
        ),
    );
    let relais = project.start();
    wait_until("everybody is here", || sync(&project, "Practitioner")["state"] == "OK");
    let order = |id: &str, rpps: &str| {
        let order = format!(
            "MSH|^~\\&|WARD|CHU|LAB|CHU|20260301080000||ORM^O01|{id}|P|2.3\rORC|NW|1||||||||||{rpps}\r"
        );
        let answer = Sender::connect(listen).and_then(|mut sender| sender.send(order.as_bytes()));
        mshfield(&answer.expect("an order is answered"), "MSA", 1)
    };
    assert_eq!((order("A1", "19990000010"), order("A2", "19990999999")), ("AA".to_owned(), "AE".to_owned()));
    wait_until("the order is written", || project.files("orders").len() == 1);
    let written = fs::read_to_string(&project.files("orders")[0]).unwrap_or_default();
    let found = annuaire.search("Practitioner?identifier=19990000010");
    let family = found["entry"][0]["resource"]["name"][0]["family"].as_str().unwrap_or_default();
    assert_eq!(mshfield(written.as_bytes(), "ORC", 12), format!("19990000010^{family}"));
    assert!(!relais.log().contains(family), "no names in the log");
}

/// `examples/annuaire`, on ports of this test's own, as its `start.sh` starts it.
struct Example {
    project: Project,
    annuaire: u16,
    record: u16,
    orders: u16,
    child: Option<Child>,
}

impl Example {
    fn new() -> Self {
        let project = Project::new();
        let (annuaire, record, orders) = (free_port(), free_port(), free_port());
        let ports = [(8602, annuaire), (8603, record), (8612, project.port), (2775, orders)];
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/annuaire");
        for name in [
            "relais.yaml",
            "start.sh",
            "channels/directory.yaml",
            "channels/lab.yaml",
            "sources/annuaire.yaml",
            "scripts/for_server.rhai",
            "messages/order.hl7",
            "messages/practitioner.json",
        ] {
            let text = fs::read_to_string(example.join(name)).expect("the example has this file");
            let text = ports.iter().fold(text, |text, (old, new)| {
                text.replace(&format!("127.0.0.1:{old}"), &format!("127.0.0.1:{new}"))
            });
            project.write(name, text);
        }
        Self { project, annuaire, record, orders, child: None }
    }

    fn start(&mut self) {
        let log = fs::File::create(self.project.path("log")).expect("a file can be made");
        let child = Command::new("sh")
            .arg("start.sh")
            .envs([("PRACTITIONERS", "50"), ("PAUSE", "1")])
            .env("RELAIS", binary())
            .current_dir(self.project.root())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("sh can be started"));
    }

    /// As Ctrl-C does.
    fn end(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        let _ = child.wait();
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn the_example_starts_with_one_command_and_mirrors_five_types() {
    let mut example = Example::new();
    for arguments in [["check", "--strict"], ["test", "."]] {
        let output = example.project.relais(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
    example.start();
    wait_until("all five are in step", || {
        let syncs = syncs(&example.project);
        syncs.len() == 5 && syncs.iter().all(|sync| sync["state"] == "OK")
    });
    assert_eq!(sync(&example.project, "Practitioner")["resources"], 50);
    let order = fs::read(example.project.path("messages/order.hl7")).expect("the example has an order");
    let answer = Sender::connect(example.orders).and_then(|mut sender| sender.send(&order));
    assert_eq!(mshfield(&answer.expect("an order is answered"), "MSA", 1), "AA");
    wait_until("the order is written", || example.project.files("out").len() == 1);
    let annuaire = format!("http://127.0.0.1:{}/fhir/v2", example.annuaire);
    let record = format!("http://127.0.0.1:{}/fhir", example.record);
    for kind in ["Organization", "Practitioner", "HealthcareService", "Device", "PractitionerRole"] {
        let first = found(&format!("{annuaire}/{kind}?_count=1"));
        let id = first["entry"][0]["resource"]["id"].as_str().expect("it has an id").to_owned();
        wait_until(&format!("the server has {kind}/{id}"), || {
            found(&format!("{record}/{kind}/{id}"))["id"] == id
        });
    }
    let log = || fs::read_to_string(example.project.path("log")).unwrap_or_default();
    wait_until("progress is shown", || log().contains("directory/PractitionerRole"));
    example.end();
    let is_gone = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_err();
    wait_until("nothing is left", || is_gone(example.annuaire) && is_gone(example.record));
}

/// What a server answers to a question; null where it does not.
fn found(url: &str) -> Value {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread can wait");
    runtime.block_on(async {
        let Ok(answer) = reqwest::get(url).await else { return Value::Null };
        let text = answer.text().await.unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    })
}
