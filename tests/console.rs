//! The console in a real browser on the real server: what a viewer must not see, what others write, and a telephone in the dark.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use serde_json::json;
use tests::{Behaviour, Browser, Project, Receiver, Relais, Sender, free_port, message};

const PASSWORD: &str = "a long and quiet evening";

/// Results to a record that may be away, and to files.
fn lab(project: &Project, record: u16) -> u16 {
    let port = free_port();
    project.channel(
        "lab",
        &format!(
            "name: lab\ndescription: Results from the analysers to the record\ntags: [laboratory]\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\n\
             steps:\n  - filter: msg[\"MSH-9.1\"] == \"ORU\"\n  - require: [PID-3.1, OBR-4]\n  - set: {{ PID-3.4: HOSPITAL }}\n\
             destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{record}\" }}\n    retry: {{ first: 200ms, longest: 500ms }}\n  \
             - name: archive\n    to:\n      file: {{ dir: out, name: '${{msg[\"MSH-10\"]}}.hl7' }}\n\
             tests:\n  - name: a result goes to the record\n    message: messages/one.hl7\n    expect: {{ record: {{ paths: {{ PID-3.4: HOSPITAL }} }} }}\n"
        ),
    );
    project.write("messages/one.hl7", message("T1", "4711"));
    port
}

/// A link by which the administrator chooses a password.
fn link(project: &Project, name: &str) -> String {
    let said = project.relais(&["account", "link", name]);
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    let at = words
        .find("#/welcome/")
        .unwrap_or_else(|| panic!("{words}{}", String::from_utf8_lossy(&said.stderr)));
    words[at..].split_whitespace().next().unwrap().to_owned()
}

/// Signs in by a link that works once.
fn welcome(browser: &mut Browser, link: &str) {
    browser.open(link);
    browser.fill("[name=password]", PASSWORD);
    browser.fill("[name=again]", PASSWORD);
    browser.click("button[type=submit]");
    browser.see("#top nav", "");
}

fn send(port: u16, ids: impl IntoIterator<Item = String>) {
    let mut sender = Sender::connect(port).unwrap();
    for id in ids {
        let answer = sender.send(&message(&id, "4711")).unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("MSA|AA"), "{id}");
    }
}

#[test]
fn a_viewer_sees_states_and_nothing_that_a_message_holds() {
    let (project, record) = (Project::new(), Receiver::start(Behaviour::Code("AA")));
    let port = lab(&project, record.port);
    let relais = project.start();
    send(port, ["SEEN1".to_owned()]);
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({}));
    welcome(&mut browser, &link(&project, "admin"));
    browser.open("#/system/accounts");
    browser.click("button:has-text('Make an account')");
    browser.fill("dialog [name=name]", "paul");
    browser.choose("dialog [name=role]", "viewer");
    browser.click("dialog button[type=submit]");
    browser.see("dialog .secret", "#/welcome/");
    let shown = browser.text("dialog .secret");
    let link = shown[shown.find("#/").unwrap()..].trim().to_owned();

    browser.anew(&json!({}));
    welcome(&mut browser, &link);
    browser.open("#/channels/lab");
    browser.see("[data-destination=record]", "idle");
    assert_eq!(browser.count("main button"), 0, "a viewer does nothing");
    browser.open("#/find");
    browser.see(".found li", "sent");
    browser.see(".note", "needs the right to see content");
    browser.click(".found li a");
    browser.see(".content", "may not see what messages hold");
    browser.see(".trace", "sent");
    for path in ["messages/1/body", "accounts", "tokens"] {
        let status = browser.run(&format!("fetch('/api/v1/{path}').then((answer) => answer.status)"));
        assert_eq!(status, 403, "{path}");
    }
    let whole = browser.run("fetch('/api/v1/messages/1').then((answer) => answer.text())");
    assert!(!whole.as_str().unwrap().contains("EXAMPLE"), "{whole}");
    browser.open("#/system/audit");
    browser.see(".panel", "Your own lines");
    assert_eq!(browser.count(".audit tbody tr:has-text('admin')"), 0);
    browser.click("button:has-text('Sign out')");
    browser.see("h1", "Sign in");
    browser.fill("[name=name]", "paul");
    browser.fill("[name=password]", "something else again");
    browser.click("button[type=submit]");
    browser.see(".problem", "");
    drop(relais);
}

/// What a script of somebody else would do.
const HOSTILE: &str = "<img src=x onerror=\"window.taken=1\">";

#[test]
fn what_others_write_is_text_and_never_runs() {
    let (project, port) = (Project::new(), free_port());
    project.channel(
        "hostile",
        &format!(
            "name: hostile\ndescription: '{HOSTILE}'\ntags: ['{HOSTILE}']\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\nsteps:\n  - script: |\n      \
             if msg[\"PV1-2\"] != \"\" {{ refuse(`{HOSTILE}`) }} else {{ throw `{HOSTILE}` }}\ndestinations: []\n"
        ),
    );
    let _relais = project.start();
    let mut sender = Sender::connect(port).unwrap();
    for more in ["", "PV1|1|I\r"] {
        let id = HOSTILE.replace('|', "");
        let text = format!(
            "MSH|^~\\&|{HOSTILE}|LAB|RECORD|WARD|20260301080000||ORU^R01|{id}|P|2.5\rPID|1||1^^^LAB||{HOSTILE}\r{more}"
        );
        sender.send(text.as_bytes()).unwrap();
    }
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({ "policy": true }));
    welcome(&mut browser, &link(&project, "admin"));
    for place in [
        "#/now",
        "#/channels",
        "#/channels/hostile",
        "#/channels/hostile/file",
        "#/find",
        "#/system",
        "#/messages/1",
        "#/messages/2",
    ] {
        browser.open(place);
        browser.see("h1", "");
        if place.starts_with("#/messages") {
            browser.see(".subject", HOSTILE);
            browser.click("[data-key=reveal]");
            browser.see(".tree", HOSTILE);
        }
        if place == "#/channels" {
            browser.see(".channels", HOSTILE);
        }
        assert_eq!(browser.count("main img"), 0, "{place}");
    }
    assert_eq!(browser.run("window.taken ?? 0"), 0);
    // The policy of the page had nothing to refuse either.
    assert_eq!(browser.complaints(), json!([]));
    let inline = "const tag = document.createElement('script'); tag.textContent = 'window.taken = 2'; document.body.append(tag); window.taken ?? 0";
    assert_eq!(browser.run(inline), 0, "the policy refuses what stands in the page");
}

#[test]
fn the_keyboard_alone_is_enough_in_french_on_a_telephone_in_the_dark() {
    let (project, record) = (Project::new(), Receiver::start(Behaviour::Code("AA")));
    let port = lab(&project, record.port);
    let _relais: Relais = project.start();
    send(port, ["TEL1".to_owned()]);
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({ "locale": "fr-FR", "scheme": "dark", "width": 390, "height": 844 }));
    browser.open(&link(&project, "admin"));
    browser.see("h1", "Choisir un mot de passe");
    browser.is_open_to_all();
    browser.type_in(PASSWORD);
    browser.press(&["Tab"]);
    browser.type_in(PASSWORD);
    browser.press(&["Enter"]);
    browser.see(".headline", "Rien ne demande votre aide");
    browser.is_open_to_all();
    browser.press(&["?"]);
    browser.see("dialog", "ligne suivante");
    browser.is_open_to_all();
    browser.press(&["Escape", "g", "c"]);
    browser.see("[data-row=lab]", "en marche");
    browser.is_open_to_all();
    browser.press(&["j", "Enter"]);
    browser.see("h1", "lab");
    browser.see("[data-destination=record]", "au repos");
    browser.is_open_to_all();
    browser.shot("telephone");
    browser.run("document.querySelector('[data-key=pause]').focus()");
    browser.press(&["Enter"]);
    browser.see("dialog .lines", "ne prend plus de messages");
    browser.is_open_to_all();
    browser.press(&["Enter"]);
    browser.see(".subject .mark", "suspendu");
    browser.press(&["g", "f"]);
    browser.see("#search", "");
    browser.type_in("TEL1");
    browser.see(".found li", "TEL1");
    browser.press(&["Escape", "j"]);
    let focused = browser.run("document.activeElement.closest('[data-row]') !== null");
    assert_eq!(focused, true, "a row has the keyboard");
    browser.press(&["k"]);
    browser.run("document.querySelector('.found a').focus()");
    browser.press(&["Enter"]);
    browser.see(".trace", "envoyé");
    browser.is_open_to_all();
    browser.press(&["Escape"]);
    browser.see(".found", "TEL1");
    let skip =
        "document.getElementById('skip').focus(); getComputedStyle(document.getElementById('skip')).top";
    browser.run(skip);
    browser.press(&["Enter"]);
    browser.run("document.querySelector('.tongue').focus()");
    browser.press(&["Enter"]);
    browser.see("#top nav", "Channels");
    browser.open("#/now");
    browser.see(".headline", "Nothing needs you");
    assert_eq!(browser.run("document.documentElement.lang"), "en", "the language is kept");
}
