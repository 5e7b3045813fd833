//! A real browser, Chromium without a window, which does what a person would do at the console.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::node;

/// Where Debian's package and others put it.
const PLACES: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// A browser on one address; ended with the test.
pub struct Browser {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl Browser {
    /// Starts it for the server at this port of this machine.
    pub fn start(port: u16) -> Self {
        let chromium = PLACES.iter().map(Path::new).find(|path| path.exists());
        let chromium = chromium.expect("chromium is missing: `apt-get install chromium`, or tests/run");
        let mut command = node("browser.mjs");
        let mut child = command
            .arg(chromium)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node can be started");
        let mut answers = BufReader::new(child.stdout.take().expect("what it says is read"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("the browser says that it is there");
        assert_eq!(line, "ready\n", "the browser did not start; `tests/run` installs what it needs");
        let asks = child.stdin.take();
        Self { child, asks, answers, address: format!("http://127.0.0.1:{port}/") }
    }

    /// Begins as somebody else: `locale`, `scheme` (light, dark), `width`, `height`.
    #[track_caller]
    pub fn anew(&mut self, options: &Value) {
        self.ask(&json!({ "do": "anew", "options": options }));
    }

    /// Asks the server at another port from now on.
    pub fn turn_to(&mut self, port: u16) {
        self.address = format!("http://127.0.0.1:{port}/");
    }

    /// Goes to a place of the console: `#/channels`.
    #[track_caller]
    pub fn open(&mut self, place: &str) {
        let url = format!("{}{place}", self.address);
        self.ask(&json!({ "do": "open", "url": url }));
    }

    #[track_caller]
    pub fn click(&mut self, on: &str) {
        self.ask(&json!({ "do": "click", "on": on }));
    }

    /// Follows a link to a file; its name, and what it holds.
    #[track_caller]
    pub fn download(&mut self, on: &str) -> (String, String) {
        let file = self.ask(&json!({ "do": "download", "on": on }));
        let text = |name: &str| file[name].as_str().unwrap_or_default().to_owned();
        (text("name"), text("text"))
    }

    #[track_caller]
    pub fn fill(&mut self, on: &str, text: &str) {
        self.ask(&json!({ "do": "fill", "on": on, "text": text }));
    }

    #[track_caller]
    pub fn choose(&mut self, on: &str, value: &str) {
        self.ask(&json!({ "do": "choose", "on": on, "value": value }));
    }

    #[track_caller]
    pub fn press(&mut self, keys: &[&str]) {
        for key in keys {
            self.ask(&json!({ "do": "press", "key": key }));
        }
    }

    /// Goes from field to field by the keyboard until this one has it.
    #[track_caller]
    pub fn reach(&mut self, on: &str) {
        self.ask(&json!({ "do": "reach", "on": on }));
    }

    #[track_caller]
    pub fn type_in(&mut self, text: &str) {
        self.ask(&json!({ "do": "type", "text": text }));
    }

    /// Waits until such an element with these words is to be seen.
    #[track_caller]
    pub fn see(&mut self, on: &str, words: &str) {
        self.ask(&json!({ "do": "see", "on": on, "words": words }));
    }

    /// Waits until none is.
    #[track_caller]
    pub fn see_no(&mut self, on: &str, words: &str) {
        self.ask(&json!({ "do": "gone", "on": on, "words": words }));
    }

    #[track_caller]
    pub fn text(&mut self, on: &str) -> String {
        self.ask(&json!({ "do": "text", "on": on })).as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn count(&mut self, on: &str) -> u64 {
        self.ask(&json!({ "do": "count", "on": on })).as_u64().unwrap_or(0)
    }

    /// What a script in the page comes to.
    #[track_caller]
    pub fn run(&mut self, code: &str) -> Value {
        self.ask(&json!({ "do": "run", "code": code }))
    }

    /// The same, of a script that may wait for so long.
    #[track_caller]
    pub fn run_within(&mut self, code: &str, within: Duration) -> Value {
        self.ask(&json!({ "do": "run", "code": code, "within": within.as_millis() as u64 }))
    }

    /// A picture of what is to be seen, in the folder of the test's pictures.
    #[track_caller]
    pub fn shot(&mut self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/console");
        std::fs::create_dir_all(&folder).expect("a folder for pictures can be made");
        let to = folder.join(format!("{name}.png"));
        self.ask(&json!({ "do": "shot", "to": to }));
        to
    }

    /// The same for the guide, where `SCREENSHOTS` asks for it.
    #[track_caller]
    pub fn shot_for_guide(&mut self, name: &str) {
        let taken = self.shot(name);
        if std::env::var_os("SCREENSHOTS").is_some() {
            let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/console");
            std::fs::copy(&taken, guide.join(format!("{name}.png"))).expect("a picture can be copied");
        }
    }

    /// Fails where the page breaks a rule of accessibility, or is wider than its window.
    #[track_caller]
    pub fn is_open_to_all(&mut self) {
        let flaws = self.ask(&json!({ "do": "flaws" }));
        let place = self.run("location.hash");
        assert_eq!(flaws, json!([]), "at {place}");
    }

    /// What the page complained of itself.
    #[track_caller]
    pub fn complaints(&mut self) -> Value {
        self.ask(&json!({ "do": "wrong" }))
    }

    #[track_caller]
    fn ask(&mut self, what: &Value) -> Value {
        let asks = self.asks.as_mut().expect("it is open until it is dropped");
        writeln!(asks, "{what}").expect("the browser listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the browser answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        match answer.get("done") {
            Some(done) => done.clone(),
            None => panic!("{what}: {}", answer["failed"].as_str().unwrap_or("the browser went away")),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It closes when nobody asks any more.
        self.asks.take();
        let _ = self.child.wait();
    }
}
