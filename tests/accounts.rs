//! Signing in and what keeps strangers out: sessions, passwords, other pages, slow and large requests, TLS, the audit log.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{Asker, Project, Said, WORDS, free_port, installed, node, python, wait_until};

fn project() -> Project {
    let project = Project::new();
    project.channel(
        "lab",
        &format!(
            "name: lab\nsource:\n  mllp: {{ listen: \"127.0.0.1:{}\" }}\ndestinations: []\n",
            free_port()
        ),
    );
    project
}

fn page(port: u16) -> Asker {
    Asker::nobody(port).with("relais-console", "1")
}

fn output(project: &Project, arguments: &[&str]) -> (Option<i32>, String) {
    let came = project.relais(arguments);
    let text = String::from_utf8_lossy(&came.stdout).into_owned() + &String::from_utf8_lossy(&came.stderr);
    (came.status.code(), text)
}

#[test]
fn the_first_link_is_asked_for_on_the_machine_works_once_and_is_in_no_log() {
    let project = project();
    let relais = project.start();
    wait_until("it says how to come in", || relais.log().contains("relais account link admin"));
    let (status, told) = output(&project, &["account", "link", "admin"]);
    assert_eq!(status, Some(0), "{told}");
    let link = told.trim().rsplit('/').next().expect("a link ends in its secret").to_owned();
    let choose =
        |password: &str| page(project.port).post("/welcome", &json!({ "link": link, "password": password }));
    assert_eq!(choose("short").status, 409);
    let welcome = choose(WORDS);
    let cookie = welcome.header("set-cookie").expect("a session begins").to_owned();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert_eq!(choose(WORDS).status, 401, "a link works once");
    let admin = page(project.port).with("Cookie", &welcome.session().expect("a session begins"));
    assert_eq!(admin.get("/api/v1/session").json()["role"], "administrator");
    assert!(!relais.log().contains(&link) && !relais.log().contains("#/welcome"), "{}", relais.log());
    // Nothing that opens anything lies on the disk.
    let kept = std::fs::read_to_string(project.path("data/accounts.json")).expect("accounts are kept");
    assert!(kept.contains("argon2id") && !kept.contains(WORDS) && !kept.contains(&link), "{kept}");
}

#[test]
fn a_session_is_a_new_one_at_each_sign_in_and_ends_with_sign_out_or_the_account() {
    let project = project();
    let relais = project.start();
    let first = relais.account("ada", "operator", &[]);
    let cookie =
        |asker: &Asker| asker.headers.iter().find(|(name, _)| name == "Cookie").expect("a cookie").1.clone();
    // A cookie that somebody else chose is none, before and after the sign-in that it is sent along with.
    let name = cookie(&first).split('=').next().expect("a cookie has a name").to_owned();
    let planted = format!("{name}={}", "0".repeat(64));
    let fixed = page(project.port).with("Cookie", &planted);
    assert_eq!(fixed.get("/api/v1/session").status, 401);
    let said = fixed.post("/sign-in", &json!({ "name": "ada", "password": WORDS }));
    assert_ne!(said.session().expect("she signs in"), planted);
    assert_eq!(fixed.get("/api/v1/session").status, 401, "what was planted is still none");
    let second = Asker::signed_in(project.port, "ada", WORDS).expect("she signs in");
    assert_ne!(cookie(&first), cookie(&second));
    assert_eq!(first.delete("/api/v1/session").status, 204);
    assert_eq!(first.get("/api/v1/session").status, 401, "signed out here");
    assert_eq!(second.get("/api/v1/session").status, 200, "and not there");
    assert_eq!(relais.owner().delete("/api/v1/accounts/ada").status, 204);
    assert_eq!(second.get("/api/v1/session").status, 401, "the account is gone");
    assert!(Asker::signed_in(project.port, "ada", WORDS).is_err());
}

#[test]
fn a_page_elsewhere_does_nothing_in_our_name_and_is_told_nothing() {
    let project = project();
    let relais = project.start();
    let ada = relais.account("ada", "operator", &[]);
    let cookie = ada.headers.iter().find(|(name, _)| name == "Cookie").expect("a cookie").1.clone();
    let bare = Asker::nobody(project.port).with("Cookie", &cookie);
    let stop = "/api/v1/channels/lab/stop";
    let elsewhere = [
        bare.clone(),
        ada.clone().with("Origin", "https://evil.example"),
        ada.clone().with("Origin", "null"),
        ada.clone().with("Sec-Fetch-Site", "cross-site"),
        bare.clone().with("Content-Type", "text/plain"),
    ];
    for asker in elsewhere {
        let said = asker.post(stop, &json!(null));
        assert_eq!(
            (said.status, said.json()["code"].as_str()),
            (403, Some("other-page")),
            "{:?}",
            asker.headers
        );
    }
    assert_eq!(
        Asker::nobody(project.port).post("/sign-in", &json!({ "name": "ada", "password": WORDS })).status,
        403
    );
    assert_eq!(relais.owner().get("/api/v1/channels/lab").json()["state"], "running");
    let ours = ada.clone().with("Origin", &format!("http://127.0.0.1:{}", project.port));
    assert_eq!(ours.post(stop, &json!(null)).status, 200);
    // Nothing answers to another page's scripts, and no page is sent on to another.
    for path in [
        "/",
        "/api/v1/session",
        "/sign-in?next=https://evil.example",
        "//evil.example/",
        "/%2e%2e/data/key",
        "/../data/key",
    ] {
        let said = ada.clone().with("Origin", "https://evil.example").get(path);
        assert!(said.header("access-control-allow-origin").is_none(), "{path}");
        assert!(said.header("location").is_none() && !(300..400).contains(&said.status), "{path}: {said:?}");
        assert!(!said.body.contains(&relais.key()), "{path}");
    }
}

#[test]
fn no_request_gives_itself_rights_and_no_token_more_than_its_maker_has() {
    let project = project();
    let relais = project.start();
    let ada = relais.account("ada", "operator", &[]);
    // What a request says of more than it is asked for is refused, and a role is not one's own to change.
    let more = json!({ "name": "ada", "password": WORDS, "role": "administrator" });
    assert_eq!(page(project.port).post("/sign-in", &more).status, 400);
    assert_eq!(ada.post("/api/v1/accounts/ada/role", &json!({ "role": "administrator" })).status, 403);
    let owner = relais.owner();
    let link = json!({ "name": "eve", "role": "viewer", "password": WORDS });
    assert_eq!(owner.post("/api/v1/accounts", &link).status, 400);
    let token = json!({ "name": "t", "rights": ["look"], "days": 1, "until": "2999-01-01T00:00:00Z" });
    assert_eq!(owner.post("/api/v1/tokens", &token).status, 400);
    let limited = json!({ "name": "eve", "role": "administrator", "tags": ["lab"] });
    assert_eq!(owner.post("/api/v1/accounts", &limited).status, 409);
    // A token gives nothing that its maker has not, and none outlasts its end.
    let maker = relais.token("maker", &["administer"], &[]);
    let wish = json!({ "name": "more", "rights": ["content"], "days": 1 });
    assert_eq!(maker.post("/api/v1/tokens", &wish).status, 409);
    let short = relais.token("short", &["look"], &[]);
    assert_eq!(short.get("/api/v1/channels").status, 200);
    assert_eq!(owner.delete("/api/v1/tokens/short").status, 204);
    assert_eq!(short.get("/api/v1/channels").status, 401, "revoked");
}

#[test]
fn a_token_is_worth_nothing_once_its_time_is_over() {
    let project = project();
    let relais = project.start();
    let token = relais.token("old", &["look"], &[]);
    assert_eq!(token.get("/api/v1/channels").status, 200);
    assert_eq!(relais.terminate().code(), Some(0));
    let path = project.path("data/accounts.json");
    let mut kept: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("it is kept")).expect("it is JSON");
    kept["tokens"]["old"]["until"] = json!("2026-01-01T00:00:00Z");
    std::fs::write(&path, kept.to_string()).expect("it can be written");
    let _relais = project.start();
    assert_eq!(token.get("/api/v1/channels").status, 401);
}

#[test]
fn whoever_guesses_passwords_waits_also_with_many_hands_and_the_machine_s_own_key_does_not() {
    let project = project();
    let relais = project.start();
    relais.account("ada", "viewer", &[]);
    let guess = |name: &str| {
        page(project.port).post("/sign-in", &json!({ "name": name, "password": "wrong words here" }))
    };
    let unknown = guess("nobody-here");
    let known = guess("ada");
    assert_eq!(
        (unknown.status, &unknown.body),
        (known.status, &known.body),
        "which names there are is not told"
    );
    let mut statuses: Vec<u16> = Vec::new();
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..30).map(|_| scope.spawn(|| guess("ada").status)).collect();
        statuses.extend(hands.into_iter().map(|hand| hand.join().expect("a hand comes back")));
    });
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 4, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 26, "{statuses:?}");
    let refused = Asker::signed_in(project.port, "ada", WORDS).expect_err("she waits, right or wrong");
    let wait: u64 =
        refused.header("retry-after").and_then(|time| time.parse().ok()).expect("it says how long");
    assert!((1..=300).contains(&wait), "{wait}");
    assert_eq!(relais.owner().get("/api/v1/channels").status, 200);
    let lines = relais.owner().get("/api/v1/audit?who=ada").json();
    let refusals = lines
        .as_array()
        .expect("lines")
        .iter()
        .filter(|line| line["what"] == "sign in" && line["status"] == 401);
    assert_eq!(refusals.count(), 5);
}

#[test]
fn requests_that_are_too_large_or_too_slow_are_cut_and_hold_nobody_up() {
    let project = project();
    let relais = project.start();
    let nobody = page(project.port);
    let large = json!({ "name": "x".repeat(20_000), "password": "y" });
    let said = nobody.post("/sign-in", &large);
    assert_eq!((said.status, said.json()["code"].as_str()), (413, Some("request-large")));
    let head = nobody.clone().with("x-filler", &"z".repeat(1_000_000)).get("/");
    assert!(head.status == 431 || head.status == 0, "{head:?}");
    // A stranger's body is not even read.
    let mut stranger = Asker::nobody(project.port).with("Expect", "100-continue").request(
        "POST",
        "/api/v1/messages/1/resend",
        None,
    );
    let text = String::from_utf8_lossy(&stranger).replace("Content-Length: 0", "Content-Length: 60000000");
    stranger = text.into_bytes();
    let mut stream = TcpStream::connect(("127.0.0.1", project.port)).expect("the server listens");
    stream.write_all(&stranger).expect("a head can be sent");
    assert_eq!(Said::read(&mut stream).status, 401);
    // Heads and bodies that never end.
    let begun = Instant::now();
    let half = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nrelais-console: 1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n".to_vec();
    let slow_body = [&half[..], b"\r\n{\"name\":"].concat();
    let mut slow: Vec<TcpStream> = [&half, &slow_body]
        .iter()
        .flat_map(|bytes| (0..50).map(move |_| bytes))
        .map(|bytes| {
            let mut stream = TcpStream::connect(("127.0.0.1", project.port)).expect("the server listens");
            stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time can be set");
            stream.write_all(bytes).expect("half a request can be sent");
            stream
        })
        .collect();
    assert_eq!(relais.owner().get("/api/v1/channels").status, 200, "others are answered meanwhile");
    for (number, stream) in slow.iter_mut().enumerate() {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server ends it");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.contains(" 408 "), "{number}: {answer}");
    }
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[test]
fn the_audit_log_is_followed_line_by_line_and_goes_out_as_lines_and_as_events() {
    let project = project();
    let relais = project.start();
    let ada = relais.account("ada", "operator", &[]);
    assert_eq!(ada.post("/api/v1/channels/lab/pause", &json!(null)).status, 200);
    assert_eq!(ada.post("/api/v1/backup", &json!({ "dir": "/nowhere" })).status, 403);
    let (status, sound) = output(&project, &["audit", "verify", "--format", "json"]);
    assert_eq!(status, Some(0), "{sound}");
    let sound: Value = serde_json::from_str(&sound).expect("it is JSON");
    let hash = sound["hash"].as_str().expect("a hash").to_owned();
    let (_, lines) = output(&project, &["audit", "export"]);
    assert_eq!(lines, std::fs::read_to_string(project.path("data/audit.jsonl")).expect("the log is there"));
    assert!(lines.contains("\"pause a channel\"") && lines.contains("\"status\":403"), "{lines}");
    let (status, shown) = output(&project, &["audit", "show", "--who", "ada"]);
    assert!(status == Some(0) && shown.contains("pause a channel") && shown.contains("127.0.0.1"), "{shown}");
    let (_, bundle) = output(&project, &["audit", "export", "--format", "fhir"]);
    let bundle: Value = serde_json::from_str(&bundle).expect("a bundle is JSON");
    let events = lines.lines().count();
    assert_eq!(bundle["entry"].as_array().map(Vec::len), Some(events));
    project.write("bundles/audit.json", bundle.to_string());
    for mut judge in [python("validate.py"), node("validate.mjs")] {
        let said = judge.arg(project.path("bundles")).output().expect("a judge can be run");
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        let looked: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("a judge says {said}"));
        assert_eq!(looked, json!({ "looked": events + 1 }), "{said}");
    }
    // Cut at a line, it is a whole log still: what was noted elsewhere tells.
    let text = format!("{}\n", lines.lines().next().unwrap_or_default());
    let elsewhere = project.path("cut");
    std::fs::create_dir(&elsewhere).expect("a folder can be made");
    std::fs::write(elsewhere.join("audit.jsonl"), text).expect("a file can be written");
    assert_eq!(output(&project, &["audit", "verify", "cut"]).0, Some(0));
    assert_eq!(output(&project, &["audit", "verify", "cut", "--holds", &hash]).0, Some(1));
    std::fs::write(elsewhere.join("audit.jsonl"), lines.replacen("ada", "eve", 1))
        .expect("a file can be written");
    let (status, why) = output(&project, &["audit", "verify", "cut"]);
    assert!(status == Some(1) && why.contains("audit.jsonl:"), "{why}");
    // The commands' own key tells who used it, as far as that can be told.
    let (status, _) = output(&project, &["token", "create", "t", "--right", "look"]);
    assert_eq!(status, Some(0));
    let (_, lines) = output(&project, &["audit", "export"]);
    assert!(
        lines.contains("(key)\"") && lines.contains("\"make a token\"") && lines.contains("token t: look"),
        "{lines}"
    );
}

fn issue(project: &Project) {
    let issued =
        rcgen::generate_simple_self_signed(["relais.example.org".to_owned()]).expect("it can be issued");
    project.write("server.key", issued.signing_key.serialize_pem());
    project.write("server.pem", issued.cert.pem());
}

/// The settings that *System* shows, asked by TLS.
fn has_in_force(project: &Project, port: u16, authorities: &Path) {
    let key = std::fs::read_to_string(project.path("data/key")).expect("the key can be read");
    let asked = Command::new("curl")
        .args(["-sS", "--resolve", &format!("relais.example.org:{port}:127.0.0.1"), "--cacert"])
        .arg(authorities)
        .args(["-H", &format!("Authorization: Bearer {}", key.trim())])
        .arg(format!("https://relais.example.org:{port}/api/v1/settings"))
        .output()
        .expect("curl can be run");
    let in_force: Value = serde_json::from_slice(&asked.stdout).expect("it answers in JSON");
    let certificate = in_force["tls_certificate"].as_str().unwrap_or_default();
    assert!(certificate.ends_with("server.pem"), "{in_force}");
    assert_eq!(in_force["store_budget_bytes"], 5_000_000_000_u64, "{in_force}");
    assert_eq!(in_force["store_floor_bytes"], 20_000_000, "{in_force}");
}

#[test]
fn what_other_machines_reach_is_encrypted_or_said_not_to_be_and_a_new_certificate_is_taken_up() {
    let project = project();
    let port = free_port();
    project.write("relais.yaml", format!("listen: 0.0.0.0:{port}\n"));
    let (status, told) = output(&project, &["check"]);
    assert!(status == Some(1) && told.contains("listen-remote"), "{told}");
    let tls = format!(
        "listen: 0.0.0.0:{port}\ntls: {{ certificate: server.pem, key: server.key }}\nstore: {{ budget: 5GB, free: 20MB }}\n"
    );
    project.write("relais.yaml", &tls);
    let (status, told) = output(&project, &["check"]);
    assert!(status == Some(1) && told.contains("file-unreadable"), "{told}");
    issue(&project);
    let (status, told) = output(&project, &["check"]);
    assert_eq!(status, Some(0), "{told}");
    let mut child = Command::new(tests::binary())
        .args(["run", "."])
        .current_dir(project.root())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary can be started");
    wait_until("the commands reach it by TLS", || output(&project, &["status"]).0 == Some(0));
    let shown = |authorities: &Path| -> Option<Said> {
        let curl = Command::new("curl")
            .args(["-sS", "-i", "--resolve", &format!("relais.example.org:{port}:127.0.0.1"), "--cacert"])
            .arg(authorities)
            .args(["-H", "relais-console: 1", "-H", "Content-Type: application/json", "-d"])
            .arg(json!({ "link": "none", "password": WORDS }).to_string())
            .arg(format!("https://relais.example.org:{port}/welcome"))
            .output()
            .expect("curl can be run");
        curl.status.success().then(|| Said::read(&mut curl.stdout.as_slice()))
    };
    let old = project.path("old.pem");
    std::fs::copy(project.path("server.pem"), &old).expect("a file can be copied");
    assert_eq!(shown(&old).map(|said| said.status), Some(401));
    // What *System* says is in force is what the file said at the start.
    project.write("relais.yaml", tls.replace("5GB", "6GB"));
    has_in_force(&project, port, &old);
    // Nothing is told without encryption.
    assert_ne!(Asker::nobody(port).get("/").status, 200);
    let (status, link) = output(&project, &["account", "link", "admin"]);
    assert!(status == Some(0) && link.contains("https://"), "{link}");
    issue(&project);
    wait_until("the new certificate is in force", || shown(&project.path("server.pem")).is_some());
    assert!(shown(&old).is_none(), "the old one is not trusted for the new");
    assert_eq!(output(&project, &["status"]).0, Some(0), "the commands go along");
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
}

#[test]
fn a_tester_of_others_finds_no_fault_of_ours_in_any_path() {
    let project = project();
    let relais = project.start();
    // Neither the stream, which does not end, nor what would end the tester's own rights.
    let ran = Command::new(installed("schemathesis/bin/schemathesis"))
        .args([
            "run",
            "--checks",
            "not_a_server_error",
            "--max-examples",
            "15",
            "--phases",
            "examples,fuzzing",
            "--seed",
            "1",
            // A machine with much else to do is no fault.
            "--request-timeout",
            "60",
        ])
        .args([
            "--no-color",
            "--exclude-path",
            "/api/v1/events",
            "--exclude-path",
            "/api/v1/logs/events",
            "--exclude-path",
            "/api/v1/backup",
        ])
        .args(["-H", &format!("Authorization: Bearer {}", relais.key())])
        .args(["--url", &format!("http://127.0.0.1:{}", project.port)])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json"))
        .current_dir(project.root())
        .output()
        .expect("the tester can be run");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("test cases generated") || said.contains("passed"), "it tested nothing: {said}");
    assert_eq!(relais.get("/health/live").map(|answer| answer.0), Some(200));
}
