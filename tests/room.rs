//! Room on the disk: new messages are refused before it ends, what was taken goes on, and it ends by itself.

use std::fs::File;

use tests::{
    Behaviour, Project, Receiver, Relais, Sender, SmallDisk, free_port, message, mshfield, wait_until,
};

/// A channel that hands on to a peer, over a store with these settings.
fn project(store: &str, listen: u16, record: u16) -> Project {
    let project = Project::new();
    project.write("relais.yaml", format!("listen: 127.0.0.1:{}\nstore: {store}\n", project.port));
    project.channel(
        "ward",
        &format!(
            "name: ward\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\n\
             destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{record}\" }}\n\
             \x20   retry: {{ first: 50ms, longest: 200ms }}\n"
        ),
    );
    project
}

/// The code of the answer to one message, on a connection of its own.
fn send(listen: u16, id: &str) -> String {
    let mut sender = Sender::connect(listen).expect("the channel listens whatever room there is");
    let answer = sender.send(&message(id, "1")).expect("every message is answered");
    assert_eq!(mshfield(&answer, "MSA", 2), id);
    mshfield(&answer, "MSA", 1)
}

fn is_ready(relais: &Relais) -> Result<(), String> {
    let (live, _) = relais.get("/health/live").expect("the probe answers");
    assert_eq!(live, 200, "a server that waits for room is not to be killed");
    match relais.get("/health/ready").expect("the probe answers") {
        (200, _) => Ok(()),
        (503, words) => Err(words),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses_for(relais: &Relais, listen: u16, why: &str) {
    wait_until("the probe says that there is no room", || {
        is_ready(relais).is_err_and(|words| words.contains("too little room") && words.contains(why))
    });
    for number in 0..3 {
        assert_eq!(send(listen, &format!("N{number}")), "AR", "neither taken nor to be sent again");
    }
}

#[test]
fn below_the_floor_senders_keep_their_messages_and_what_was_taken_goes_its_way() {
    let (listen, record) = (free_port(), free_port());
    let project = project("{ free: 20MB }", listen, record);
    let (relais, disk) = SmallDisk::start(&project, "data", "size=64m");
    let taken: Vec<String> = (0..20).map(|number| format!("T{number}")).collect();
    for id in &taken {
        assert_eq!(send(listen, id), "AA");
    }
    disk.take(45_000_000);
    refuses_for(&relais, listen, "are free on the disk, less than 20.0 MB");
    let free = relais.metric("relais_store_free_bytes").expect("free room is counted");
    assert!(free > 0.0 && free < 20e6, "{free}");

    // The receiver is there at last: what was taken is delivered and settled while the room is not there.
    let receiver = Receiver::listen(record, Behaviour::Code("AA"));
    wait_until("what was taken has arrived", || receiver.count() == taken.len());
    let depth = "relais_queue_depth{channel=\"ward\",destination=\"record\"}";
    wait_until("nothing waits", || relais.metric(depth) == Some(0.0));
    assert!(is_ready(&relais).is_err());

    disk.free();
    wait_until("the server is ready by itself", || is_ready(&relais).is_ok());
    for number in 0..3 {
        assert_eq!(send(listen, &format!("N{number}")), "AA");
    }
    wait_until("all has arrived", || receiver.count() == taken.len() + 3);
    let ids: Vec<String> = receiver.received().iter().map(|message| mshfield(message, "MSH", 10)).collect();
    assert_eq!(ids, [taken, ["N0", "N1", "N2"].map(str::to_owned).to_vec()].concat());
}

#[test]
fn a_store_that_takes_its_whole_budget_takes_no_more_until_it_is_shorter() {
    let receiver = Receiver::start(Behaviour::Code("AA"));
    let listen = free_port();
    let project = project("{ budget: 100MB }", listen, receiver.port);
    let relais = project.start();
    assert_eq!(send(listen, "first"), "AA");
    // As long as the store would be; it takes no room.
    let long = project.path("data/spans/long");
    File::create(&long).and_then(|file| file.set_len(100_000_000)).expect("a file can be made long");
    refuses_for(&relais, listen, "the store takes");
    assert_eq!(relais.metric("relais_store_budget_bytes"), Some(100e6));
    let status = project.relais(&["status"]).stdout;
    let status = String::from_utf8_lossy(&status);
    assert!(status.contains("no new messages are taken: too little room"), "{status}");
    // Below the budget, and not yet so far below that it would be above it again at once.
    let file = File::options().write(true).open(&long).expect("it is there");
    file.set_len(89_000_000).expect("a file can be made shorter");
    wait_until("the store has been measured again", || {
        is_ready(&relais).is_err_and(|words| words.contains("more than 90.0 MB"))
    });
    assert_eq!(send(listen, "again"), "AR");
    file.set_len(0).expect("a file can be made shorter");
    wait_until("the server is ready by itself", || is_ready(&relais).is_ok());
    assert_eq!(send(listen, "again"), "AA");
    wait_until("both have arrived", || receiver.count() == 2);
}
