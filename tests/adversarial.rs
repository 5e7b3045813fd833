//! Plays the hostile senders of the corpus against the real binary, then looks at what they left behind.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{Project, Relais, comes_true, corpus, free_port, wait_until};

/// The largest message of the play is 52 MB: it may stand in memory a few times, and not for good.
const MOST_MEMORY: u64 = 400 << 20;
const MEMORY_AFTERWARDS: u64 = 160 << 20;

/// One case as the player saw it.
struct Case {
    bytes: Vec<u8>,
    name: String,
    accepted: usize,
    answers: Vec<(String, String)>,
    expected: String,
}

/// One message as the store has it.
struct Stored {
    id: u64,
    control_id: Option<String>,
    state: String,
    why: String,
    body: Vec<u8>,
}

#[test]
fn hostile_senders_are_answered_as_they_must_be_and_leave_nothing_wrong_behind() {
    let project = Project::new();
    let port = free_port();
    project.channel(
        "adversarial",
        &format!(
            "name: adversarial\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\n\
             destinations:\n  - name: archive\n    to:\n      file: {{ dir: out }}\n"
        ),
    );
    let relais = project.start();
    let cases = play(&project, port);
    wait_until("nothing waits", || relais.metric(DEPTH) == Some(0.0));

    let stored = stored(&project, &relais);
    let delivered = delivered(&project);
    for case in &cases {
        is_kept_once(case, &stored);
        is_delivered_as_it_came(case, &delivered);
        left_evidence(case, &stored, &relais.log());
    }
    nothing_is_of_nobody(&cases, &stored, &delivered);
    comes_down(&relais);
}

const DEPTH: &str = "relais_queue_depth{channel=\"adversarial\",destination=\"archive\"}";

/// Runs the player of the corpus; it fails where an answer is not as the manifest asks.
fn play(project: &Project, port: u16) -> Vec<Case> {
    let folder = corpus("adversarial");
    let output = Command::new("python3")
        .arg(folder.join("send.py"))
        .args([&port.to_string(), "--big", "--json", "played.json"])
        .current_dir(project.root())
        .output()
        .expect("python3 can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(output.status.success(), "{}\n{}", failed.join("\n"), String::from_utf8_lossy(&output.stderr));
    let played = fs::read_to_string(project.path("played.json")).expect("the player says what it saw");
    let played: Vec<Value> = serde_json::from_str(&played).expect("the player writes JSON");
    // What it makes on the fly has no file.
    played.iter().filter(|row| row.get("aa").is_some()).map(|row| case(row, &folder)).collect()
}

fn case(row: &Value, folder: &Path) -> Case {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = word(&row["file"]);
    let answers = row["acks"].as_array().expect("the player lists the answers");
    Case {
        bytes: fs::read(folder.join(&name)).expect("a case of the corpus can be read"),
        name,
        accepted: row["aa"].as_u64().expect("the player counts") as usize,
        answers: answers.iter().map(|answer| (word(&answer[0]), word(&answer[1]))).collect(),
        expected: word(&row["note"]),
    }
}

/// Every message the store has, with its bytes, oldest first.
fn stored(project: &Project, relais: &Relais) -> Vec<Stored> {
    let (_, found) = relais.get("/api/v1/messages?limit=1000").expect("the API answers");
    let found: Vec<Value> = serde_json::from_str(&found).expect("the API answers JSON");
    assert!(found.len() < 1000, "there are more messages than one page holds");
    let mut stored: Vec<Stored> = found
        .iter()
        .map(|row| {
            let id = row["id"].as_u64().expect("a message has an id");
            Stored {
                id,
                control_id: row["control_id"].as_str().map(str::to_owned),
                state: row["state"].as_str().unwrap_or_default().to_owned(),
                why: row["why"].as_str().unwrap_or_default().to_owned(),
                body: project.relais(&["show", "--raw", &id.to_string()]).stdout,
            }
        })
        .collect();
    stored.sort_by_key(|stored| stored.id);
    stored
}

/// The contents of all files that were written, with how often each was.
fn delivered(project: &Project) -> HashMap<Vec<u8>, usize> {
    let mut delivered = HashMap::new();
    for path in project.files("out") {
        *delivered.entry(fs::read(path).expect("a delivered file can be read")).or_default() += 1;
    }
    delivered
}

/// What was acknowledged stands in the store exactly once, under its own name and as accepted.
fn is_kept_once(case: &Case, stored: &[Stored]) {
    for (code, id) in &case.answers {
        if !matches!(code.as_str(), "AA" | "CA") || id.is_empty() {
            continue;
        }
        let found: Vec<&Stored> =
            stored.iter().filter(|stored| stored.control_id.as_ref() == Some(id)).collect();
        let states: Vec<&str> = found.iter().map(|stored| stored.state.as_str()).collect();
        assert_eq!(states, ["queued"], "{}: `{id}` was accepted and is not in the store once", case.name);
        assert!(holds(case, &found[0].body), "{}: `{id}` is stored with other bytes", case.name);
    }
}

/// A case of one message leaves exactly as it came, text and escapes and all.
fn is_delivered_as_it_came(case: &Case, delivered: &HashMap<Vec<u8>, usize>) {
    if case.name.starts_with("messages/") && case.accepted == 1 {
        assert_eq!(delivered.get(&case.bytes), Some(&1), "{} was not delivered as it came", case.name);
    }
}

/// What was not accepted can be found: kept with a reason, or in the log.
fn left_evidence(case: &Case, stored: &[Stored], log: &str) {
    let nothing_came = case.bytes.iter().all(|byte| matches!(byte, 0x0b | 0x1c | b'\r'));
    if case.accepted > 0 || nothing_came || case.expected.starts_with("no message stored") {
        return;
    }
    let kept = stored.iter().any(|stored| {
        let explained = stored.state == "queued" || !stored.why.is_empty();
        explained && !stored.body.is_empty() && holds(case, &stored.body)
    });
    let logged = log.contains(&format!("count={} ", case.bytes.len()));
    assert!(kept || logged, "{} was not accepted, and left nothing that says why", case.name);
}

/// Nothing is stored or delivered that is not a part of what one sender sent.
fn nothing_is_of_nobody(cases: &[Case], stored: &[Stored], delivered: &HashMap<Vec<u8>, usize>) {
    let ours = |body: &[u8]| cases.iter().any(|case| holds(case, body));
    // What the player makes on the fly says so.
    let made = |body: &[u8]| {
        ["|LIVE-", "|b50mb|", "|bendless|", "\x0bMSH|^~\\&|SLOW", "MSH|^"]
            .iter()
            .any(|mark| contains(&body[..body.len().min(200)], mark.as_bytes()))
    };
    for stored in stored {
        assert!(ours(&stored.body) || made(&stored.body), "message {} was never sent so", stored.id);
    }
    for body in delivered.keys() {
        assert!(
            ours(body) || made(body),
            "a message of {} bytes was delivered and never sent so",
            body.len()
        );
    }
    let mut names = HashSet::new();
    let twice = stored.iter().filter_map(|stored| stored.control_id.as_ref()).find(|id| !names.insert(*id));
    assert_eq!(twice, None, "a message stands twice in the store");
}

fn holds(case: &Case, body: &[u8]) -> bool {
    contains(&case.bytes, body)
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// Memory and work go back to where an idle server stands.
fn comes_down(relais: &Relais) {
    let most = memory(relais, "VmHWM:");
    assert!(most < MOST_MEMORY, "{} MB of memory at most", most >> 20);
    let down = comes_true(Duration::from_secs(20), || memory(relais, "VmRSS:") < MEMORY_AFTERWARDS);
    assert!(down, "{} MB of memory are still held", memory(relais, "VmRSS:") >> 20);
    // A window of half a second without as much as a fiftieth of a second of work.
    let mut window = (Instant::now(), ticks(relais));
    wait_until("the server is idle", || {
        if window.0.elapsed() < Duration::from_millis(500) {
            return false;
        }
        let before = std::mem::replace(&mut window, (Instant::now(), ticks(relais)));
        window.1 - before.1 <= 2
    });
}

fn memory(relais: &Relais, line: &str) -> u64 {
    let status = proc(relais, "status");
    let line = status.lines().find_map(|found| found.strip_prefix(line)).expect("the system counts memory");
    let kilobytes: u64 =
        line.trim().trim_end_matches(" kB").parse().expect("the system counts memory in kilobytes");
    kilobytes << 10
}

/// The time it has worked, in hundredths of a second.
fn ticks(relais: &Relais) -> u64 {
    let stat = proc(relais, "stat");
    let after = stat.rsplit(')').next().expect("a process has a name");
    let fields: Vec<&str> = after.split_whitespace().collect();
    let tick = |place: usize| fields[place].parse::<u64>().expect("the system counts ticks");
    tick(11) + tick(12)
}

fn proc(relais: &Relais, file: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{file}", relais.process())).expect("the server runs")
}
