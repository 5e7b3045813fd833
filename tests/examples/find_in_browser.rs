//! How long a person waits at the console's *Find*, from Enter to the first row on the page, with many messages kept.
//!
//! `cargo build --release --workspace --bins --example find_in_browser`, then `target/release/examples/find_in_browser DIR 10000000`, on a
//! machine that does nothing else. It makes a project in DIR and fills it up to so many messages; another time it takes what is there. It prints when
//! the first row was drawn and when the page of rows was whole: by keys, and by words that contents alone hold.

#![expect(clippy::unwrap_used, reason = "a measurement says what is wrong by stopping there")]

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{Asker, Browser, Sender, binary, comes_true, free_port, message, wait_until};

const USUAL_COUNT: u64 = 200_000;
const SENDERS: u64 = 16;
/// So many are on their way on one connection.
const TOGETHER: u64 = 64;
/// Each patient has as many messages as there are patients among so many.
const PATIENTS: u64 = 100_000;
/// So often each search is made, each time for another thing.
const SEARCHES: u64 = 20;

/// A server on a folder that stays.
struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
    inlet: u16,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let (port, inlet) = (free_port(), free_port());
        fs::create_dir_all(folder.join("channels")).unwrap();
        fs::write(
            folder.join("relais.yaml"),
            format!("listen: 127.0.0.1:{port}\nreload: on_command\nlog: {{ level: error }}\n"),
        )
        .unwrap();
        let channel = format!(
            "name: measured\nreply: stored\nsource:\n  mllp: {{ listen: \"127.0.0.1:{inlet}\" }}\ndestinations: []\n"
        );
        fs::write(folder.join("channels/measured.yaml"), channel).unwrap();
        let child = Command::new(binary())
            .args(["run", "."])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let server = Self { child, folder: folder.to_owned(), port, inlet };
        // A large store is read back first.
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let is_there = || listens() && Asker::nobody(port).get("/health/live").status == 200;
        assert!(comes_true(Duration::from_mins(10), is_there), "the server does not begin");
        server
    }

    /// The number of the newest message.
    fn newest(&self) -> u64 {
        let key = fs::read_to_string(self.folder.join("data/key")).unwrap();
        let found = Asker::bearing(self.port, key.trim()).get("/api/v1/messages?limit=1").json();
        found[0]["id"].as_u64().unwrap_or(0)
    }

    /// A link by which the administrator signs in.
    fn link(&self) -> String {
        let said = Command::new(binary())
            .args(["account", "link", "admin"])
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        let at = words.find("#/welcome/").unwrap_or_else(|| panic!("{words}"));
        words[at..].split_whitespace().next().unwrap().to_owned()
    }

    /// Sends what is missing up to so many.
    fn fill(&self, count: u64) {
        let first = self.newest();
        let (began, inlet) = (Instant::now(), self.inlet);
        let senders = (0..SENDERS).map(|place| {
            thread::spawn(move || {
                let mut sender = Sender::connect(inlet).unwrap();
                let numbers: Vec<u64> = (first + 1 + place..=count).step_by(SENDERS as usize).collect();
                for some in numbers.chunks(TOGETHER as usize) {
                    let frames = some
                        .iter()
                        .flat_map(|number| tests::frame(&message(&id(*number), &patient(*number))));
                    sender.write(&frames.collect::<Vec<u8>>()).unwrap();
                    for _ in some {
                        let answer = sender.answer().unwrap();
                        assert!(String::from_utf8_lossy(&answer).contains("MSA|AA"));
                    }
                }
            })
        });
        senders.collect::<Vec<_>>().into_iter().for_each(|sender| sender.join().unwrap());
        let sent = count.saturating_sub(first);
        println!("{sent} messages sent in {:.0} s", began.elapsed().as_secs_f64());
        wait_until("all are filed", || self.newest() >= count);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if asked.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn id(number: u64) -> String {
    format!("ID{number:09}")
}

fn patient(number: u64) -> String {
    // In no order, so that a patient's messages lie all over the store.
    format!("{:06}", number * 7919 % PATIENTS)
}

/// When Enter was pressed, when a row was on the page after that, and when the page of rows was whole, by the browser's clock. The list is
/// empty when it is pressed, and the foot has no status until the answer has ended.
const WATCH: &str = "(() => { let began = null; let row = null; \
    addEventListener('keydown', (event) => { if (event.key === 'Enter') { began = event.timeStamp; row = null; window.took = null; } }, true); \
    const drawn = (act) => requestAnimationFrame(() => setTimeout(() => act(performance.now()))); \
    new MutationObserver(() => { if (began === null) return; const from = began; \
      if (row === null && document.querySelector('.found li')) { row = 0; drawn((now) => { row = now - from; }); } \
      if (document.querySelector('.found li') && document.querySelector('.foot [role=status]')) { \
        began = null; drawn((now) => { window.took = { row: row || now - from, page: now - from }; }); } \
    }).observe(document.getElementById('content'), { childList: true, subtree: true }); })()";

/// As soon as the page is whole.
const TOOK: &str = "new Promise((told) => { const look = () => window.took ? told(window.took) : setTimeout(look, 5); look(); })";

/// A search through all that is kept may take so long.
const PATIENT: Duration = Duration::from_mins(20);

/// An empty list, with the words in the box.
fn ready(browser: &mut Browser, words: &str) {
    browser.open("#/now");
    browser.see("h1", "");
    browser.open("#/find");
    browser.see(".foot [role=status]", "");
    browser.run("document.querySelector('.found').replaceChildren()");
    browser.run("document.querySelector('.foot').replaceChildren()");
    browser.fill("#search", words);
}

/// One search after another, each beginning at an empty page; the median and the longest.
fn search(browser: &mut Browser, what: &str, wanted: impl Fn(u64) -> (String, String)) {
    let (mut rows, mut pages) = (Vec::new(), Vec::new());
    for turn in 0..SEARCHES {
        let (words, shown) = wanted(turn);
        ready(browser, &words);
        browser.press(&["Enter"]);
        let took = browser.run_within(TOOK, PATIENT);
        browser.see(".found li a", &shown);
        rows.push(took["row"].as_f64().unwrap());
        pages.push(took["page"].as_f64().unwrap());
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (row, page) = (median(&mut rows), median(&mut pages));
    println!(
        "{what}: {row:.0} ms to the first row, {:.0} at most; {page:.0} ms to the whole page, {:.0} at most",
        rows[rows.len() - 1],
        pages[pages.len() - 1]
    );
}

/// How soon the one message is found whose content holds this; then the look is stopped.
fn first_row(browser: &mut Browser, what: &str, (words, shown): (String, String)) {
    ready(browser, &words);
    let began = Instant::now();
    browser.press(&["Enter"]);
    browser.run_within(ROW, PATIENT);
    println!("{what}: {} ms to its row", began.elapsed().as_millis());
    browser.see(".found li a", &shown);
    browser.run("document.querySelector('.far button')?.click(), null");
}

/// As soon as there is a row.
const ROW: &str = "new Promise((told) => { const look = () => document.querySelector('.found li') ? told(null) : setTimeout(look, 5); look(); })";

/// When a look first says how far it is, how far it came within twenty seconds, and when that was said.
const FAR: &str = "new Promise((told) => { const began = performance.now(); const far = { said: null, messages: 0, at: 0 }; \
    const look = () => { const now = performance.now() - began; const line = document.querySelector('.how-far'); \
      const messages = Number(line?.textContent.split(' looked')[0].replaceAll(',', '') || 0); \
      if (messages) { far.said ??= now; far.messages = messages; far.at = now; } \
      if (now > 20000 || (far.said && !line)) told(far); else setTimeout(look, 20); }; look(); })";

/// How soon a look for a word that is nowhere says how far it is, and how far it comes.
fn nowhere(browser: &mut Browser) {
    ready(browser, "zygomatic");
    browser.press(&["Enter"]);
    let far = browser.run_within(FAR, PATIENT);
    let number = |name: &str| far[name].as_f64().unwrap_or(0.0);
    println!(
        "a word that is nowhere: {:.0} ms until it says how far it is; {:.0} messages/s",
        number("said"),
        number("messages") / number("at") * 1000.0
    );
    browser.run("document.querySelector('.far button')?.click(), null");
    browser.see(".far", "was looked for in");
}

fn main() {
    let mut words = env::args().skip(1);
    let folder = PathBuf::from(words.next().expect("say the folder: DIR [COUNT]"));
    let count = words.next().map_or(USUAL_COUNT, |count| count.parse().expect("COUNT is a number"));
    let server = Server::start(&folder);
    server.fill(count);
    let kept = server.newest();
    let mut browser = Browser::start(server.port);
    browser.anew(&json!({}));
    browser.open(&server.link());
    browser.fill("[name=password]", "a long and quiet evening");
    browser.fill("[name=again]", "a long and quiet evening");
    browser.press(&["Enter"]);
    browser.see("#top nav", "");
    browser.run(WATCH);
    println!("{kept} messages kept; medians of {SEARCHES}:");
    let spread = |turn: u64| (kept - 1) * turn / (SEARCHES - 1) + 1;
    search(&mut browser, "control id", |turn| (id(spread(turn)), id(spread(turn))));
    search(&mut browser, "patient id", |turn| (patient(spread(turn)), "ID".to_owned()));
    search(&mut browser, "order number", |turn| (format!("O{}", id(spread(turn))), id(spread(turn))));
    search(&mut browser, "beginning of a control id, some 100 fit", |turn| {
        let begins = id(spread(turn)).chars().take(9).collect::<String>();
        (format!("{begins}*"), begins)
    });
    search(&mut browser, "beginning of a control id, all fit", |_| ("ID*".to_owned(), "ID".to_owned()));
    search(&mut browser, "no words, the newest", |_| (String::new(), "ID".to_owned()));
    search(&mut browser, "words that all hold", |_| ("example^anna".to_owned(), "ID".to_owned()));
    for behind in [1_000, 10_000, 100_000] {
        // The end of a control id is no key.
        let one = kept.saturating_sub(behind).max(1);
        let what = format!("words of one message with {} after it", kept - one);
        first_row(&mut browser, &what, (id(one)[1..].to_owned() + "|P|", id(one)));
    }
    nowhere(&mut browser);
}
