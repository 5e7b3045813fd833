//! `relais bench` measures everything it says it does: each scenario as small as can be, its figures there, its counts agreeing.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::process::{Command, Output};

use serde_json::Value;
use tests::{Behaviour, Project, Receiver, binary, free_port};

fn bench(words: &[&str]) -> Output {
    let seconds = if words.contains(&"--seconds") { &[][..] } else { &["--seconds", "0.3"] };
    let words = words.iter().chain(seconds).chain(&["--format", "json"]);
    Command::new(binary()).arg("bench").args(words).output().unwrap()
}

/// What a run says, with its rows.
fn measured(words: &[&str]) -> (Value, Vec<Value>) {
    let output = bench(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = told["rows"].as_array().unwrap().clone();
    (told, rows)
}

fn of<'rows>(rows: &'rows [Value], scenario: &str) -> Vec<&'rows Value> {
    rows.iter().filter(|row| row["scenario"] == scenario).collect()
}

#[track_caller]
fn number(row: &Value, figure: &str) -> f64 {
    row["figures"][figure].as_f64().unwrap_or_else(|| panic!("no `{figure}` in {row:#}"))
}

#[track_caller]
fn count(row: &Value, figure: &str) -> u64 {
    row["figures"][figure].as_u64().unwrap_or_else(|| panic!("no `{figure}` in {row:#}"))
}

#[track_caller]
fn same(row: &Value, one: &str, other: &str) {
    assert!(count(row, one) > 0, "`{one}` is nothing in {row:#}");
    assert_eq!(count(row, one), count(row, other), "`{one}` and `{other}` differ in {row:#}");
}

/// What every row with a rate holds.
#[track_caller]
fn paced(row: &Value) {
    let [slowest, rate, fastest] =
        ["slowest_slice_per_second", "rate_per_second", "fastest_slice_per_second"]
            .map(|name| number(row, name));
    assert!(slowest <= rate && rate <= fastest && fastest > 0.0, "{row:#}");
}

#[track_caller]
fn ranked(row: &Value, name: &str) {
    let times = ["p50", "p95", "p99", "max"].map(|part| number(row, &format!("{name}_{part}_seconds")));
    assert!(times.is_sorted() && times[0] > 0.0, "{name}: {row:#}");
}

#[test]
fn each_way_of_a_message_stands_beside_the_floor_at_each_number_of_connections() {
    let ways = ["stored", "processed", "file", "map", "map-file", "route", "keyed", "http", "fanout"];
    let (told, rows) = measured(&[&ways[..], &["--connections", "1,8", "--seconds", "0.5"]].concat());
    assert_eq!(told["build"], "debug");
    assert!(told["machine"]["kernel"].is_string() && told["load_after"].is_string(), "{told:#}");
    assert!((1400..1600).contains(&told["message_bytes"].as_u64().unwrap()), "{}", told["message_bytes"]);
    for way in ways {
        let found = of(&rows, way);
        assert_eq!(found.iter().map(|row| &row["connections"]).collect::<Vec<_>>(), [1, 8], "{way}");
        for row in found {
            paced(row);
            ranked(row, "wait");
            // In a tenth of a second nothing may have come where others use the machine: the median slice may be empty.
            assert!(number(row, "rate_of_floor") >= 0.0 && count(row, "messages") > 0, "{row:#}");
            assert!(number(row, "memory_peak_bytes") > 1e6, "{row:#}");
            assert!(
                number(row, "processor_each_seconds") > 0.0 && number(row, "written_each_bytes") > 1e3,
                "{row:#}"
            );
            if !["stored", "processed", "map"].contains(&way) {
                same(row, "accepted", "delivered");
            }
        }
    }
    for row in ["route", "keyed", "http", "fanout"].iter().flat_map(|way| of(&rows, way)) {
        ranked(row, "end_to_end_at_half_rate");
    }
    assert!(number(of(&rows, "route")[0], "rate_of_sequence_floor") > 0.0);
    // Two numbers of connections and the sequence, each once.
    assert_eq!(of(&rows, "floor").len(), 3);
    for floor in of(&rows, "floor") {
        paced(floor);
    }
}

#[test]
fn what_waits_is_delivered_in_the_end() {
    let (_, rows) = measured(&[
        "lone",
        "stuck",
        "outage",
        "backlog",
        "disk",
        "--outage",
        "50",
        "--backlog",
        "300",
        "--disk",
        "1000",
    ]);
    assert_eq!(of(&rows, "lone").len(), 2);
    for row in of(&rows, "lone") {
        ranked(row, "wait");
        ranked(row, "floor");
    }
    let stuck = of(&rows, "stuck")[0];
    paced(stuck);
    assert!(count(stuck, "undelivered_at_the_end") > 0, "{stuck:#}");
    same(stuck, "accepted", "delivered");
    let outage = of(&rows, "outage")[0];
    same(outage, "accepted_while_down", "delivered");
    assert_eq!(count(outage, "accepted_while_down"), 50);
    let backlog = of(&rows, "backlog")[0];
    same(backlog, "waiting", "delivered");
    assert!(count(backlog, "waiting") >= 300, "{backlog:#}");
    let disk = of(&rows, "disk")[0];
    assert_eq!(count(disk, "messages"), 1000);
    // Of few messages it would be lost in what any store takes.
    assert!(number(disk, "each_bytes") > 200.0, "{disk:#}");
}

#[test]
fn stores_channels_large_messages_and_scripts_have_their_rows() {
    let (_, rows) = measured(&[
        "kept",
        "channels",
        "consoles",
        "large",
        "script",
        "soak",
        "--consoles",
        "5",
        "--kept",
        "300",
        "--channels",
        "12",
        "--large",
        "1",
        "--minutes",
        "0.02",
        "--pace",
        "50",
    ]);
    let kept = of(&rows, "kept")[0];
    assert!(count(kept, "kept") >= 300 && count(kept, "listed") == 100, "{kept:#}");
    assert!(number(kept, "by_control_id_seconds") > 0.0 && number(kept, "by_patient_seconds") > 0.0);
    let channels = of(&rows, "channels")[0];
    assert_eq!(count(channels, "channels"), 12);
    assert!(number(channels, "reload_of_one_seconds") > 0.0, "{channels:#}");
    let consoles = of(&rows, "consoles")[0];
    assert_eq!(count(consoles, "consoles"), 5);
    assert!(number(consoles, "heard_by_each_bytes") > 0.0, "they hear what comes: {consoles:#}");
    ranked(consoles, "wait_with");
    let large = of(&rows, "large")[0];
    assert!(number(large, "size_bytes") > 1e6 && number(large, "messages") >= 1.0, "{large:#}");
    ranked(large, "others_beside");
    assert_eq!(count(of(&rows, "script")[0], "segments"), 30);
    let soak = of(&rows, "soak")[0];
    same(soak, "accepted", "delivered");
    assert!(["flat", "growing"].contains(&soak["figures"]["files_are"].as_str().unwrap()), "{soak:#}");
}

#[test]
fn a_start_is_measured_and_what_is_old_enough_forgotten_beside_intake() {
    let (_, rows) = measured(&["start", "retention", "--forgotten", "300"]);
    let start = of(&rows, "start")[0];
    assert!(number(start, "again_seconds") > 0.0 && number(start, "memory_idle_bytes") > 1e6, "{start:#}");
    let row = of(&rows, "retention")[0];
    assert_eq!(count(row, "forgotten"), 300);
    assert!(number(row, "came") > 0.0 && number(row, "store_after_bytes") > 0.0, "{row:#}");
}

#[test]
fn another_engine_is_loaded_beside_the_same_floor() {
    let other = Receiver::start(Behaviour::Code("AA"));
    let (_, rows) = measured(&["--against", &format!("127.0.0.1:{}", other.port), "--connections", "2"]);
    let row = of(&rows, "against")[0];
    paced(row);
    assert_eq!(count(row, "accepted"), other.received().len() as u64);
}

#[test]
fn what_another_engine_hands_on_is_counted_where_it_arrives() {
    let project = Project::new();
    let (listen, receive) = (free_port(), free_port());
    project.write(
        "channels/other.yaml",
        format!(
            "name: other\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\ndestinations:\n  - name: out\n    \
             to:\n      mllp: {{ connect: \"127.0.0.1:{receive}\" }}\n"
        ),
    );
    let _other = project.start();
    let (against, receive) = (format!("127.0.0.1:{listen}"), format!("127.0.0.1:{receive}"));
    let (_, rows) = measured(&["--against", &against, "--receive", &receive, "--connections", "4"]);
    let row = of(&rows, "against")[0];
    paced(row);
    same(row, "accepted", "delivered");
    assert_eq!(count(row, "out_of_order"), 0);
}

#[test]
fn a_negative_answer_fails_the_measure_in_words() {
    let other = Receiver::start(Behaviour::Code("AE"));
    let output = bench(&["--against", &format!("127.0.0.1:{}", other.port), "--connections", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("answered `AE`"), "{words}");
}

#[test]
fn the_reference_names_every_scenario_and_every_option() {
    let page = include_str!("../docs/reference/bench.md");
    let help = Command::new(binary()).args(["bench", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let scenarios = help.lines().filter_map(|line| line.trim_start().strip_prefix("- ")?.split_once(':'));
    let options = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split_once(' '));
    let options = options.map(|(name, _)| format!("--{name}"));
    let mut named = 0;
    for word in scenarios.map(|(name, _)| name.to_owned()).chain(options) {
        // Those of every command are described elsewhere.
        if !["--project", "--server", "--token", "text", "json"].contains(&word.as_str()) {
            assert!(page.contains(&format!("`{word}")), "docs/reference/bench.md does not name `{word}`");
            named += 1;
        }
    }
    assert!(named >= 19 + 14, "only {named} were found in the help");
}
