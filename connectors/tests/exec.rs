//! Programs as destinations: real ones, well behaved and not.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use engine::{Destination, DestinationSettings, Facts, Outbound, Response, SendError};
use serde_json::{Value, json};
use stage::{destination, fact, opening, outbound};
use tempfile::tempdir;

/// Far above what a run may take that is ended, and far below what the programs here would take by themselves.
const SOON: Duration = Duration::from_secs(15);

/// A destination that runs this line of shell: the program is `sh`, and what the test says is its script.
async fn shell(script: &str, more: Value, root: &Path) -> Box<dyn Destination> {
    let mut settings = json!({ "run": ["sh", "-c", script] });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    destination("exec", settings, root).await
}

async fn python(script: &str, more: Value) -> Result<Response, SendError> {
    let mut settings = json!({ "run": ["python3", "-c", script] });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    destination("exec", settings, Path::new(".")).await.send(&outbound("MSH|")).await
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(response.body.as_ref().unwrap()).unwrap()
}

fn not_delivered(sent: Result<Response, SendError>) -> String {
    let Err(SendError::NotDelivered { why, .. }) = sent else { panic!("{sent:?}") };
    why
}

/// What was kept of the last run whose message was not sent.
fn kept(program: &dyn Destination) -> Facts {
    program.overheard().pop().expect("what it wrote is kept").response.facts
}

/// Whether a process runs no more. One that nobody reaped runs no more either.
fn is_gone(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
}

async fn goes(process: &str) {
    let started = Instant::now();
    while !is_gone(process) {
        assert!(started.elapsed() < SOON, "process {process} runs still");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_goes_in_by_stdin_and_the_answer_comes_by_stdout() {
    let root = tempdir().unwrap();
    let program = shell("echo heard >&2; tr a-z A-Z", json!({ "answer": "stdout" }), root.path()).await;
    let response = program.send(&outbound("msh|é")).await.unwrap();
    assert_eq!(text(&response), "MSH|é");
    assert_eq!(fact(&response.facts, "stderr"), Some("heard\n"));
    assert_eq!((response.facts["exit"].as_u64(), response.facts.get("stdout")), (Some(0), None));
    let quiet = shell("cat", json!({}), root.path()).await.send(&outbound("kept")).await.unwrap();
    assert_eq!((quiet.body, fact(&quiet.facts, "stdout")), (None, Some("kept")));
}

#[tokio::test]
async fn an_exit_code_says_how_it_went_and_what_it_wrote_is_kept() {
    let root = tempdir().unwrap();
    let exit = json!({ "exit": { "4": "sent", "5": "retry", "6": "unsure" } });
    let script = "echo said; echo why >&2; exit $(cat)";
    let program = shell(script, exit, root.path()).await;
    let refused = program.send(&outbound("3")).await;
    let Err(SendError::Refused { why, code, response }) = refused else { panic!("{refused:?}") };
    assert_eq!((why.as_str(), code.as_deref()), ("the program ended with 3", Some("3")));
    assert_eq!(response.as_deref(), Some(&b"why\n"[..]));
    let facts = kept(program.as_ref());
    assert_eq!((fact(&facts, "stdout"), facts["exit"].as_u64()), (Some("said\n"), Some(3)));
    assert!(program.send(&outbound("4")).await.is_ok());
    for later in ["5", "75", "126", "127"] {
        not_delivered(program.send(&outbound(later)).await);
        assert_eq!(fact(&kept(program.as_ref()), "stderr"), Some("why\n"));
    }
    assert!(matches!(program.send(&outbound("6")).await, Err(SendError::Unknown { .. })));
    let killed = shell("kill -9 $$", json!({}), root.path()).await.send(&outbound("")).await;
    assert_eq!(not_delivered(killed), "the program was ended by signal 9");
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_and_kept_in_part() {
    let flood = "import sys\nfor n in range(2000):\n sys.stdout.write('o'*10000)\n sys.stderr.write('e'*10000)\nsys.stderr.write('LAST')";
    let response = python(flood, json!({ "output": "1KB" })).await.unwrap();
    for stream in ["stdout", "stderr"] {
        let kept = fact(&response.facts, stream).unwrap();
        assert!(kept.len() < 1200 && kept.contains("bytes are left out"), "{}", kept.len());
    }
    assert!(fact(&response.facts, "stderr").unwrap().ends_with("LAST"));
    let response = python(flood, json!({ "answer": "stdout", "max_size": "1MB" })).await.unwrap();
    assert_eq!((response.body.unwrap().len(), response.facts["cut"].as_bool()), (1_000_000, Some(true)));
}

#[tokio::test]
async fn a_program_need_not_read_its_input() {
    let root = tempdir().unwrap();
    let large = outbound(vec![b'x'; 8_000_000]);
    let program = shell("exec <&-; echo done", json!({ "answer": "stdout" }), root.path()).await;
    assert_eq!(text(&program.send(&large).await.unwrap()), "done\n");
    let slow = shell("read -r _ignored; sleep 300", json!({ "timeout": "200ms" }), root.path()).await;
    assert!(matches!(slow.send(&large).await, Err(SendError::Unknown { .. })));
}

#[tokio::test]
async fn children_that_hold_the_output_open_are_ended_after_a_moment() {
    let root = tempdir().unwrap();
    let started = Instant::now();
    let program = shell("sleep 300 & echo $!", json!({ "answer": "stdout" }), root.path()).await;
    let response = program.send(&outbound("")).await.unwrap();
    assert!(started.elapsed() < SOON && response.facts.contains_key("left_behind"));
    goes(text(&response)).await;
    // One in a session of its own is not ours to end; we only hang up.
    let program = shell("setsid sleep 300 & echo $!", json!({ "answer": "stdout" }), root.path()).await;
    let response = program.send(&outbound("")).await.unwrap();
    assert!(started.elapsed() < SOON && response.facts.contains_key("left_behind"));
    Command::new("pkill").args(["--session", text(&response).trim()]).status().unwrap();
}

#[tokio::test]
async fn who_ignores_the_end_is_killed_with_all_that_it_started() {
    let stubborn = "import signal,subprocess,sys,time\n\
        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
        child = subprocess.Popen(['sleep', '300'], preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))\n\
        print(child.pid, flush=True)\ntime.sleep(300)";
    let more = json!({ "timeout": "1s", "grace": "200ms" });
    let started = Instant::now();
    let mut settings = json!({ "run": ["python3", "-c", stubborn] });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let program = destination("exec", settings, Path::new(".")).await;
    let sent = program.send(&outbound("")).await;
    assert!(
        matches!(&sent, Err(SendError::Unknown { why, .. }) if why.contains("longer than 1s")),
        "{sent:?}"
    );
    assert!(started.elapsed() < SOON);
    goes(fact(&kept(program.as_ref()), "stdout").unwrap()).await;
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_ended() {
    let root = tempdir().unwrap();
    let note = root.path().join("process");
    let program = shell("sleep 300 & echo $! > process; wait", json!({}), root.path()).await;
    let message = outbound("");
    {
        let mut sending = std::pin::pin!(program.send(&message));
        while fs::read_to_string(&note).unwrap_or_default().is_empty() {
            tokio::select! {
                sent = sending.as_mut() => panic!("{sent:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    goes(&fs::read_to_string(&note).unwrap()).await;
}

#[tokio::test]
async fn what_cannot_be_started_waits_and_says_why() {
    let root = tempdir().unwrap();
    fs::write(root.path().join("plain"), "no program").unwrap();
    fs::write(root.path().join("lost"), "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(root.path().join("lost"), fs::Permissions::from_mode(0o755)).unwrap();
    let faults = [
        (json!({ "run": ["no-such-program"] }), "there is no program `no-such-program` in PATH"),
        (json!({ "run": ["./missing"] }), "No such file"),
        (json!({ "run": ["./plain"] }), "Permission denied"),
        (json!({ "run": ["./lost"] }), "cannot start"),
        (json!({ "run": ["true"], "dir": "no/such" }), "cannot start"),
        (json!({ "run": ["true"], "user": "no-such-user" }), "there is no user `no-such-user`"),
        (
            json!({ "run": ["true"], "input": "file", "answer": { "dir": "plain", "name": "x" } }),
            "cannot make the folder",
        ),
    ];
    for (settings, words) in faults {
        let program = destination("exec", settings, root.path()).await;
        let why = not_delivered(program.send(&outbound("")).await);
        assert!(why.contains(words), "{why}");
    }
    let kind = connectors::find("exec").unwrap().destination.as_ref().unwrap();
    let settings: Box<dyn DestinationSettings> = (kind.parse)(json!({ "run": ["./plain"] })).unwrap();
    assert!(settings.reach(&opening(root.path())).await.is_err());
}

#[tokio::test]
async fn another_user_runs_it_where_the_engine_may() {
    let program = destination(
        "exec",
        json!({ "run": ["id", "-u"], "user": "nobody", "answer": "stdout" }),
        Path::new("/"),
    )
    .await;
    let sent = program.send(&outbound("")).await;
    if rustix::process::geteuid().is_root() {
        let response = sent.unwrap();
        assert_ne!(text(&response), "0\n");
        let reads = json!({ "run": ["cat"], "user": "nobody", "input": "file", "answer": "stdout" });
        let program = destination("exec", reads, Path::new("/")).await;
        assert_eq!(text(&program.send(&outbound("whole")).await.unwrap()), "whole");
    } else {
        assert!(not_delivered(sent).contains("only an engine that runs as root"));
    }
}

#[tokio::test]
async fn a_message_may_be_a_file_that_goes_with_the_run() {
    let root = tempdir().unwrap();
    let script = "cat \"$1\"; echo; echo \"$RELAIS_FILE|$1|$2\"; stat -c %a \"$(dirname \"$1\")\"";
    let mut message = outbound("body");
    std::sync::Arc::make_mut(&mut message.source).insert("name".to_owned(), "K 1.csv".into());
    for (run, last) in
        [(json!(["sh", "-c", script, "sh", "{}", "more"]), "more"), (json!(["sh", "-c", script, "sh"]), "")]
    {
        let settings = json!({ "run": run, "input": "file", "answer": "stdout" });
        let response = destination("exec", settings, root.path()).await.send(&message).await.unwrap();
        let lines: Vec<&str> = text(&response).lines().collect();
        let [body, paths, mode] = lines[..] else { panic!("{lines:?}") };
        let paths: Vec<&str> = paths.split('|').collect();
        assert_eq!((body, mode, paths[2], paths[0]), ("body", "700", last, paths[1]));
        assert!(paths[0].ends_with("/K 1.csv") && !Path::new(paths[0]).exists(), "{paths:?}");
    }
    // A name that leads elsewhere is not taken over.
    std::sync::Arc::make_mut(&mut message.source).insert("name".to_owned(), "../../x".into());
    let settings =
        json!({ "run": ["sh", "-c", "basename \"$1\"", "sh"], "input": "file", "answer": "stdout" });
    let response = destination("exec", settings, root.path()).await.send(&message).await.unwrap();
    assert_eq!(text(&response), "message\n");
}

#[tokio::test]
async fn a_file_that_the_program_leaves_becomes_the_response() {
    let root = tempdir().unwrap();
    let makes = json!({ "answer": { "dir": "answers" } });
    let makes = shell("printf new > \"$RELAIS_ANSWER\"", makes, root.path()).await;
    assert_eq!(text(&makes.send(&outbound("")).await.unwrap()), "new");
    let stale = root.path().join("answers/A.ack");
    fs::write(&stale, "of yesterday").unwrap();
    let answer = json!({ "answer": { "dir": "answers", "name": "${source.name}" } });
    let named = |name: &str, body: &str| {
        let mut message = outbound(body);
        message.texts.insert("answer.name".to_owned(), name.to_owned());
        message
    };
    let program = shell("sh -c \"$(cat)\"", answer, root.path()).await;
    let none = program.send(&named("A.ack", "true")).await.unwrap();
    assert_eq!((none.body, stale.exists()), (None, false));
    let left = program.send(&named("A.ack", "printf fresh > \"$RELAIS_ANSWER\"")).await.unwrap();
    assert_eq!((text(&left), stale.exists()), ("fresh", false));
    let linked = program.send(&named("A.ack", "ln -s /etc/passwd \"$RELAIS_ANSWER\"")).await;
    assert!(matches!(linked, Err(SendError::Unknown { .. })), "{linked:?}");
    let hostile = program.send(&named("../A.ack", "true")).await;
    assert!(matches!(hostile, Err(SendError::Refused { .. })), "{hostile:?}");
    let own =
        shell("printf mine > \"$RELAIS_ANSWER\"", json!({ "answer": { "dir": "answers" } }), root.path())
            .await;
    assert_eq!(text(&own.send(&outbound("")).await.unwrap()), "mine");
    let there = fs::read_dir(root.path().join("answers")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(
        there.collect::<Vec<_>>(),
        ["A.ack"],
        "the link alone stays, until the next run takes it away"
    );
}

#[tokio::test]
async fn arguments_and_variables_arrive_as_they_are_and_no_others() {
    let root = tempdir().unwrap();
    let hostile = "a b\"'; touch x; $(touch y) `touch z` \\ é*";
    let print = "import os,sys\nprint(sys.argv[1:], dict(os.environ))";
    let settings = json!({
        "run": ["python3", "-c", print, "${msg}", "--", "${msg}"],
        "environment": { "WARD": "${msg}" }, "answer": "stdout",
    });
    let program = destination("exec", settings, root.path()).await;
    let with = |first: &str, second: &str| -> Outbound {
        let mut message = outbound("");
        for (path, text) in [("run.3", first), ("run.5", second), ("environment.WARD", hostile)] {
            message.texts.insert(path.to_owned(), text.to_owned());
        }
        message
    };
    let response = program.send(&with(hostile, "-rf")).await.unwrap();
    let printed = text(&response);
    assert!(printed.contains("'WARD'") && printed.contains("'-rf'") && printed.contains("é*"), "{printed}");
    for name in ["RELAIS_CHANNEL': 'lab'", "RELAIS_MESSAGE': '7'", "RELAIS_ATTEMPT': '1'", "RELAIS_EFFECT"] {
        assert!(printed.contains(name), "{name} is missing in {printed}");
    }
    assert!(!printed.contains("CARGO"), "the engine's own variables stay its own");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "no shell read it");
    for (first, second) in [("-rf", "x"), ("a\0b", "x"), ("x", "a\0b")] {
        let sent = program.send(&with(first, second)).await;
        assert!(matches!(sent, Err(SendError::Refused { .. })), "{sent:?}");
    }
}

#[tokio::test]
async fn a_run_that_outlived_its_engine_is_waited_for() {
    let root = tempdir().unwrap();
    let say = json!({ "answer": "stdout" });
    let script = "echo $RELAIS_RUN";
    let mark =
        text(&shell(script, say.clone(), root.path()).await.send(&outbound("")).await.unwrap()).to_owned();
    let mut left = Command::new("sleep").arg("300").env("RELAIS_RUN", mark.trim()).spawn().unwrap();
    let program = shell(script, say, root.path()).await;
    let why = not_delivered(program.send(&outbound("")).await);
    assert!(why.contains(&format!("process {} outlived", left.id())), "{why}");
    let mut another = outbound("");
    another.message.0 += 1;
    assert!(program.send(&another).await.is_ok(), "it is in the way of no other message");
    left.kill().unwrap();
    left.wait().unwrap();
    assert!(program.send(&outbound("")).await.is_ok());
}

#[test]
fn what_makes_no_sense_is_found_when_it_is_checked() {
    let wrong = [
        (json!({ "run": ["${msg}"] }), "template-not-here run.0"),
        (json!({ "run": [] }), "missing-field run"),
        (json!({ "run": [""] }), "wrong-value run.0"),
        (json!({ "run": ["x"], "timeout": "0s" }), "period-too-short timeout"),
        (json!({ "run": ["x"], "exit": { "256": "sent" } }), "wrong-value exit"),
        (json!({ "run": ["x"], "environment": { "RELAIS_RUN": "x" } }), "wrong-value environment"),
        (json!({ "run": ["x"], "environment": { "A=B": "x" } }), "wrong-value environment"),
    ];
    let kind = connectors::find("exec").unwrap().destination.as_ref().unwrap();
    for (settings, complaint) in wrong {
        let mut found = Vec::new();
        let settings = (kind.parse)(settings).unwrap();
        settings.check(&mut engine::Checks::new(engine::Path::default(), &mut found));
        let found: Vec<_> = found.iter().map(|one| format!("{} {}", one.code, one.at)).collect();
        assert_eq!(found, [complaint]);
    }
}
