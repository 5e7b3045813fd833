//! Somebody looks for words at the console's *Find*: rows come as they are found, and nothing moves under cursor or keyboard.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use serde_json::{Value, json};
use tests::{Browser, Project, Relais, Sender, free_port, message};

const PASSWORD: &str = "a long and quiet evening";

/// More than a page.
const MESSAGES: usize = 60;

fn filled(project: &Project) -> Relais {
    let port = free_port();
    project.channel(
        "lab",
        &format!(
            "name: lab\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\nreply: delivered\ndestinations:\n  - name: archive\n    \
             to:\n      file: {{ dir: out }}\n"
        ),
    );
    let relais = project.start();
    let mut sender = Sender::connect(port).unwrap();
    for number in 0..MESSAGES {
        sender.send(&message(&format!("F{number}"), "4711")).unwrap();
    }
    relais
}

fn signed_in(project: &Project, options: &Value) -> Browser {
    let mut browser = Browser::start(project.port);
    browser.anew(options);
    browser.open(&project.link("admin"));
    browser.fill("[name=password]", PASSWORD);
    browser.fill("[name=again]", PASSWORD);
    browser.press(&["Enter"]);
    browser.see("#top nav", "");
    browser
}

/// Where the row that is looked at stands in the window.
fn place(browser: &mut Browser) -> Value {
    browser.run("document.querySelector('.found li:nth-child(45)').getBoundingClientRect().top")
}

#[test]
fn words_that_are_nobodys_key_are_looked_for_in_contents_and_nothing_moves_meanwhile() {
    let project = Project::new();
    let relais = filled(&project);
    let mut browser = signed_in(&project, &json!({}));
    browser.open("#/find");
    browser.see(".foot", "50 messages shown");
    browser.fill("#search", "F5*");
    browser.see(".foot", "11 messages shown");
    browser.see(".found li:last-child", "sent");
    browser.shot_for_guide("find");
    browser.fill("#search", "Example^Anna");
    // What is only typed is nobody's look into contents.
    browser.see(".foot", "Nothing fits.");
    browser.see("[data-key=look]", "Look into what messages hold");
    browser.is_open_to_all();
    browser.press(&["Enter"]);
    browser.see(".found li:nth-child(50)", "in what came");
    browser.see(".found li:first-child a", &format!("F{}", MESSAGES - 1));
    browser.see(".far", "“Example^Anna” was looked for in what 50 messages hold, back to");
    browser.see(".foot", "50 messages shown");
    assert_eq!(browser.run("location.hash"), "#/find", "what patients are found by is not in the address");
    browser.is_open_to_all();
    browser.shot_for_guide("find-words");

    browser.run("document.querySelector('.found li:nth-child(45)').scrollIntoView({ block: 'center' })");
    browser.run("document.querySelector('.more').focus({ preventScroll: true })");
    let before = place(&mut browser);
    browser.press(&["Enter"]);
    browser.see(".found li:nth-child(60)", "F0");
    browser.see(".far", "“Example^Anna” was looked for in all 60 messages that the filters fit");
    assert_eq!(place(&mut browser), before, "the rows stay where they are");
    assert_eq!(browser.count(".found li"), MESSAGES as u64);
    assert_eq!(browser.count(".more"), 0);

    browser.fill("#search", "zygomatic");
    browser.press(&["Enter"]);
    browser.see(".far", "“zygomatic” was looked for in all 60 messages");
    browser.see(".foot", "Nothing fits.");
    browser.choose(".filters label:nth-of-type(3) select", "1h");
    browser.see(".far", "“zygomatic” was looked for in all 60 messages");
    browser.fill("#search", "F59");
    browser.see(".foot", "1 message shown");
    assert_eq!(browser.text(".far"), "", "a key is found without a look");
    browser.click("[data-key=look]");
    browser.see(".far", "“F59” was looked for in all 60 messages");
    browser.see(".found li", "in what came");
    browser.open("#/system/audit");
    browser.see(".audit", "searched in what messages hold");
    let log = relais.owner().get("/api/v1/audit?limit=1000").body.to_lowercase();
    assert!(
        log.contains("search in contents") && !log.contains("zygomatic") && !log.contains("anna"),
        "{log}"
    );
    assert_eq!(browser.complaints(), json!([]));
}

#[test]
fn a_look_is_stopped_and_goes_on_by_keyboard_in_french_on_a_telephone() {
    let project = Project::new();
    let _relais = filled(&project);
    let mut browser =
        signed_in(&project, &json!({ "locale": "fr-FR", "scheme": "dark", "width": 390, "height": 844 }));
    browser.open("#/find");
    browser.see(".foot", "50 messages montrés");
    // An answer that says how far it is, and does not end before it is told to.
    browser.run(SLOW);
    browser.fill("#search", "anna");
    browser.press(&["Enter"]);
    browser.see(".far", "Recherche de « anna » dans le contenu des messages…");
    browser.see(".far", "7 parcourus, en remontant au");
    browser.is_open_to_all();
    browser.reach(".far button");
    browser.press(&["Enter"]);
    browser.see(".far", "« anna » a été cherché dans le contenu de 7 messages");
    browser.see(".foot", "Arrêtée ; 0 message montré");
    assert_eq!(browser.run("document.activeElement.className"), "more", "the keyboard is where it goes on");
    assert_eq!(browser.run("window.aborted"), true, "the server is told");
    browser.run("window.fetch = window.whole, null");
    browser.press(&["Enter"]);
    browser.see(".found li:nth-child(6)", "dans ce qui est arrivé");
    browser.see(".found li:first-child a", "F6");
    browser.see(".far", "« anna » a été cherché dans les 14 messages qui correspondent aux filtres");
    browser.is_open_to_all();
    assert_eq!(browser.complaints(), json!([]));
}

/// In place of the answer to a look.
const SLOW: &str = "window.whole = window.fetch; window.fetch = (where, how) => { \
    if (!String(where).includes('text=anna')) return window.whole(where, how); \
    const told = { messages: [], looked: { messages: 7, forgotten: 0, unread: 0, until: '2026-03-01T08:00:00Z' }, is_end: false, before: 8 }; \
    return Promise.resolve(new Response(new ReadableStream({ start(to) { \
      to.enqueue(new TextEncoder().encode(`event: found\\ndata: ${JSON.stringify(told)}\\n\\n`)); \
      how.signal.addEventListener('abort', () => { window.aborted = true; to.error(how.signal.reason); }); \
    } }), { headers: { 'content-type': 'text/event-stream' } })); }, null";
