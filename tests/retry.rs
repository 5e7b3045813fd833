//! What waits and what was not processed, as a person on call sees it, and how it is taken up again: nothing twice.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{collections::BTreeMap, fs};

use serde_json::Value;
use tests::{Project, wait_until};

fn message(control_id: &str, patient: &str) -> String {
    format!("MSH|^~\\&|LAB|HOP|REC|HOP|20260101080000||ORU^R01|{control_id}|P|2.5\rPID|1||{patient}\r")
}

/// A flow of batches to a program that counts what it is given, and refuses everything while `closed` is there.
fn flow(project: &Project, steps: &str) {
    project
        .write("load.sh", "test -e closed && { echo 'the loader is closed' >&2; exit 1; }\ncat >> loaded\n");
    project.channel(
        "lab",
        &format!(
            "name: lab\nsource:\n  file: {{ dir: in, pattern: \"*.hl7\", complete: renamed, split: hl7, max_size: 1KB, \
             done: done, refused: refused, failed: failed, dated: day }}\nreply: delivered\n{steps}destinations:\n  - \
             name: loader\n    to:\n      exec: {{ run: [sh, load.sh], input: stdin }}\n    when_unsure: resend\n"
        ),
    );
}

const STRICT: &str = "steps:\n  - require: [PID-3.1]\n";

fn drop_file(project: &Project, name: &str, content: &str) {
    project.write("writing.tmp", content);
    fs::create_dir_all(project.path("in")).unwrap();
    fs::rename(project.path("writing.tmp"), project.path("in").join(name)).unwrap();
}

/// How often each message was loaded.
fn loaded(project: &Project) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(project.path("loaded")).unwrap_or_default();
    let mut all = BTreeMap::new();
    for segment in text.split('\r').filter(|segment| segment.starts_with("MSH")) {
        *all.entry(segment.split('|').nth(9).unwrap().to_owned()).or_default() += 1;
    }
    all
}

/// The files of a folder of days, and of the days in it.
fn names(project: &Project, folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(project.path(folder)).into_iter().flatten() {
        for file in fs::read_dir(entry.unwrap().path()).into_iter().flatten() {
            names.push(file.unwrap().file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

fn said(project: &Project, arguments: &[&str]) -> String {
    let output = project.relais(arguments);
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{error}");
    out.into_owned()
}

fn json(project: &Project, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(project, &[arguments, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn what_was_not_processed_is_taken_up_again_and_what_was_is_not() {
    let project = Project::new();
    flow(&project, STRICT);
    project.write("closed", "");
    let relais = project.start();
    said(&project, &["pause", "lab"]);
    let batch = [message("B-1", "7"), message("B-2", ""), message("B-3", "7")].concat();
    drop_file(&project, "one.hl7", &message("M-1", "7"));
    drop_file(&project, "batch.hl7", &batch);
    drop_file(&project, "long.hl7", &"x".repeat(2000));
    let waits = json(&project, &["pending"]);
    assert_eq!((waits[0]["side"].as_str(), waits[0]["number"].as_u64()), (Some("there"), Some(3)), "{waits}");
    assert!(said(&project, &["pending", "lab"]).contains("batch.hl7"));

    said(&project, &["start", "lab"]);
    wait_until("all is put away", || names(&project, "refused").len() + names(&project, "failed").len() == 3);
    // The worst of a batch decides; what else it holds went its way, and was given up.
    assert_eq!(
        (names(&project, "refused"), names(&project, "failed").len()),
        (vec!["long.hl7".to_owned()], 2)
    );
    wait_until("nothing waits", || json(&project, &["pending"]).as_array().unwrap().is_empty());
    let text = said(&project, &["pending", "lab"]);
    assert!(text.starts_with("nothing waits\nnot processed: 3"), "{text}");
    let plan = said(&project, &["retry", "lab", "--plan"]);
    for words in
        ["one.hl7", "batch.hl7", "send to loader again, run again", "take as a new file", "loader answered 1"]
    {
        assert!(plan.contains(words), "{words} is missing in\n{plan}");
    }
    assert_eq!(json(&project, &["retry", "lab", "--plan"]).as_array().unwrap().len(), 3);
    let plan = said(&project, &["retry", "lab", "one.hl7", "oen.hl7", "--plan"]);
    assert!(plan.contains("oen.hl7  nothing"), "a name that is nobody's is told:\n{plan}");
    // As long as it is closed nothing goes, and nothing is lost.
    said(&project, &["retry", "lab", "one.hl7"]);
    wait_until("it has failed again", || names(&project, "failed").len() == 2);

    // The loader opens, and the laboratory's number is no longer asked for.
    fs::remove_file(project.path("closed")).unwrap();
    flow(&project, "");
    said(&project, &["deploy"]);
    wait_until("what is in the plan goes", || {
        let planned = json(&project, &["retry", "lab", "one.hl7", "batch*", "--plan"]);
        planned.as_array().unwrap().len() == 2
    });
    let done = said(&project, &["retry", "lab", "one.hl7", "batch*"]);
    assert!(done.contains("2 of 2 taken up again"), "{done}");
    wait_until("both are done", || names(&project, "done") == ["batch.hl7", "one.hl7"]);
    let once: BTreeMap<String, usize> = ["B-1", "B-2", "B-3", "M-1"].map(|id| (id.to_owned(), 1)).into();
    assert_eq!(loaded(&project), once);

    mended_is_new(&project);
    assert!(relais.terminate().success());
}

/// What was mended where it lies is a new file; and in the end the report knows of each file once.
fn mended_is_new(project: &Project) {
    let long =
        fs::read_dir(project.path("refused")).unwrap().next().unwrap().unwrap().path().join("long.hl7");
    fs::write(long, message("L-1", "8")).unwrap();
    said(project, &["retry", "lab"]);
    wait_until("it is done too", || names(project, "done").len() == 3);
    assert_eq!(loaded(project)["L-1"], 1);
    assert!(said(project, &["retry", "lab"]).contains("nothing is to be taken up again"));
    let missing = project.relais(&["retry", "lab", "nobody.hl7"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nothing of `nobody.hl7`"));
    let report = json(project, &["report", "lab"]);
    let count = |name: &str| report["total"][name].as_u64().unwrap();
    assert_eq!(
        ["received", "messages", "processed", "refused", "failed", "given_up"].map(count),
        // The long one came and was refused; what it was mended to is another. The batch holds three.
        [4, 6, 3, 1, 0, 0],
        "{report}"
    );
}

#[test]
fn a_file_that_was_left_in_its_folder_is_taken_up_again_there() {
    let project = Project::new();
    let channel = |steps: &str| {
        project.channel(
            "keep",
            &format!(
                "name: keep\nsource:\n  file: {{ dir: in, complete: renamed, max_size: 1KB }}\n{steps}destinations:\n  - name: \
                 out\n    to:\n      file: {{ dir: out, name: '${{source.name}}' }}\n"
            ),
        );
    };
    channel(STRICT);
    let relais = project.start();
    drop_file(&project, "a.hl7", &message("A", ""));
    wait_until("it is refused and left", || {
        json(&project, &["retry", "keep", "--plan"])[0]["state"] == "left"
    });
    assert!(json(&project, &["pending"]).as_array().unwrap().is_empty());
    channel("");
    said(&project, &["deploy"]);
    relais.kill();
    let _relais = project.start();
    wait_until("it is known after a crash too", || {
        let done = json(&project, &["retry", "keep"]);
        done.as_array().unwrap().is_empty() || project.files("out").len() == 1
    });
    wait_until("it has gone its way", || project.files("out").len() == 1);
    assert!(project.path("in/a.hl7").exists());
    assert!(json(&project, &["retry", "keep", "--plan"]).as_array().unwrap().is_empty());
}

/// The words of a file's story, in their order, without the times.
fn story(project: &Project, log: &str, file: &str) -> Vec<String> {
    let text = fs::read_to_string(project.path(log)).unwrap_or_default();
    let of_file = |line: &str| {
        let (time, rest) = line.split_once(' ')?;
        assert!(time.len() == "2026-03-01T08:00:00.000+01:00".len() && time.contains('T'), "{line}");
        rest.strip_prefix(&format!("rows {file}: ")).map(str::to_owned)
    };
    text.lines().filter_map(of_file).collect()
}

#[test]
fn the_rows_of_a_file_go_their_own_way_and_its_log_tells_its_story() {
    let project = Project::new();
    project.channel(
        "rows",
        "name: rows\nlog_file: \"logs/${ctx.channel}.log\"\nsource:\n  file: { dir: in, complete: renamed, split: { group: IPP }, \
         done: done, refused: refused }\nformat: csv\nsteps:\n  - require: [CODE]\ndestinations:\n  - name: out\n    to:\n      \
         file: { dir: out, name: '${msg[\"IPP\"]}.csv' }\n",
    );
    let checked = project.relais(&["check", "--strict"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let relais = project.start();
    drop_file(&project, "good.csv", "IPP;CODE\n1;A\n2;B\n1;C\n");
    wait_until("it is archived", || project.path("done/good.csv").exists());
    wait_until("both are delivered", || project.files("out").len() == 2);
    assert_eq!(fs::read_to_string(project.path("out/1.csv")).unwrap(), "IPP;CODE\n1;A\n1;C\n");
    assert_eq!(fs::read_to_string(project.path("out/2.csv")).unwrap(), "IPP;CODE\n2;B\n");
    // As logrotate does, in both its ways.
    let log = project.path("logs/rows.log");
    wait_until("its story is written", || story(&project, "logs/rows.log", "good.csv").len() == 8);
    fs::rename(&log, project.path("logs/rows.log.1")).unwrap();
    drop_file(&project, "bad.csv", "IPP;CODE\n3;A\n4;\n");
    drop_file(&project, "open.csv", "IPP;CODE\n\"3;A\n");
    wait_until("both are refused", || project.files("refused").len() == 2);
    wait_until("the good row went its way", || project.path("out/3.csv").exists());
    assert!(!project.path("out/4.csv").exists());
    wait_until("their stories are written", || {
        let tells = |file: &str, what: &str| {
            story(&project, "logs/rows.log", file).iter().any(|words| words.starts_with(what))
        };
        tells("open.csv", "moved to") && tells("bad.csv", "moved to") && tells("bad.csv", "delivered to out")
    });
    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    drop_file(&project, "last.csv", "IPP;CODE\n5;A\n");
    wait_until("it is archived too", || project.path("done/last.csv").exists());
    assert!(relais.terminate().success());
    let good = story(&project, "logs/rows.log.1", "good.csv");
    assert_eq!(good[..2], ["seen, 21 bytes", "taken, 21 bytes"]);
    for words in [
        "stored as message 1",
        "stored as message 2",
        "delivered to out, message 1",
        "delivered to out, message 2",
    ] {
        assert!(good.iter().any(|line| line == words), "{words} is missing in {good:?}");
    }
    assert!(good.contains(&"archived, moved to done/good.csv".to_owned()), "{good:?}");
    let last = story(&project, "logs/rows.log", "last.csv");
    assert!(!last.is_empty() && story(&project, "logs/rows.log", "bad.csv").is_empty(), "{last:?}");
    assert!(last.contains(&"archived, moved to done/last.csv".to_owned()), "{last:?}");
}

#[test]
fn what_a_log_or_a_split_cannot_be_is_found_beforehand() {
    let project = Project::new();
    let channel = |name: &str, more: &str, source: &str| {
        project.channel(name, &format!("name: {name}\n{more}\nsource:\n  {source}\ndestinations: []\n"));
    };
    channel("far", "log_file: /nowhere/at/all/${ctx.channel}.log", "file: { dir: a }");
    let checked = project.relais(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.contains("there is no folder `/nowhere/at/all`"), "{said}");
    // The flow goes on without it.
    let relais = project.start();
    project.write("a/x.hl7", message("M", "1"));
    wait_until("it is taken", || said_of(&project).contains("1 message received"));
    assert!(relais.log().contains("cannot write the log of a flow"), "{}", relais.log());
    drop(relais);
    channel("far", "log_file: logs/${msg}.log", "file: { dir: a }");
    channel("near", "log_file: logs/x.log", "mllp: { listen: \"127.0.0.1:2999\" }");
    channel("parts", "format: hl7", "file: { dir: b, split: records }");
    channel("groups", "format: text", "file: { dir: c, split: { group: IPP } }");
    let checked = project.relais(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    for words in
        ["`${ctx.channel}` alone", "only a source of files", "rows are those of `format: csv`", "groups.yaml"]
    {
        assert!(said.contains(words), "{words} is missing in {said}");
    }
}

fn said_of(project: &Project) -> String {
    String::from_utf8_lossy(&project.relais(&["status"]).stdout).into_owned()
}
