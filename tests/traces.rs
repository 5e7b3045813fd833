//! What a message went through, step by step and attempt by attempt: for a collector that is not ours, and for a person.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::{Asker, Project, Receiving, Relais, free_port, python, wait_until};

const SENDER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Orders by HTTP to a record by HTTP, traced to this port.
fn orders(collector: u16, record: u16) -> (Project, u16) {
    let (project, listen) = (Project::new(), free_port());
    project.write(
        "relais.yaml",
        format!(
            "listen: 127.0.0.1:{}\nlog: {{ format: json }}\ntraces: {{ to: 'http://127.0.0.1:{collector}/v1/traces', name: ward }}\n",
            project.port
        ),
    );
    project.channel("orders", &channel(listen, record));
    (project, listen)
}

fn channel(listen: u16, record: u16) -> String {
    format!(
        "name: orders\nformat: json\nsource:\n  http: {{ listen: \"127.0.0.1:{listen}\" }}\nsteps:\n  - filter: msg.who != \"\"\n  \
         - set: {{ at: '${{ctx.now().iso()}}' }}\n  - set: {{ who: '${{msg.who}}!' }}\ndestinations:\n  - name: record\n    steps:\n      \
         - set: {{ to: record }}\n    to:\n      http: {{ url: \"http://127.0.0.1:{record}/orders\" }}\n    retry: {{ first: 50ms, longest: 100ms }}\n"
    )
}

fn send(port: u16, sampled: &str, who: &str) {
    let sender = Asker::nobody(port)
        .with("traceparent", &format!("00-{SENDER}-{SPAN}-{sampled}"))
        .with("tracestate", "other=1");
    let said = sender.post("/", &json!({ "who": who }));
    assert_eq!(said.status, 200, "{said:?}");
}

/// Reads spans until one of this name has this outcome; by name, the last of each.
fn spans(collector: &mut Receiving, name: &str, outcome: &str) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    loop {
        let span = collector.next_read();
        let is_last = span["name"] == name && attribute(&span, "relais.outcome") == outcome;
        found.entry(span["name"].as_str().unwrap().to_owned()).or_default().push(span);
        if is_last {
            return found;
        }
    }
}

fn attribute(span: &Value, name: &str) -> Value {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|one| one["key"] == name).map(|one| &one["value"]);
    found
        .map(|value| value["stringValue"].as_str().map_or_else(|| value["intValue"].clone(), Value::from))
        .unwrap_or_default()
}

fn parent(request: &Value) -> (String, String) {
    let said =
        request["headers"]["traceparent"].as_str().unwrap_or_else(|| panic!("no traceparent: {request}"));
    assert_eq!(request["headers"]["tracestate"], "other=1", "{request}");
    let parts: Vec<_> = said.split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

fn get(relais: &Relais, path: &str) -> Value {
    let said = relais.owner().get(path);
    assert_eq!(said.status, 200, "{said:?}");
    said.json()
}

#[test]
fn a_message_is_one_trace_from_its_sender_over_each_step_and_attempt_to_its_receiver() {
    let mut collector = Receiving::start(python("collector.py"));
    let mut record = Receiving::start(python("http_receive.py"));
    let (project, listen) = orders(collector.port, record.port);
    let relais = project.start();
    send(listen, "01", "BUSY DUPONT");
    let (first, second) = (record.next_read(), record.next_read());
    let found = spans(&mut collector, "orders → record", "sent");
    let way = &found["orders"][0];
    assert_eq!((&way["traceId"], &way["parentSpanId"]), (&json!(SENDER), &json!(SPAN)));
    assert_eq!(attribute(way, "relais.outcome"), "accepted");
    for (name, number) in [
        ("step 1 (filter)", 1),
        ("step 2 (set)", 1),
        ("step 3 (set)", 1),
        ("record: step 1 (set)", 1),
        ("orders → record", 2),
    ] {
        let those = &found[name];
        assert_eq!(those.len(), number, "{name}: {those:?}");
        for span in those {
            assert_eq!((&span["traceId"], &span["parentSpanId"]), (&json!(SENDER), &way["spanId"]), "{name}");
            assert_eq!(attribute(span, "relais.channel"), "orders");
        }
    }
    let attempts = &found["orders → record"];
    assert_eq!(
        (attribute(&attempts[0], "relais.outcome"), &attempts[0]["status"]["code"]),
        (json!("retried"), &json!(2))
    );
    let told: Vec<_> = [&first, &second].map(parent).into_iter().collect();
    let spans_of: Vec<_> = attempts
        .iter()
        .map(|span| (SENDER.to_owned(), span["spanId"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(told, spans_of, "each request says which attempt it is");
    assert!(!json!(found).to_string().contains("DUPONT"), "nothing of a message is told");
    wait_until("the collector's answer is counted", || relais.metric("relais_spans_told_total") >= Some(7.0));
    assert_eq!(relais.metric("relais_spans_dropped_total"), Some(0.0));
    // A sender that does not want it: the trace goes on to the receiver, and to no collector.
    send(listen, "00", "quiet");
    assert!(record.next_read()["headers"]["traceparent"].as_str().unwrap().ends_with("-00"));
    // Its place in the trace is kept: over a crash, too.
    let held = relais.owner().post("/api/v1/channels/orders/destinations/record/hold", &json!({}));
    assert_eq!(held.status, 200, "{held:?}");
    send(listen, "01", "after the crash");
    relais.kill();
    let relais = project.start();
    relais.owner().post("/api/v1/channels/orders/destinations/record/release", &json!({}));
    let (trace, span) = parent(&record.next_read());
    let after = spans(&mut collector, "orders → record", "sent");
    assert_eq!((trace.as_str(), &after["orders → record"][0]["spanId"]), (SENDER, &json!(span)));
    assert_ne!(after["orders → record"][0]["spanId"], attempts[0]["spanId"]);
}

#[test]
fn a_collector_that_is_away_costs_spans_and_nothing_else_and_logs_say_which_message() {
    let mut record = Receiving::start(python("http_receive.py"));
    let (project, listen) = orders(free_port(), record.port);
    let relais = project.start();
    for number in 0..30 {
        send(listen, "01", &format!("number {number}"));
        assert_eq!(
            record.next_read()["body"].as_str().map(|body| body.contains(&format!("number {number}!"))),
            Some(true)
        );
    }
    wait_until("all of them were counted as dropped", || {
        relais.metric("relais_spans_dropped_total") >= Some(180.0)
    });
    send(listen, "01", "BUSY DUPONT");
    record.next_read();
    record.next_read();
    let log = relais.log();
    assert_eq!(log.matches("the collector of traces does not take them").count(), 1, "{log}");
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of_delivery = lines
        .iter()
        .find(|line| line["message"] == "a delivery did not arrive" || line["delivery"].is_number());
    let line = of_delivery.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(line["channel"], "orders", "{line}");
    assert!(log.contains("\"message_id\":31") && !log.contains("DUPONT"), "{log}");
}

#[test]
fn a_person_sees_what_each_step_made_and_each_attempt_or_why_not() {
    let mut record = Receiving::start(python("http_receive.py"));
    let (project, listen) = orders(free_port(), record.port);
    let relais = project.start();
    send(listen, "01", "BUSY DUPONT");
    record.next_read();
    let left = record.next_read()["body"].as_str().unwrap().to_owned();
    wait_until("the delivery is settled", || {
        get(&relais, "/api/v1/messages/1")["deliveries"][0]["state"] == "sent"
    });
    let all = get(&relais, "/api/v1/messages/1/steps");
    let steps = all["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["step 1 (filter)", "step 2 (set)", "step 3 (set)", "record: step 1 (set)"]);
    assert!(steps[0]["contents"].is_null(), "a filter changes nothing: {all}");
    let text = |at: usize| steps[at]["contents"][0]["text"].as_str().unwrap();
    assert!(text(1).contains("\"BUSY DUPONT\"") && text(2).contains("\"BUSY DUPONT!\""), "{all}");
    assert_eq!(text(3), left, "the same clock as then, and what left byte for byte");
    assert!(steps.iter().all(|step| step["took"].as_f64().unwrap() > 0.0));
    let attempts = get(&relais, "/api/v1/messages/1/attempts");
    let attempts = attempts.as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert_eq!((&attempts[0]["outcome"], &attempts[1]["outcome"]), (&json!("retried"), &json!("sent")));
    assert!(
        attempts[0]["why"].as_str().unwrap().contains("503") && attempts[0]["next"].as_f64().unwrap() > 0.0,
        "{attempts:?}"
    );
    // A look is written down, and a viewer has none.
    let audit = get(&relais, "/api/v1/audit").to_string();
    assert!(audit.contains("see content") && audit.contains("message 1"), "{audit}");
    let viewer = relais.token("monitor", &["look"], &[]);
    assert_eq!(viewer.get("/api/v1/messages/1/steps").status, 403);
    assert_eq!(viewer.get("/api/v1/messages/1/attempts").status, 200);
    // With other steps it cannot be had, and that is said.
    project.channel("orders", &channel(listen, record.port).replace("!'", "?'"));
    wait_until("the edit is in force", || relais.owner().get("/api/v1/messages/1/steps").status != 200);
    let said = relais.owner().get("/api/v1/messages/1/steps");
    assert!(said.status == 409 && said.body.contains("another version"), "{said:?}");
}
