//! The binary speaks HTTP with an implementation that is not ours, Python's `aiohttp`, both ways.

use serde_json::{Value, json};
use tests::{Project, Receiver, Receiving, Relais, Sender, free_port, message, mshfield, python, wait_until};

/// A channel from MLLP to a destination of HTTP, whose settings begin so.
fn posting(project: &Project, settings: &str, keys: &str) -> (Relais, Sender) {
    let listen = free_port();
    project.channel(
        "posting",
        &format!(
            "name: posting\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nreply: delivered\ndestinations:\n\
             \x20 - name: record\n    to:\n      http:\n{settings}    retry: {{ first: 10ms, longest: 20ms }}\n{keys}"
        ),
    );
    let relais = project.start();
    (relais, Sender::connect(listen).expect("the channel listens"))
}

fn noted(id: &str, note: &str) -> Vec<u8> {
    [message(id, "42"), format!("NTE|1||{note}\r").into_bytes()].concat()
}

/// How the delivery of a message stands.
fn delivery(relais: &Relais, id: &str) -> Value {
    let (_, found) = relais.get("/api/v1/messages?channel=posting").expect("the server answers");
    let found: Value = serde_json::from_str(&found).unwrap_or_else(|_| panic!("the server says {found}"));
    let message = found.as_array().and_then(|all| all.iter().find(|one| one["control_id"] == id));
    message.map(|message| message["deliveries"][0].clone()).unwrap_or_default()
}

#[test]
fn python_reads_what_we_post_and_we_go_by_its_answers() {
    let mut peer = Receiving::start(python("http_receive.py"));
    let project = Project::new();
    let settings = format!(
        "        url: 'http://127.0.0.1:{}/patients/${{url_encode(msg[\"PID-3.1\"])}}'\n\
         \x20       query: {{ kind: '${{msg[\"MSH-9\"]}}', fixed: a b }}\n\
         \x20       headers: {{ X-Id: '${{msg[\"MSH-10\"]}}' }}\n\
         \x20       auth: {{ basic: {{ user: relais, password: \"${{file:secret}}\" }} }}\n",
        peer.port
    );
    project.write("secret", "s3cret\n");
    let (relais, mut sender) = posting(&project, &settings, "");
    for (id, note, code, requests) in
        [("H1", "fine", "AA", 1), ("H2", "REFUSE", "AE", 1), ("H3", "BUSY", "AA", 2), ("H4", "fine", "AA", 1)]
    {
        let answer = sender.send(&noted(id, note)).expect("each is answered");
        assert_eq!(mshfield(&answer, "MSA", 1), code, "{id}");
        for _ in 0..requests {
            let read = peer.next_read();
            assert_eq!(read["method"], "POST");
            assert_eq!(read["path"], "/patients/42");
            assert_eq!(read["query"], json!({ "kind": "ORU^R01^ORU_R01", "fixed": "a b" }));
            assert_eq!(read["headers"]["X-Id"], id);
            assert_eq!(read["headers"]["Content-Type"], "application/hl7-v2");
            assert_eq!(read["headers"]["Authorization"], "Basic cmVsYWlzOnMzY3JldA==");
            assert_eq!(read["body"].as_str().map(str::as_bytes), Some(noted(id, note).as_slice()));
        }
    }
    wait_until("all have ended", || {
        let state = |id: &str| delivery(&relais, id)["state"].clone();
        state("H1") == "sent" && state("H2") == "given_up" && state("H3") == "sent" && state("H4") == "sent"
    });
    let refused = delivery(&relais, "H2");
    assert!(refused["why"].as_str().is_some_and(|why| why.contains("answered 422")), "{refused}");
    let log = relais.log();
    assert!(!log.contains("s3cret") && !log.contains("EXAMPLE") && !log.contains("not wanted"), "{log}");
}

#[test]
fn a_post_that_may_have_arrived_waits_for_a_person_and_those_behind_go_on() {
    let mut peer = Receiving::start(python("http_receive.py"));
    let project = Project::new();
    let settings = format!("        url: http://127.0.0.1:{}/orders\n", peer.port);
    let (relais, mut sender) = posting(&project, &settings, "");
    sender.send(&noted("C1", "CUT")).expect("it is answered");
    wait_until("it is set aside", || delivery(&relais, "C1")["state"] == "set_aside");
    sender.send(&noted("C2", "fine")).expect("it is answered");
    wait_until("the next is sent", || delivery(&relais, "C2")["state"] == "sent");
    let bodies = [peer.next_read(), peer.next_read()].map(|read| read["body"].clone());
    assert!(bodies[0].as_str().is_some_and(|body| body.contains("CUT")), "{bodies:?}");
    assert!(bodies[1].as_str().is_some_and(|body| body.contains("fine")), "it is not sent again: {bodies:?}");
}

#[test]
fn a_post_that_its_server_knows_again_is_sent_again_under_the_same_key() {
    let mut peer = Receiving::start(python("http_receive.py"));
    let project = Project::new();
    let settings = format!(
        "        url: http://127.0.0.1:{}/orders\n        idempotency_key: Idempotency-Key\n",
        peer.port
    );
    let (relais, mut sender) = posting(&project, &settings, "");
    sender.send(&noted("K1", "CUT")).expect("it is answered");
    wait_until("it is sent", || delivery(&relais, "K1")["state"] == "sent");
    let keys = [peer.next_read(), peer.next_read()].map(|read| read["headers"]["Idempotency-Key"].clone());
    assert!(keys[0].as_str().is_some_and(|key| key.len() == 64), "{keys:?}");
    assert_eq!(keys[0], keys[1]);
}

/// Has Python send these requests to a channel, and returns its answers.
fn answers(project: &Project, port: u16, requests: &Value) -> Vec<Value> {
    project.write("requests.json", requests.to_string());
    let output = python("http_send.py")
        .arg(port.to_string())
        .arg(project.path("requests.json"))
        .output()
        .expect("a peer can be run");
    assert!(output.status.success(), "the peer failed: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().map(|line| serde_json::from_str(line).expect("a peer prints JSON")).collect()
}

#[test]
fn python_posts_and_hears_what_became_of_each_message() {
    let project = Project::new();
    let port = free_port();
    project.write("secret", "é:1");
    project.channel(
        "orders",
        &format!(
            "name: orders\nsource:\n  http:\n    listen: 127.0.0.1:{port}\n    path: /orders\n\
             \x20   auth: {{ basic: {{ lab: \"${{file:secret}}\" }} }}\n\
             steps:\n  - require: [id]\n  - script: if msg[\"id\"] == \"9\" {{ throw \"broken\" }}\n\
             destinations:\n  - name: file\n    to:\n      file: {{ dir: out, name: '${{source.query.name}}-${{source.caller}}.json' }}\n"
        ),
    );
    let relais = project.start();
    let order = |body: &str| json!({ "path": "/orders/new?name=%C3%89", "body": body, "password": "é:1" });
    let requests = json!([
        order("{\"id\": \"7\"}"),
        order("{\"no\": \"7\"}"),
        order("{\"id\": \"9\"}"),
        order("{\"id\": "),
        { "path": "/orders", "body": "{}", "password": "wrong" },
        { "path": "/orders", "body": "{}" },
        { "path": "/", "body": "{}", "password": "é:1" },
        { "path": "/orders", "body": "", "password": "é:1", "method": "DELETE" },
    ]);
    let answers = answers(&project, port, &requests);
    let statuses: Vec<u64> = answers.iter().filter_map(|answer| answer["status"].as_u64()).collect();
    assert_eq!(statuses, [200, 422, 500, 400, 401, 401, 404, 405], "{answers:?}");
    assert_eq!(answers[0]["body"], "{\"outcome\":\"accepted\"}");
    assert_eq!(answers[1]["type"], "application/problem+json");
    assert!(answers[1]["body"].as_str().is_some_and(|body| body.contains("\"at\":\"id\"")), "{answers:?}");
    wait_until("it is filed", || project.files("out").len() == 1);
    assert_eq!(
        std::fs::read_to_string(project.path("out/É-lab.json")).expect("it is filed"),
        "{\"id\": \"7\"}"
    );
    let received = "relais_received_total{channel=\"orders\"}";
    assert_eq!(relais.metric(received), Some(4.0), "what was not let in is no message");
}

#[test]
fn an_answer_of_a_receiver_is_passed_back() {
    let peer = Receiving::start(python("http_receive.py"));
    let project = Project::new();
    let port = free_port();
    project.channel(
        "asking",
        &format!(
            "name: asking\nsource:\n  http: {{ listen: \"127.0.0.1:{port}\" }}\nformat: text\nreply: {{ from: record }}\n\
             destinations:\n  - name: record\n    to:\n      http: {{ url: \"http://127.0.0.1:{}/\" }}\n",
            peer.port
        ),
    );
    let _relais = project.start();
    let requests = json!([{ "path": "/", "body": "fine" }, { "path": "/", "body": "REFUSE" }]);
    let answers = answers(&project, port, &requests);
    assert_eq!((&answers[0]["status"], &answers[0]["body"]), (&json!(200), &json!("{\"id\": 7}")));
    assert_eq!(
        (&answers[1]["status"], &answers[1]["body"]),
        (&json!(422), &json!("{\"error\": \"not wanted\"}"))
    );
    assert_eq!(answers[0]["type"], "application/json");
}

#[test]
fn check_tells_whether_a_server_is_there() {
    let project = Project::new();
    let port = free_port();
    let peer = Receiver::start(tests::Behaviour::Silent);
    let channel = |port: u16| {
        let url = format!("http://127.0.0.1:{port}/");
        project.channel(
            "posting",
            &format!(
                "name: posting\nsource: {{ channel: {{}} }}\ndestinations:\n  - name: record\n    to:\n      http: {{ url: \"{url}\" }}\n"
            ),
        );
        project.relais(&["check", "--connect", "."])
    };
    let absent = channel(port);
    let said =
        String::from_utf8_lossy(&absent.stdout).into_owned() + &String::from_utf8_lossy(&absent.stderr);
    assert_eq!(absent.status.code(), Some(1), "{said}");
    assert!(
        said.contains("unreachable") && said.contains(&format!("cannot connect to 127.0.0.1:{port}")),
        "{said}"
    );
    assert_eq!(channel(peer.port).status.code(), Some(0));
}

#[test]
fn channels_share_a_port_and_are_told_apart_by_their_paths() {
    let project = Project::new();
    let port = free_port();
    let channel = |name: &str, path: &str, tls: &str| {
        let source = format!("http: {{ listen: \"127.0.0.1:{port}\", path: {path}{tls} }}");
        let to = format!("file: {{ dir: out-{name}, name: '${{ctx.id()}}' }}");
        project.channel(
            name,
            &format!("name: {name}\nsource:\n  {source}\nformat: text\ndestinations:\n  - name: file\n    to:\n      {to}\n"),
        );
    };
    channel("orders", "/orders", "");
    channel("urgent", "/orders/urgent/", "");
    channel("results", "/results", "");
    let relais = project.start();
    let ask = |path: &str| json!({ "path": path, "body": "x" });
    let paths = ["/orders", "/orders/7", "/orders/urgent", "/orders/urgent/7", "/results", "/nothing"];
    let requests: Vec<Value> = paths.iter().map(|path| ask(path)).collect();
    let told: Vec<Value> =
        answers(&project, port, &json!(requests)).iter().map(|one| one["status"].clone()).collect();
    assert_eq!(told, [200, 200, 200, 200, 200, 404]);
    let counts = || ["orders", "urgent", "results"].map(|name| project.files(&format!("out-{name}")).len());
    wait_until("each has its own", || counts() == [2, 2, 1]);
    // One that stops takes nothing; the others go on, whoever let their senders in.
    assert_eq!(relais.post("/api/v1/channels/orders/stop").map(|answer| answer.0), Some(200));
    let told: Vec<Value> =
        answers(&project, port, &json!(requests)).iter().map(|one| one["status"].clone()).collect();
    assert_eq!(told, [404, 404, 200, 200, 200, 404]);
    wait_until("the others have theirs", || counts() == [2, 4, 2]);
    channel("again", "/results/", "");
    channel("greeted", "/greeted", ", tls: { certificate: a.pem, key: a.key }");
    let checked = project.relais(&["check", "."]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("path-taken") && said.contains("the path `/results` of port"), "{said}");
    assert!(said.contains("whose `tls` is another"), "{said}");
}

#[test]
fn many_messages_at_once_go_over_one_connection_where_the_server_speaks_http_2() {
    let project = Project::new();
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("it can be issued");
    project.write("server.pem", issued.cert.pem()).write("server.key", issued.signing_key.serialize_pem());
    let mut peer = python("http2_receive.py");
    peer.arg(free_port().to_string()).arg(project.path("server.pem")).arg(project.path("server.key"));
    let mut peer = Receiving::start(peer);
    let settings = format!(
        "        url: https://127.0.0.1:{}/results\n        tls: {{ authorities: server.pem }}\n",
        peer.port
    );
    let port = peer.port;
    wait_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let (relais, mut sender) =
        posting(&project, &settings, "    queue: always\n    order: none\n    workers: 8\n");
    for number in 0..100 {
        let answer = sender.send(&noted(&format!("T{number}"), "é")).expect("each is answered");
        assert_eq!(mshfield(&answer, "MSA", 1), "AA");
    }
    let read: Vec<Value> = (0..100).map(|_| peer.next_read()).collect();
    assert!(read.iter().all(|read| read["version"] == "2"), "{:?}", read[0]);
    assert!(read.iter().all(|one| one["connection"] == read[0]["connection"]), "one for all");
    let mut bodies: Vec<&str> = read.iter().filter_map(|read| read["body"].as_str()).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 100);
    wait_until("all are sent", || {
        relais.metric("relais_queue_depth{channel=\"posting\",destination=\"record\"}") == Some(0.0)
    });
}
