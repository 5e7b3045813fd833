//! The console in a real browser on the real server: what a viewer must not see, what others write, and a telephone in the dark.

use serde_json::json;
use tests::{Behaviour, Browser, Project, Receiver, Relais, Sender, free_port, laboratory, results};

const PASSWORD: &str = "a long and quiet evening";

/// Signs in by a link that works once.
fn welcome(browser: &mut Browser, link: &str) {
    browser.open(link);
    browser.fill("[name=password]", PASSWORD);
    browser.fill("[name=again]", PASSWORD);
    browser.click("button[type=submit]");
    browser.see("#top nav", "");
}

#[test]
fn a_viewer_sees_states_and_nothing_that_a_message_holds() {
    let (project, record) = (Project::new(), Receiver::start(Behaviour::Code("AA")));
    let port = laboratory(&project, record.port);
    let relais = project.start();
    results(port, ["SEEN1".to_owned()]);
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({}));
    welcome(&mut browser, &project.link("admin"));
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
    browser.see("[data-destination=record] .rate", "1 within 1 h");
    browser.see(".subject .version", "version ");
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
    welcome(&mut browser, &project.link("admin"));
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

/// What every object of JavaScript has a property of.
const INHERITED: [&str; 4] = ["constructor", "__proto__", "toString", "hasOwnProperty"];

#[test]
fn an_address_that_names_no_place_shows_one_all_the_same() {
    let project = Project::new();
    laboratory(&project, free_port());
    let _relais = project.start();
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({}));
    welcome(&mut browser, &project.link("admin"));
    for name in INHERITED {
        for (place, on, words) in [
            (format!("#/{name}"), ".headline", "Nothing needs you"),
            (format!("#/{name}/{name}?{name}=1"), ".headline", "Nothing needs you"),
            (format!("#/channels/lab/{name}"), "[role=tab][aria-selected=true]", "Traffic"),
            (format!("#/channels/{name}"), "main", "there is no channel"),
            (format!("#/messages/{name}"), "main", "no message"),
            (format!("#/system/{name}"), "[role=tab][aria-selected=true]", "Server"),
            (format!("#/find?{name}=1"), ".filters", ""),
        ] {
            browser.open("#/channels");
            browser.see("[data-row=lab]", "");
            browser.open(&place);
            browser.see(on, words);
        }
    }
    browser.see_no("#banner p", "");
    // That there is no such message is an answer, and no fault of the page.
    let complaints = browser.complaints();
    let of_page = complaints.as_array().unwrap().iter().filter(|said| !said.to_string().contains("404"));
    assert_eq!(of_page.count(), 0, "{complaints}");
}

#[test]
fn the_keyboard_alone_is_enough_in_french_on_a_telephone_in_the_dark() {
    let (project, record) = (Project::new(), Receiver::start(Behaviour::Code("AA")));
    let port = laboratory(&project, record.port);
    let _relais: Relais = project.start();
    results(port, ["TEL1".to_owned()]);
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({ "locale": "fr-FR", "scheme": "dark", "width": 390, "height": 844 }));
    browser.open(&project.link("admin"));
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
