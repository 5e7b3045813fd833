//! What the `tests:` of a channel can say, and what is said when it is not so.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{fs, path::Path};

use channels::{Expected, Options, TestResult, junit, load, run_tests};
use formats::dicom::{Instance, Path as DicomPath};
use tempfile::TempDir;

const MESSAGE: &str = "MSH|^~\\&|LAB|HOP|REC|HOP|20260301080000||ORU^R01|M-1|P|2.5\rPID|1||42\r\
                       ORC|RE|A\rOBR|1|A\rORC|RE|B\rOBR|2|B\r";

/// A channel with two destinations and the given test, in a folder with a message.
fn project(more: &str, destinations: &str, test: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let channel = format!(
        "name: lab\nsource:\n  mllp: {{ listen: \"127.0.0.1:2575\" }}\n{more}\ndestinations:\n{destinations}\n\
         tests:\n  - name: it\n    message: m.hl7\n{test}\n"
    );
    fs::create_dir(folder.path().join("channels")).unwrap();
    fs::write(folder.path().join("channels/lab.yaml"), channel).unwrap();
    fs::write(folder.path().join("m.hl7"), MESSAGE).unwrap();
    folder
}

fn run(folder: &Path, expected: Expected) -> TestResult {
    let project = load(folder, &Options::default());
    assert!(project.faults.is_empty(), "{:#?}", project.faults);
    run_tests(&project, &[], expected).remove(0)
}

/// What is wrong, in lines.
fn problems(more: &str, destinations: &str, test: &str) -> Vec<String> {
    let folder = project(more, destinations, test);
    run(folder.path(), Expected::Compare).problems.into_iter().map(|problem| problem.what).collect()
}

const FILE: &str = "  - name: file\n    to:\n      file: { dir: out }\n";
const TWO: &str = "  - name: record
    to:
      file: { dir: out }
  - name: note
    after: record
    steps:
      - script: |
          let answer = responses[\"record\"];
          msg[\"ZPD-1\"] = if answer == () { \"no answer\" } else { answer.body };
    to:
      file: { dir: out }
";
const NONE: [&str; 0] = [];

#[test]
fn the_parts_of_a_split_are_expected_in_order() {
    let steps = "steps:\n  - split: msg.groups(\"OBR\")";
    let test = "    reply: AA\n    expect:\n      file: [{ paths: { ORC-2: A, MSH-10: M-1.1 } }, { paths: { ORC-2: B } }]";
    assert_eq!(problems(steps, FILE, test), NONE);
    let test = "    expect: { file: { paths: { ORC-2: A } } }";
    assert_eq!(problems(steps, FILE, test), ["`file` gets 2 messages, not one message"]);
    let test = "    expect:\n      file: [{ paths: { ORC-2: A } }, { paths: { ORC-2: C } }]";
    assert_eq!(problems(steps, FILE, test), ["`ORC-2` of what `file[1]` gets is `B`, not `C`"]);
}

#[test]
fn one_that_waits_reads_the_response_that_the_test_gives() {
    let test = "    responses: { record: { body: done } }\n    expect: { note: { paths: { ZPD-1: done } } }";
    assert_eq!(problems("", TWO, test), NONE);
    let refused = "    responses: { record: { state: refused, code: AE } }\n    expect: { note: nothing }";
    assert_eq!(problems("", TWO, refused), NONE);
}

#[test]
fn one_that_waits_for_one_that_is_not_chosen_goes_at_once() {
    let left_out = TWO.replace("  - name: record\n", "  - name: record\n    when: false\n");
    let test = "    expect: { record: nothing, note: { paths: { ZPD-1: no answer } } }";
    assert_eq!(problems("", &left_out, test), NONE);
}

#[test]
fn the_code_is_that_of_the_reply_that_is_chosen() {
    let refused = "    responses: { file: { state: refused, code: AR } }\n    reply: ";
    assert_eq!(problems("reply: delivered", FILE, &format!("{refused}AR")), NONE);
    assert_eq!(problems("reply: processed", FILE, &format!("{refused}AA")), NONE);
    assert_eq!(problems("reply: { from: file }", FILE, &format!("{refused}AR")), NONE);
    assert_eq!(problems("reply: never", FILE, "    reply: none"), NONE);
    let throws = "steps:\n  - script: throw \"no\"\n";
    assert_eq!(problems(throws, FILE, "    reply: AE\n    outcome: failed"), NONE);
    let mapped = format!("{throws}reply: {{ codes: {{ failed: AR }} }}");
    assert_eq!(problems(&mapped, FILE, "    reply: AR"), NONE);
    let wrong = problems(throws, FILE, "    reply: AA");
    assert_eq!(wrong[0], "the sender hears `AE`, not `AA`");
    assert!(wrong[1].starts_with("the message was failed: "), "{wrong:?}");
}

#[test]
fn what_on_response_makes_of_an_answer_counts() {
    let judged = format!(
        "{FILE}    on_response:\n      - script: |\n          if response.body == \"full\" {{ refuse(\"full\") }}\n"
    );
    let test = "    responses: { file: { body: full } }\n    reply: AE";
    assert_eq!(problems("reply: delivered", &judged, test), NONE);
    assert_eq!(problems("reply: delivered", &judged, "    reply: AA"), NONE);
}

#[test]
fn an_expected_file_is_compared_byte_for_byte_and_written_on_demand() {
    let folder = project("", FILE, "    expect: { file: { file: expected/m.hl7 } }");
    let missing = run(folder.path(), Expected::Compare);
    assert!(missing.problems[0].what.starts_with("there is no `expected/m.hl7`"));
    let written = run(folder.path(), Expected::Rewrite);
    assert!(written.passed() && written.rewritten == [Path::new("expected/m.hl7")]);
    assert!(run(folder.path(), Expected::Compare).passed());
    fs::write(folder.path().join("expected/m.hl7"), MESSAGE.replace("42", "43")).unwrap();
    let differs = run(folder.path(), Expected::Compare);
    let diff = differs.problems[0].diff.clone().unwrap();
    assert!(diff.contains("- PID|1||43\n+ PID|1||42\n"), "{diff}");
    assert!(junit(&[differs]).contains("failures=\"1\""));
}

#[test]
fn with_a_time_given_everything_is_the_same_at_each_run() {
    let steps = "steps:\n  - set: { ZPD-1: '${ctx.id()}', ZPD-2: '${ctx.now()}' }";
    let folder = project(steps, FILE, "    at: 2026-03-01T08:00:00Z\n    expect: { file: { file: e.hl7 } }");
    assert!(run(folder.path(), Expected::Rewrite).passed());
    assert!(run(folder.path(), Expected::Compare).passed());
}

#[test]
fn what_is_not_the_format_is_unreadable() {
    let folder = project("", FILE, "    outcome: unreadable\n    reply: AR");
    fs::write(folder.path().join("m.hl7"), "no message at all").unwrap();
    assert!(run(folder.path(), Expected::Compare).passed());
}

#[test]
fn names_choose_channels_or_tests() {
    let folder = project("", FILE, "");
    let project = load(folder.path(), &Options::default());
    let count = |name: &str| run_tests(&project, &[name.to_owned()], Expected::Compare).len();
    assert_eq!((count("lab"), count("it"), count("other")), (1, 1, 0));
}

#[test]
fn each_message_of_a_batch_runs_in_order() {
    let folder = project(
        "steps:\n  - require: [PID-3]",
        FILE,
        "    reply: AA, AE, AA\n    expect:\n      file: [{ same_as: message }, { paths: { MSH-10: B-3 } }]",
    );
    let single = |id: &str, patient: &str| {
        format!("MSH|^~\\&|LAB|HOP|REC|HOP|20260301080000||ORU^R01|{id}|P|2.5\rPID|1||{patient}\r")
    };
    let batch = format!(
        "FHS|^~\\&\rBHS|^~\\&\r{}{}{}BTS|3\rFTS|1\r",
        single("B-1", "1"),
        single("B-2", ""),
        single("B-3", "3")
    );
    fs::write(folder.path().join("m.hl7"), batch).unwrap();
    let ran = run(folder.path(), Expected::Compare);
    assert!(ran.passed(), "{:?}", ran.problems);

    let file = folder.path().join("channels/lab.yaml");
    let wrong = fs::read_to_string(&file).unwrap().replace("AA, AE, AA", "AA");
    fs::write(&file, wrong).unwrap();
    let said: Vec<_> =
        run(folder.path(), Expected::Compare).problems.into_iter().map(|problem| problem.what).collect();
    assert_eq!(
        said,
        [
            "the sender hears `AA, AE, AA`, not `AA`",
            "the message 2 of the batch was refused: PID-3 is missing",
        ]
    );
}

#[test]
fn a_table_of_a_server_holds_what_the_test_says_and_no_server_is_asked() {
    let steps = "steps:\n  - set: { ZPD-1: '${table(\"wards\", #{ code: msg[\"PID-3.1\"], site: \"N\" }, \"name\")}' }";
    let tried = |on_missing: &str, test: &str| -> Vec<String> {
        let by_key = format!("{FILE}    order: {{ key: [PID-3.1] }}\n    workers: 2\n");
        let folder = project(steps, &by_key, test);
        fs::create_dir(folder.path().join("tables")).unwrap();
        let query = "select name from wards where code = :code and site = :site";
        let table = format!("sqlite: {{ file: no.db, query: \"{query}\" }}\non_missing: {on_missing}\n");
        fs::write(folder.path().join("tables/wards.yaml"), table).unwrap();
        run(folder.path(), Expected::Compare).problems.into_iter().map(|problem| problem.what).collect()
    };
    let rows = |rows: &str| format!("    tables: {{ wards: {{ {rows} }} }}\n");
    let expected = "    expect: { file: { paths: { ZPD-1: Réanimation } } }";
    assert_eq!(tried("pass", &(rows("\"42 / N\": { name: Réanimation }") + expected)), NONE);
    let other = rows("\"42 / S\": { name: Réanimation }");
    assert_eq!(
        tried("pass", &format!("{other}    expect: {{ file: {{ paths: {{ ZPD-1: \"\" }} }} }}")),
        NONE
    );
    assert_eq!(tried("hold", &format!("{other}    outcome: held\n    expect: {{ file: nothing }}")), NONE);
    assert_eq!(tried("refuse", &format!("{other}    outcome: refused\n    reply: AE")), NONE);
    let silent = tried("pass", "    reply: AA");
    assert!(
        silent.iter().any(|one| one.contains("the test does not say what the table `wards` holds")),
        "{silent:?}"
    );
}

#[test]
fn an_instance_is_expected_by_the_paths_of_its_elements() {
    let folder = tempfile::tempdir().unwrap();
    let mut image = Instance::new("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").unwrap();
    image.set(&DicomPath::parse("PatientName").unwrap(), "DUPONT^ANNE").unwrap();
    fs::write(folder.path().join("image.dcm"), image.written().unwrap()).unwrap();
    fs::create_dir(folder.path().join("channels")).unwrap();
    let channel = "name: images
source:
  file: { dir: in, done: done }
format: dicom
steps:
  - deidentify: { key: a key of some length, patient: pseudonym, keep: [PatientName] }
  - set: { 'OtherPatientIDsSequence[1].PatientID': 'S-${msg[\"PatientID\"]}' }
destinations:
  - name: file
    to:
      file: { dir: out }
tests:
  - name: it
    message: image.dcm
    expect: { file: { paths: { PatientIdentityRemoved: 'YES', PatientName: NAME, '(0020,000G)': x } } }
";
    fs::write(folder.path().join("channels/images.yaml"), channel).unwrap();
    let problems: Vec<String> =
        run(folder.path(), Expected::Compare).problems.into_iter().map(|problem| problem.what).collect();
    assert!(problems[0].contains("`(0020,000G)` is not a tag"), "{problems:?}");
    assert!(problems[1].ends_with("is `DUPONT^ANNE`, not `NAME`"), "{problems:?}");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_message_whose_code_no_table_has_is_expected_to_be_held_whole_and_accepted() {
    let steps = "steps:\n  - split: msg.groups(\"OBR\")\n    each: true\n  - set: { OBR-4: '${table(\"tests\", \"ours\", msg[\"ORC-2\"], \"loinc\")}' }";
    let destinations = "  - name: file\n    order: none\n    to:\n      file: { dir: out }\n";
    let held = "    outcome: held\n    reply: AA\n    expect: { file: nothing }";
    let accepted = "    outcome: accepted";
    for (table, test, wrong) in [
        ("# on_missing: hold\nours,loinc\nA,2345-7\n", held, None),
        ("# on_missing: hold\nours,loinc\nA,2345-7\nB,1-1\n", accepted, None),
        ("# on_missing: pass\nours,loinc\nA,2345-7\n", held, Some("the outcome is `accepted`, not `held`")),
        ("# on_missing: refuse\nours,loinc\nX,1-1\n", held, Some("not `held`")),
        (
            "# on_missing: hold\nours,loinc\nA,2345-7\n",
            accepted,
            Some("the message was held: the table `tests` has no row for `B`"),
        ),
    ] {
        let folder = project(steps, destinations, test);
        fs::create_dir(folder.path().join("tables")).unwrap();
        fs::write(folder.path().join("tables/tests.csv"), table).unwrap();
        let problems: Vec<String> =
            run(folder.path(), Expected::Compare).problems.into_iter().map(|problem| problem.what).collect();
        match wrong {
            None => assert_eq!(problems, NONE),
            Some(wrong) => assert!(problems.iter().any(|one| one.contains(wrong)), "{problems:?}"),
        }
    }
}

/// A ward whose orders are answered by the results of a laboratory, in a folder with a message of each kind.
fn ward(test: &str) -> TempDir {
    let expect = "steps:\n  - filter: msg[\"ORC-1\"] != \"XX\"
expect:\n  when: msg[\"ORC-1\"] == \"NW\"\n  key: ORC-2\n  answered_by:
    - { channel: results, key: OBR-2 }\n    - { channel: lab, when: 'msg[\"ORC-1\"] == \"CA\"', key: ORC-2 }\n  within: 4h";
    let folder = project(expect, FILE, test);
    let results = "name: results\nsource:\n  mllp: { listen: \"127.0.0.1:2576\" }\nsteps:\n  - require: [PID-3]\ndestinations: []\n";
    fs::write(folder.path().join("channels/results.yaml"), results).unwrap();
    let message =
        |kind: &str, rest: &str| format!("MSH|^~\\&|A|B|C|D|20260301080000||{kind}|1|P|2.5\r{rest}");
    for (file, kind, rest) in [
        ("m.hl7", "ORM^O01", "PID|1||42\rORC|NW|K1\rOBR|1|K1\r"),
        ("result.hl7", "ORU^R01", "PID|1||42\rOBR|1|K1\r"),
        ("nobody.hl7", "ORU^R01", "OBR|1|K1\r"),
        ("cancel.hl7", "ORM^O01", "ORC|CA|K1\r"),
        ("unwanted.hl7", "ORM^O01", "ORC|XX|K1\r"),
    ] {
        fs::write(folder.path().join(file), message(kind, rest)).unwrap();
    }
    folder
}

fn ward_problems(test: &str) -> Vec<String> {
    let folder = ward(test);
    run(folder.path(), Expected::Compare).problems.into_iter().map(|problem| problem.what).collect()
}

#[test]
fn what_is_not_answered_in_time_is_overdue_until_it_is_answered() {
    let looks = "    answers:
      - { after: 3h59m, open: [K1], overdue: [], met: [] }
      - { after: 4h, open: [], overdue: [K1], met: [] }\n";
    assert_eq!(ward_problems(looks), NONE);
    assert_eq!(ward_problems(&format!("    at: 2026-03-01T08:00:00Z\n{looks}")), NONE);
    let late = "    others: [{ channel: results, message: result.hl7, after: 5h }]
    answers: [{ after: 4h59m, overdue: [K1] }, { after: 5h, overdue: [], met: [K1] }]";
    assert_eq!(ward_problems(late), NONE);
    let wrong = "    answers: { after: 1h30m, overdue: [K1, K2], met: [] }";
    assert_eq!(ward_problems(wrong), ["after 1h30m `overdue` is nothing, not `K1`, `K2`"]);
}

#[test]
fn an_answer_counts_before_its_question_and_after_it_in_any_channel_that_answers() {
    let met = |other: &str| {
        ward_problems(&format!(
            "    others: [{{ {other} }}]\n    answers: {{ after: 4h, met: [K1], overdue: [] }}"
        ))
    };
    assert_eq!(met("channel: results, message: result.hl7, before: 4h"), NONE);
    assert_eq!(met("channel: results, message: result.hl7"), NONE);
    assert_eq!(met("message: cancel.hl7, after: 4h"), NONE);
    let too_early = met("channel: results, message: result.hl7, before: 4h1s");
    assert_eq!(too_early, ["after 4h `overdue` is `K1`, not nothing", "after 4h `met` is nothing, not `K1`"]);
}

#[test]
fn what_is_not_accepted_neither_asks_nor_answers_and_says_why() {
    let refused = "    others: [{ channel: results, message: nobody.hl7, after: 1h }]\n    answers: { after: 2h, met: [K1] }";
    assert_eq!(
        ward_problems(refused),
        [
            "after 2h `met` is nothing, not `K1`",
            "`results` did not accept `nobody.hl7`: it was refused: PID-3 is missing",
        ]
    );
    let folder = ward("    answers: { after: 4h, open: [], overdue: [], met: [] }");
    fs::rename(folder.path().join("unwanted.hl7"), folder.path().join("m.hl7")).unwrap();
    assert!(run(folder.path(), Expected::Compare).passed());
}

#[test]
fn a_message_whose_question_cannot_be_said_fails_as_it_would_on_its_way() {
    let expect =
        "expect:\n  key: 'parse_json(\"[\")'\n  answered_by: { channel: lab, key: OBR-2 }\n  within: 4h";
    assert_eq!(
        problems(expect, FILE, "    outcome: failed\n    reply: AE\n    expect: { file: nothing }"),
        NONE
    );
}
