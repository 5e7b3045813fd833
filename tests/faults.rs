//! Disks that fail under the real binary: no answer is positive that is not durable, and it goes on by itself.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use tests::{
    Behaviour, Project, Receiver, Relais, Sender, SmallDisk, Strace, free_port, message, mshfield, wait_until,
};

/// A sender is never left waiting for a disk.
const IN_TIME: Duration = Duration::from_secs(5);

/// A project whose one channel hands on to a peer, and a sender's way in.
struct Ward {
    project: Project,
    listen: u16,
    record: Receiver,
}

impl Ward {
    fn new() -> Self {
        Self::replying("processed")
    }

    /// The channel answers when this is so.
    fn replying(when: &str) -> Self {
        let (project, listen, record) = (Project::new(), free_port(), Receiver::start(Behaviour::Code("AA")));
        project.channel(
            "ward",
            &format!(
                "name: ward\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nreply: {when}\n\
                 destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{}\" }}\n\
                 \x20   retry: {{ first: 50ms, longest: 200ms }}\n",
                record.port
            ),
        );
        Self { project, listen, record }
    }

    /// Starts the server and has one message pass, so that all that follows is only messages.
    fn start(&self) -> Relais {
        let relais = self.project.start();
        assert_eq!(self.send("first"), "AA");
        self.has_gone_all_its_way("first");
        relais
    }

    /// Waits until nothing is left to be written about a message.
    fn has_gone_all_its_way(&self, id: &str) {
        let end = ["queued", "told", "sent"].map(str::to_owned);
        wait_until("the message has gone all its way", || self.state(id).as_ref() == Some(&end));
    }

    /// Sends a message on a connection of its own; the code of its answer, which comes in time.
    fn send(&self, id: &str) -> String {
        self.send_bytes(id, &message(id, "1"))
    }

    fn send_bytes(&self, id: &str, message: &[u8]) -> String {
        let since = Instant::now();
        let mut sender = Sender::connect(self.listen).expect("the channel listens whatever the disk does");
        let answer = sender.send(message).expect("every message is answered");
        assert_eq!(mshfield(&answer, "MSA", 2), id);
        assert!(since.elapsed() < IN_TIME, "`{id}` waited {:?} for its answer", since.elapsed());
        mshfield(&answer, "MSA", 1)
    }

    /// State, answer and the delivery's state of a message.
    fn state(&self, id: &str) -> Option<[String; 3]> {
        let found = self.project.relais(&["find", id, "--format", "json"]).stdout;
        let found: serde_json::Value = serde_json::from_slice(&found).ok()?;
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let row = found.get(0)?;
        Some([word(&row["state"]), word(&row["answer"]), word(&row["deliveries"][0]["state"])])
    }

    /// On a slow disk one thread writes, and counts its syncs: whoever comes does not write at once himself.
    fn leaves_writing_to_its_thread(&self, relais: &Relais, names: &str) {
        let slowed = Strace::slow_syncs(relais);
        for number in 0..8 {
            let id = format!("{names}-{number}");
            assert_eq!(self.send(&id), "AA");
            self.has_gone_all_its_way(&id);
        }
        drop(slowed);
    }

    /// How often the record was sent this message.
    fn arrived(&self, id: &str) -> usize {
        self.record.received().iter().filter(|message| mshfield(message, "MSH", 10) == id).count()
    }
}

#[track_caller]
fn stands_ready(relais: &Relais) {
    wait_until("the server is ready by itself", || {
        relais.get("/health/ready").is_some_and(|answer| answer.0 == 200)
    });
}

/// Whether the probe says that it is not ready, and why in these words.
fn says_unready(relais: &Relais, why: &str) -> bool {
    let (live, _) = relais.get("/health/live").expect("the probe answers whatever the disk does");
    assert_eq!(live, 200, "a server that waits for its disk is not to be killed");
    let (status, words) = relais.get("/health/ready").expect("the probe answers whatever the disk does");
    status == 503 && words.contains(why)
}

/// Everything that was sent is at the record, each once.
#[track_caller]
fn each_arrived_once(ward: &Ward, sent: &[String]) {
    wait_until("everything has arrived", || sent.iter().all(|id| ward.arrived(id) > 0));
    wait_until("nothing waits", || {
        let waiting = ward.project.relais(&["find", "--state", "waiting", "--format", "json"]).stdout;
        waiting.trim_ascii() == b"[]"
    });
    for id in sent {
        assert_eq!(ward.arrived(id), 1, "`{id}` has another number of effects than one");
    }
}

#[test]
fn an_answer_leaves_only_after_its_message_was_synced() {
    let ward = Ward::new();
    let relais = ward.start();
    let calls = ward.project.path("calls.txt");
    let watching =
        Strace::watch(&relais, "fsync,fdatasync,read,readv,recvfrom,write,writev,sendto,sendmsg", &calls);
    for number in 0..10 {
        let id = format!("S{number}");
        assert_eq!(ward.send(&id), "AA");
        // Nothing of this one is left to be synced when the next one comes.
        ward.has_gone_all_its_way(&id);
    }
    drop(watching);

    let (mut syncs, mut answered) = (0, 0);
    for call in fs::read_to_string(calls).expect("strace has written what it saw").lines() {
        if is_sync(call) {
            syncs += 1;
        } else if call.contains("|ORU^R01^ORU_R01|S") && !is_write(call) {
            syncs = 0;
        } else if call.contains("MSA|AA|S") && is_write(call) {
            assert!(syncs >= 1, "an answer left before its message was kept and queued: {call}");
            answered += 1;
        }
    }
    assert_eq!(answered, 10, "strace has not seen every answer leave");
}

/// A sync of the store's journal that has ended well; strace may show its end on a line of its own.
fn is_sync(call: &str) -> bool {
    call.contains("sync") && call.ends_with("= 0") && (call.contains("/journal/") || call.contains("resumed"))
}

fn is_write(call: &str) -> bool {
    ["write(", "writev(", "sendto(", "sendmsg("].iter().any(|name| call.contains(name))
}

#[test]
fn a_sync_that_fails_at_any_write_loses_nothing_and_repeats_nothing() {
    survives_failing_syncs("processed");
}

#[test]
fn nor_does_it_where_the_answer_says_only_that_the_message_is_stored() {
    survives_failing_syncs("stored");
}

#[test]
fn nor_does_it_where_the_answer_says_that_the_message_was_delivered() {
    survives_failing_syncs("delivered");
}

fn survives_failing_syncs(reply: &str) {
    // An end of a delivery that cannot be written down is not waited for.
    let ward = Ward::replying(&format!("{{ when: {reply}, within: 2s }}"));
    let relais = ward.start();
    let mut sent = vec!["first".to_owned()];
    for from in 1..=6 {
        stands_ready(&relais);
        ward.leaves_writing_to_its_thread(&relais, &format!("slow{from}"));
        let failing = Strace::fail_syncs(&relais, "EIO", from, &[]);
        // Sooner or later a write hits the fault.
        let mut refused = Vec::new();
        for number in 0..20 {
            let id = format!("E{from}-{number}");
            let code = ward.send(&id);
            sent.push(id.clone());
            if code != "AA" {
                assert_eq!(code, "AR", "neither taken nor to be sent again");
                refused.push(id);
            }
            if refused.len() == 4 {
                break;
            }
        }
        assert_eq!(refused.len(), 4, "a disk that syncs nothing took everything");
        assert!(says_unready(&relais, "the disk failed"));
        drop(failing);
        // Half of the senders come again before the server has found out, half after.
        if from % 2 == 0 {
            stands_ready(&relais);
        }
        for id in refused {
            wait_until("it is taken at last", || ward.send(&id) == "AA");
        }
    }
    each_arrived_once(&ward, &sent);
    assert!(relais.log().contains("the store writes again"), "{}", relais.log());
}

#[test]
fn a_message_that_was_kept_and_refused_goes_on_by_itself() {
    let ward = Ward::new();
    ward.start().kill();
    // After an end that was not in order the first write keeps a message, and the second would queue it.
    let relais = ward.project.start();
    stands_ready(&relais);
    ward.leaves_writing_to_its_thread(&relais, "slow");
    let failing = Strace::fail_syncs(&relais, "EIO", 2, &[]);
    assert_eq!(ward.send("kept"), "AR");
    assert_eq!(ward.arrived("kept"), 0);
    drop(failing);
    wait_until("it goes on with nobody's help", || ward.arrived("kept") == 1);
    stands_ready(&relais);
    assert_eq!(ward.send("kept"), "AA");
    each_arrived_once(&ward, &["first".into(), "kept".into()]);
}

#[test]
fn a_server_killed_while_its_disk_fails_goes_on_when_it_is_started_again() {
    for from in 1..=4 {
        let ward = Ward::new();
        let relais = ward.start();
        ward.leaves_writing_to_its_thread(&relais, "slow");
        let failing = Strace::fail_syncs(&relais, "EIO", from, &[]);
        let id = format!("K{from}");
        let code = ward.send(&id);
        relais.kill();
        drop(failing);

        let relais = ward.project.start();
        stands_ready(&relais);
        if code != "AA" {
            assert_eq!(code, "AR");
            wait_until("it is taken at last", || ward.send(&id) == "AA");
        }
        wait_until("it has arrived", || ward.arrived(&id) > 0);
        wait_until("it is settled", || ward.state(&id).is_some_and(|state| state[2] == "sent"));
        // What was begun and not settled may come twice; what was not begun may not.
        let most = if from <= 2 { 1 } else { 2 };
        assert!(ward.arrived(&id) <= most, "`{id}` came {} times", ward.arrived(&id));
    }
}

#[test]
fn a_server_whose_disk_fails_stops_when_it_is_asked_to() {
    let ward = Ward::new();
    let relais = ward.start();
    let failing = Strace::fail_syncs(&relais, "EIO", 1, &[]);
    assert_eq!(ward.send("stopped"), "AR");
    assert!(relais.terminate().success());
    drop(failing);
    let relais = ward.project.start();
    stands_ready(&relais);
    assert_eq!(ward.send("stopped"), "AA");
    each_arrived_once(&ward, &["first".into(), "stopped".into()]);
}

#[test]
fn a_full_disk_is_told_to_senders_and_goes_on_when_there_is_room() {
    let ward = Ward::new();
    // Without a floor, below which nothing is tried.
    let settings = format!("listen: 127.0.0.1:{}\nstore: {{ free: 0 }}\n", ward.project.port);
    ward.project.write("relais.yaml", settings);
    let (relais, disk) = SmallDisk::start(&ward.project, "data", "size=8m");
    assert_eq!(ward.send("first"), "AA");
    disk.fill();
    let (mut sent, mut refused) = (vec!["first".to_owned()], Vec::new());
    for number in 0..200 {
        let id = format!("F{number}");
        let code = ward.send_bytes(&id, &large(&id));
        sent.push(id.clone());
        if code != "AA" {
            assert_eq!(code, "AR", "neither taken nor to be sent again");
            refused.push(id);
        }
        if refused.len() == 3 {
            break;
        }
        // The store may have made room for itself.
        disk.fill();
    }
    assert_eq!(refused.len(), 3, "a full disk took everything");
    wait_until("the probe says that the disk is full", || {
        disk.fill();
        ward.send_bytes(&refused[0], &large(&refused[0]));
        says_unready(&relais, "no space is left")
    });
    disk.free();
    stands_ready(&relais);
    for id in refused {
        wait_until("it is taken at last", || ward.send_bytes(&id, &large(&id)) == "AA");
    }
    wait_until("everything has arrived", || sent.iter().all(|id| ward.arrived(id) > 0));
    wait_until("nothing waits", || {
        relais.metric("relais_queue_depth{channel=\"ward\",destination=\"record\"}") == Some(0.0)
    });
    let repeated: Vec<&String> = sent.iter().filter(|id| ward.arrived(id) != 1).collect();
    assert!(repeated.is_empty(), "more effects than one: {repeated:?}");
}

/// A message that no page has room for.
fn large(id: &str) -> Vec<u8> {
    let mut large = message(id, "1");
    large.extend_from_slice(format!("NTE|1||{}\r", "x".repeat(100_000)).as_bytes());
    large
}

#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk_and_not_the_end() {
    let ward = Ward::new();
    let relais = ward.start();
    limit_files(&relais, "65536");
    // Between two of them the store sees that it can write little things, and says so.
    wait_until("the probe says that the disk fails", || {
        let codes = ["L1", "L2"].map(|id| ward.send_bytes(id, &large(id)));
        assert_eq!(codes, ["AR", "AR"]);
        says_unready(&relais, "the disk failed")
    });
    limit_files(&relais, "unlimited");
    stands_ready(&relais);
    for id in ["L1", "L2"] {
        wait_until("it is taken at last", || ward.send_bytes(id, &large(id)) == "AA");
    }
    each_arrived_once(&ward, &["first".into(), "L1".into(), "L2".into()]);
}

/// Sets how long a file of the server may become, and leaves what it may be set to.
fn limit_files(relais: &Relais, size: &str) {
    let limit = Command::new("prlimit")
        .args(["--pid", &relais.process().to_string(), &format!("--fsize={size}:")])
        .status()
        .expect("prlimit can be run");
    assert!(limit.success(), "the limit cannot be set");
}
