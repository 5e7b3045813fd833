//! The commands that need no server, as a person types them.

use std::net::TcpListener;

use crate::project::{Project, free_port, said};

#[test]
fn check_finds_nothing_wrong_with_a_sound_project() {
    let project = Project::lab(free_port());
    let words = project.does(&["check"]);
    assert!(words.contains("nothing is wrong"), "{words}");
}

#[test]
fn check_says_everything_that_is_wrong_with_its_line_and_leaves_with_one() {
    let project = Project::lab(free_port());
    project.write(
        "channels/broken.yaml",
        "name: broken\nsource:\n  mllp: { listne: 1 }\ndestinations: []\nsteps:\n  - flter: true\n",
    );
    let output = project.relais(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let words = said(&output);
    for place in ["channels/broken.yaml:3", "channels/broken.yaml:6"] {
        assert!(words.contains(place), "`{place}` is missing in\n{words}");
    }
    let output = project.relais(&["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let _: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
}

#[test]
fn check_connect_names_the_line_of_each_side_that_is_not_there() {
    let there = TcpListener::bind("127.0.0.1:0").unwrap();
    let project = Project::lab(free_port());
    let gone = free_port();
    project.write(
        "channels/calls.yaml",
        &format!(
            "name: calls\nsource:\n  mllp: {{ connect: \"127.0.0.1:{gone}\" }}\ndestinations:\n  - name: there\n    \
             to:\n      mllp: {{ connect: \"{}\" }}\n  - name: gone\n    to:\n      \
             mllp: {{ connect: \"127.0.0.1:{gone}\" }}\n  - name: nowhere\n    to:\n      \
             file: {{ dir: /no/such/folder }}\n",
            there.local_addr().unwrap()
        ),
    );
    project.does(&["check"]);
    let output = project.relais(&["check", "--connect", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let faults: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let at: Vec<_> = faults.as_array().unwrap().iter().map(|fault| fault["at"].as_str().unwrap()).collect();
    assert_eq!(at, ["source", "destinations.1.to", "destinations.2.to"], "{faults}");
    assert!(
        faults[0]["message"].as_str().unwrap().starts_with(&format!("cannot connect to 127.0.0.1:{gone}: "))
    );
    assert_eq!((&faults[1]["code"], &faults[1]["line"]), (&"unreachable".into(), &9.into()));
}

#[test]
fn check_connect_finds_nothing_wrong_where_all_is_there_and_leaves_nothing_behind() {
    let project = Project::lab(free_port());
    let words = project.does(&["check", "--connect"]);
    assert!(words.contains("nothing is wrong"), "{words}");
    assert!(!project.path().join("out").exists());
    let hidden = std::fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(hidden.into_iter().all(|name| !name.as_encoded_bytes().starts_with(b".")));
}

#[test]
fn a_folder_that_is_not_there_makes_the_command_wrong() {
    let project = Project::new();
    for words in [["check", "nowhere"], ["test", "--project=nowhere"], ["run", "nowhere"]] {
        let output = project.relais(&words);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }
}

#[test]
fn a_command_that_is_none_leaves_with_two() {
    assert_eq!(Project::new().relais(&["fly"]).status.code(), Some(2));
}

#[test]
fn explain_knows_the_codes_that_check_prints_and_no_other() {
    let project = Project::new();
    assert!(!project.does(&["explain", "unknown-field"]).is_empty());
    assert_eq!(project.relais(&["explain", "no-such-code"]).status.code(), Some(2));
}

#[test]
fn schema_prints_a_json_schema() {
    let schema: serde_json::Value = serde_json::from_str(&Project::new().does(&["schema"])).unwrap();
    assert!(schema["properties"].is_object());
}

#[test]
fn new_makes_a_project_that_checks_clean_and_passes_its_tests() {
    let project = Project::new();
    let words = project.does(&["new", "mine"]);
    assert!(words.contains("relais run"), "{words}");
    project.does(&["check", "mine"]);
    project.does(&["test", "mine"]);
    let again = project.relais(&["new", "mine"]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("not empty"));
}

#[test]
fn every_template_checks_clean() {
    let project = Project::new();
    let listed = project.does(&["new", "--list"]);
    for name in listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
        project.does(&["new", name, "--template", name]);
        project.does(&["check", name]);
    }
}

#[test]
fn a_test_that_fails_leaves_with_one_and_junit_tells_it() {
    let project = Project::lab(free_port());
    let mut channel = project.read("channels/lab.yaml");
    channel.push_str("tests:\n  - name: all goes well\n    message: message.hl7\n    reply: AA\n    expect:\n      drop: { same_as: message }\n");
    channel.push_str("  - name: nothing goes\n    message: message.hl7\n    expect:\n      drop: nothing\n");
    project.write("channels/lab.yaml", &channel);
    let output = project.relais(&["test"]);
    assert_eq!(output.status.code(), Some(1));
    let words = said(&output);
    assert!(words.contains("2 tests, 1 failed"), "{words}");
    let junit = project.relais(&["test", "--format", "junit"]);
    assert!(said(&junit).contains("<testsuite"));
    project.does(&["test", "all goes well"]);
}

#[test]
fn a_command_to_a_server_that_does_not_run_says_how_to_start_it() {
    let output = Project::lab(free_port()).relais(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("relais run"), "{}", said(&output));
}

#[test]
fn check_says_which_destinations_promise_less() {
    let project = Project::lab(free_port());
    project.write(
        "channels/fed.yaml",
        "name: fed\nsource:\n  channel: {}\nformat: hl7\ndestinations:\n  - name: keyed\n    to: { mllp: { connect: \"127.0.0.1:1\" } }\n    order: { key: [PID-3.1] }\n  - name: usual\n    to: { mllp: { connect: \"127.0.0.1:1\" } }\n",
    );
    let said = project.does(&["check"]);
    assert!(said.contains("order within a key alone"), "{said}");
    assert!(!said.contains("usual"), "{said}");
}
