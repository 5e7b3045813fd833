//! One person, one night: signs in, sees a receiver go and come, gets the mail, finds a message, reads its way, sends it once more, finds
//! that look in the audit log, and lets in a viewer who sees nothing of it. In English with a mouse, in French with the keyboard alone.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    Behaviour, Browser, Project, Receiver, Receiving, Relais, comes_true, free_port, laboratory, python,
    results, wait_until,
};

const PASSWORD: &str = "a long and quiet evening";

/// Those that `docs/guide` shows; made by `SCREENSHOTS=1 cargo test --workspace --test console_way`.
const IN_GUIDE: [&str; 5] = ["now", "channel", "resend", "way", "message"];

/// Whoever sits there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Person {
    /// English, with a mouse.
    Ann,
    /// French, with the keyboard alone.
    Zoe,
}

/// A person at a browser.
struct Seat {
    person: Person,
    browser: Browser,
}

impl Seat {
    /// The words of this person's language.
    fn say(&self, english: &'static str, french: &'static str) -> &'static str {
        if self.person == Person::Ann { english } else { french }
    }

    #[track_caller]
    fn see(&mut self, on: &str, english: &'static str, french: &'static str) {
        let words = self.say(english, french);
        self.browser.see(on, words);
    }

    #[track_caller]
    fn act(&mut self, on: &str) {
        match self.person {
            Person::Ann => self.browser.click(on),
            Person::Zoe => {
                self.browser.see(on, "");
                self.browser.reach(on);
                self.browser.press(&["Enter"]);
            }
        }
    }

    /// The button with these words.
    #[track_caller]
    fn button(&mut self, english: &'static str, french: &'static str) {
        let words = self.say(english, french);
        self.act(&format!("button:has-text('{words}')"));
    }

    #[track_caller]
    fn write(&mut self, on: &str, text: &str) {
        match self.person {
            Person::Ann => self.browser.fill(on, text),
            Person::Zoe => {
                self.browser.see(on, "");
                self.browser.reach(on);
                self.browser.type_in(text);
            }
        }
    }

    #[track_caller]
    fn choose(&mut self, on: &str, value: &str) {
        if self.person == Person::Ann {
            return self.browser.choose(on, value);
        }
        self.browser.reach(on);
        self.browser.press(&["Home"]);
        for _ in 0..20 {
            if self.browser.run("document.activeElement.value") == value {
                return;
            }
            self.browser.press(&["ArrowDown"]);
        }
        panic!("{on} has no {value}");
    }

    /// Goes to one of the four places: by its address, or by its keys.
    #[track_caller]
    fn go(&mut self, place: &str, key: &str) {
        match self.person {
            Person::Ann => self.browser.open(place),
            Person::Zoe => self.browser.press(&["g", key]),
        }
    }

    fn welcome(&mut self, link: &str) {
        let locale = self.say("en-GB", "fr-FR");
        self.browser.anew(&json!({ "locale": locale }));
        self.browser.open(link);
        self.see("h1", "Choose a password", "Choisir un mot de passe");
        self.write("[name=password]", PASSWORD);
        self.write("[name=again]", PASSWORD);
        self.act("button[type=submit]");
        self.browser.see("#top nav", "");
    }

    /// A picture is kept in `target/console`, and the English ones in the guide where that is asked for.
    fn picture(&mut self, name: &str) {
        if self.person == Person::Zoe {
            self.browser.shot(&format!("{name}-fr"));
            return;
        }
        if IN_GUIDE.contains(&name) {
            self.browser.shot_for_guide(name);
        } else {
            self.browser.shot(name);
        }
    }

    /// Open to all, and a picture of it.
    #[track_caller]
    fn looked_at(&mut self, name: &str) {
        self.picture(name);
        self.browser.is_open_to_all();
    }
}

/// Who is on call gets a letter when a receiver takes nothing.
fn on_call(project: &Project, mail: u16) {
    project.write(
        "alerts/night.yaml",
        format!(
            "when: {{ destination_down: {{}} }}\ntell:\n  - smtp: {{ server: \"127.0.0.1:{mail}\", encryption: none, from: relais@example.org, to: [\"night@example.org\"] }}\n"
        ),
    );
}

#[test]
fn a_person_with_a_mouse_is_mailed_of_a_receiver_that_goes_and_sends_a_message_once_more() {
    one_night(Person::Ann);
}

#[test]
fn the_same_is_done_in_french_with_the_keyboard_alone() {
    one_night(Person::Zoe);
}

/// All of it, in the order in which it happens.
fn one_night(person: Person) {
    let (project, away) = (Project::new(), free_port());
    let mut mail = Receiving::start(python("mail.py"));
    let port = laboratory(&project, away);
    on_call(&project, mail.port);
    let record = Receiver::listen(away, Behaviour::Code("AA"));
    let relais = project.start();
    let mut seat = Seat { person, browser: Browser::start(project.port) };
    seat.welcome(&project.link("admin"));
    seat.see(".headline", "Nothing needs you", "Rien ne demande votre aide");
    seat.browser.is_open_to_all();
    seat.go("#/channels", "c");
    seat.see("[data-row=lab][data-tone=good]", "running", "en marche");
    results(port, (0..20).map(|number| format!("DAY{number}")));
    seat.browser.see("[data-row=lab] .of-in", "20");

    drop(record);
    results(port, ["AWAY".to_owned()]);
    goes(&mut seat, &mut mail);
    let record = Receiver::listen(away, Behaviour::Code("AA"));
    comes(&mut seat, &record);

    finds(&mut seat);
    reads_its_way(&mut seat);
    sends_it_once_more(&mut seat, &relais, &record);
    finds_the_own_look(&mut seat);
    if person == Person::Ann {
        looks_at_the_rest(&mut seat.browser);
    }
    assert_eq!(seat.browser.complaints(), json!([]));
    lets_a_viewer_in(&mut seat);
}

/// The channel is told as red while its receiver is away, with the reason and the queue, and a letter comes.
fn goes(seat: &mut Seat, mail: &mut Receiving) {
    seat.see("[data-row=lab][data-tone=bad]", "record takes nothing", "record ne prend rien");
    seat.looked_at("channels");
    seat.act("[data-row=lab] a.name");
    seat.see("[data-destination=record]", "takes nothing, tried again", "ne prend rien, retenté");
    seat.see("[data-destination=record]", "1 waits", "1 en attente");
    seat.browser.see("[data-destination=record] .why", "cannot connect");
    seat.looked_at("channel");
    seat.go("#/now", "n");
    seat.browser.see("[data-episode=destination_down]", "lab → record");
    seat.see(".headline", "1 thing needs somebody", "1 chose demande quelqu’un");
    seat.looked_at("now");
    let letter = mail.next_read();
    assert_eq!(letter["to"], json!(["night@example.org"]));
    assert!(letter["subject"].as_str().unwrap().contains("critical"), "{letter}");
    let text = letter["text"].as_str().unwrap();
    assert!(text.contains("lab → record") && !text.contains("EXAMPLE"), "{letter}");
}

/// Green again by itself, once the receiver is back.
fn comes(seat: &mut Seat, record: &Receiver) {
    seat.go("#/channels", "c");
    wait_until("everything is sent", || record.count() > 0);
    seat.see("[data-row=lab][data-tone=good]", "running", "en marche");
    seat.browser.see("[data-row=lab] .of-out", "42");
    seat.go("#/now", "n");
    seat.see(".headline", "Nothing needs you", "Rien ne demande votre aide");
}

/// By its control id.
fn finds(seat: &mut Seat) {
    seat.browser.press(&["/"]);
    seat.browser.see("#search", "");
    seat.write("#search", "AWAY");
    seat.see(".foot", "1 message shown", "1 message montré");
    seat.browser.see(".found li", "AWAY");
    assert_eq!(seat.browser.count(".found li"), 1);
    seat.looked_at("find");
    seat.act(".found li a");
}

/// What it holds is nowhere before it is asked for, and the look is written down.
fn reads_its_way(seat: &mut Seat) {
    seat.see(".trace", "came", "arrivé");
    seat.see(".trace .event.good", "sent", "envoyé");
    seat.see(".trace", "attempts", "essais");
    seat.see(".trace", "took", "durée");
    seat.see(".trace", "its sender heard: accepted", "son émetteur a entendu : accepté");
    seat.see(".trace", "after its steps", "après ses étapes");
    seat.see(".veil", "writes a line into the audit log", "écrit une ligne dans le journal d’audit");
    let hidden = seat.browser.run("document.body.innerText + document.body.outerHTML");
    assert!(!hidden.as_str().unwrap().contains("EXAMPLE"), "{hidden}");
    seat.looked_at("way");
    seat.act("[data-key=reveal]");
    seat.browser.see(".tree", "EXAMPLE^ANNA");
    seat.see(".tree", "Patient Name", "Nom du patient");
    seat.button("After the steps", "Après les étapes");
    seat.browser.see(".tree tr.other", "HOSPITAL");
    seat.browser.run("document.querySelector('.tree tr.other').scrollIntoView({ block: 'center' })");
    seat.looked_at("message");
    seat.button("Changes", "Changements");
    seat.browser.see(".difference .new", "HOSPITAL");
    seat.button("Bytes", "Octets");
    seat.browser.see("pre.code", "4d 53 48 7c");
}

/// First what it will do, then it is done: the one receiver has it once, and the other nothing more.
fn sends_it_once_more(seat: &mut Seat, relais: &Relais, record: &Receiver) {
    let before = record.count();
    seat.button("Send again", "Renvoyer");
    seat.choose("dialog select", "record");
    seat.act("dialog button[type=submit]");
    seat.see(
        "dialog .lines",
        "was sent, send to record a second time",
        "a été envoyé, envoyer à record une seconde fois",
    );
    assert_eq!(record.count(), before, "a plan does nothing");
    seat.looked_at("resend");
    seat.act("dialog button.first");
    seat.see("#told", "1 delivery goes again", "1 envoi repart");
    seat.see(".trace", "a later delivery took its place", "un envoi plus récent a pris sa place");
    wait_until("the record has it", || record.count() > before);
    seat.see(".subject .mark.good", "sent", "envoyé");
    assert!(!comes_true(Duration::from_secs(1), || record.count() > before + 1), "it goes once");
    let (_, shown) = relais.get("/api/v1/messages/21?content=hidden").unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let times = &shown["times"];
    assert!(times["steps_took"].as_f64().is_some_and(|took| took > 0.0), "{times}");
    let order = [&shown["received"], &times["steps_ended"], &times["answered"]];
    assert!(
        order.is_sorted_by_key(|time| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap()),
        "{times}"
    );
    let sent_to = |name: &str| {
        let all = shown["deliveries"].as_array().unwrap().iter();
        all.filter(|one| one["destination"] == name && one["state"] == "sent").count()
    };
    assert_eq!((sent_to("record"), sent_to("archive")), (2, 1), "{shown}");
}

/// In the audit log: the look at this very message, the look at reasons, and what was done.
fn finds_the_own_look(seat: &mut Seat) {
    seat.go("#/system", "s");
    seat.act("#tab-audit");
    seat.see(".audit tr:has-text('admin'):has-text('message 21')", "saw content", "a vu le contenu");
    seat.see(".audit tr:has-text('admin')", "read reasons", "a lu des motifs");
    seat.see(".audit tr:has-text('messages/21/resend')", "sent a message again", "a renvoyé un message");
    seat.looked_at("audit");
}

/// An account that may look, made here: it finds the message, and what it holds is nowhere.
fn lets_a_viewer_in(seat: &mut Seat) {
    seat.act("#tab-accounts");
    seat.button("Make an account", "Faire un compte");
    seat.write("dialog [name=name]", "paul");
    seat.choose("dialog [name=role]", "viewer");
    seat.act("dialog button[type=submit]");
    seat.browser.see("dialog .secret", "#/welcome/");
    let shown = seat.browser.text("dialog .secret");
    let link = shown[shown.find("#/").unwrap()..].trim().to_owned();
    seat.browser.press(&["Escape"]);
    seat.button("Sign out", "Se déconnecter");
    seat.see("h1", "Sign in", "Se connecter");

    seat.welcome(&link);
    seat.go("#/find", "f");
    seat.see(".note", "needs the right to see content", "demande le droit de voir le contenu");
    seat.act(".found li:has-text('AWAY') a");
    seat.see(".trace", "sent", "envoyé");
    seat.see(
        ".content",
        "may not see what messages hold",
        "ne peut pas voir ce que contiennent les messages",
    );
    assert_eq!(seat.browser.count("[data-key=reveal]"), 0);
    let shown = seat.browser.run("document.body.outerHTML");
    assert!(!shown.as_str().unwrap().contains("EXAMPLE"), "{shown}");
    seat.looked_at("viewer");
    assert_eq!(seat.browser.complaints(), json!([]));
    let status = seat.browser.run("fetch('/api/v1/messages/21/body').then((answer) => answer.status)");
    assert_eq!(status, 403);
    let whole = seat.browser.run("fetch('/api/v1/messages/21').then((answer) => answer.text())");
    assert!(!whole.as_str().unwrap().contains("EXAMPLE"), "{whole}");
}

/// The other screens: each is there, open to all, and says what it should.
fn looks_at_the_rest(browser: &mut Browser) {
    for (place, on, words) in [
        ("#/system/tokens", ".panel", "There are no tokens"),
        ("#/system/accounts", ".panel", "admin"),
        ("#/channels/lab/queue", ".panel", "Nothing waits"),
        ("#/channels/lab/file", ".code", "require: [PID-3.1, OBR-4]"),
        ("#/channels/lab/changes", ".panel", "the files say the same"),
        ("#/channels/lab/tests", ".panel", "a result goes to the record"),
    ] {
        browser.open(place);
        browser.see(on, words);
        browser.is_open_to_all();
    }
    browser.click(".panel button.first");
    browser.see(".episode.good", "passed");
    browser.open("#/system");
    browser.see(".panel", "Free on the disk");
    browser.is_open_to_all();
}
