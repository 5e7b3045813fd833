//! Signing in through a provider of accounts: one that is not ours, and one that lies.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use serde_json::json;
use tests::{Asker, Browser, Project, Receiving, Relais, Said, node};

fn project(issuer: &str) -> Project {
    let project = Project::new();
    let port = project.port;
    let settings = std::fs::read_to_string(project.path("relais.yaml")).unwrap();
    project.write("secrets/provider", "shh & more");
    project.channel(
        "lab",
        "name: lab\ntags: [lab]\nsource:\n  file: { dir: in }\ndestinations:\n  - name: out\n    to: { file: { dir: out, name: '${msg[\"MSH-10\"]}' } }\n",
    );
    std::fs::create_dir_all(project.path("in")).unwrap();
    project.write(
        "relais.yaml",
        format!(
            "{settings}sign_in:\n  oidc:\n    issuer: {issuer}\n    name: Hospital account\n    client_id: relais\n    \
             client_secret: ${{file:secrets/provider}}\n    console: http://127.0.0.1:{port}\n  roles:\n    \
             - {{ value: relais-admins, role: administrator }}\n    - {{ value: relais-operators, role: operator, tags: [lab] }}\n"
        ),
    );
    project
}

/// The provider that is not ours, for the console of this project.
fn provider() -> (Receiving, Project) {
    let port = tests::free_port();
    let mut command = node("provider.mjs");
    command.arg(format!("http://127.0.0.1:{port}/sign-in/back"));
    let provider = Receiving::start(command);
    let mut project = project(&format!("http://127.0.0.1:{}", provider.port));
    let settings = std::fs::read_to_string(project.path("relais.yaml")).unwrap();
    project.write(
        "relais.yaml",
        settings.replace(&format!("127.0.0.1:{}", project.port), &format!("127.0.0.1:{port}")),
    );
    project.port = port;
    (provider, project)
}

/// A browser that keeps the cookies of one server.
struct Visitor {
    port: u16,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    fn new(port: u16) -> Self {
        Self { port, cookies: Vec::new() }
    }

    fn get(&mut self, path: &str) -> Said {
        self.ask("GET", path, None)
    }

    fn ask(&mut self, method: &str, path: &str, form: Option<&str>) -> Said {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut asker = Asker::nobody(self.port).with("Cookie", &pairs.join("; "));
        if form.is_some() {
            asker = asker.with("Content-Type", "application/x-www-form-urlencoded");
        }
        let said = asker.ask(method, path, form.map(str::as_bytes));
        for line in said.head.lines().filter_map(|line| line.split_once(": ")) {
            if line.0.eq_ignore_ascii_case("set-cookie")
                && let Some((name, value)) = line.1.split(';').next().unwrap().split_once('=')
            {
                self.cookies.retain(|(known, _)| known != name);
                if !value.is_empty() {
                    self.cookies.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        said
    }

    /// Goes to the provider, and says where: the path there.
    fn set_out(&mut self) -> String {
        let said =
            self.get("/sign-in/provider?next=https://evil.example/&redirect_uri=https://evil.example/");
        assert_eq!(said.status, 303, "{said:?}");
        path_of(said.header("location").unwrap())
    }

    fn is_in(&mut self) -> Option<String> {
        let said = self.get("/api/v1/session");
        (said.status == 200).then(|| said.json()["name"].as_str().unwrap().to_owned())
    }
}

/// Path and query of an address of this machine.
fn path_of(address: &str) -> String {
    if address.starts_with('/') {
        return address.to_owned();
    }
    let rest = address.strip_prefix("http://127.0.0.1:").unwrap_or_else(|| panic!("sent to {address}"));
    rest[rest.find('/').unwrap()..].to_owned()
}

/// The value of a parameter of a path. None of those that are looked for here is escaped.
fn parameter<'p>(path: &'p str, name: &str) -> &'p str {
    let pairs = path.split_once('?').unwrap().1.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name).unwrap().1
}

/// Signs in on the provider's own pages, and says where it sends back to.
fn through(provider: &Receiving, there: &str, name: &str) -> String {
    let mut visitor = Visitor::new(provider.port);
    let mut said = visitor.get(there);
    for _ in 0..8 {
        assert_eq!(said.status, 303, "{said:?}");
        let next = path_of(said.header("location").unwrap());
        if next.starts_with("/sign-in/back") {
            return next;
        }
        said = visitor.get(&next);
        if said.status == 200 {
            let prompt = if said.body.contains("name=\"login\"") { "login" } else { "consent" };
            let form = format!("prompt={prompt}&login={name}&password=any");
            said = visitor.ask("POST", &next, Some(&form));
        }
    }
    panic!("the provider sends in a circle: {said:?}");
}

fn lines(relais: &Relais, what: &str) -> Vec<(String, String, u64)> {
    let said = relais.owner().get("/api/v1/audit").json();
    let mut found: Vec<_> = said
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["what"] == what)
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("who"), text("subject"), line["status"].as_u64().unwrap())
        })
        .collect();
    found.reverse();
    found
}

const DEED: &str = "sign in through the provider";

#[test]
fn a_person_signs_in_through_a_provider_and_may_what_it_says() {
    let (provider, project) = provider();
    let relais = project.start();
    let mut browser = Browser::start(project.port);
    for (locale, button, named) in [
        ("en-GB", "Sign in with Hospital account", "operator"),
        ("fr-FR", "Se connecter avec Hospital account", "opérateur"),
    ] {
        browser.anew(&json!({ "locale": locale, "policy": true }));
        browser.open("#/channels");
        browser.see("a.button", button);
        browser.click("a.button");
        browser.fill("[name=login]", "ada");
        browser.fill("[name=password]", "any");
        browser.click("button[type=submit]");
        browser.see("button[type=submit]", "Continue");
        browser.click("button[type=submit]");
        browser.see("#top .who", "ada");
        browser.see("#top .who", named);
        browser.click("#top .end button:last-child");
        browser.see("a.button", button);
    }
    let made = lines(&relais, "add an account");
    let issuer = format!("http://127.0.0.1:{}", provider.port);
    assert_eq!(made, [("ada".to_owned(), format!("account ada: operator, of lab; by {issuer}"), 200)]);
    assert_eq!(
        lines(&relais, DEED),
        [("ada".to_owned(), String::new(), 200), ("ada".to_owned(), String::new(), 200)]
    );
    let accounts = relais.owner().get("/api/v1/accounts").json();
    let ada = accounts.as_array().unwrap().iter().find(|one| one["name"] == "ada").unwrap().clone();
    assert_eq!((&ada["provider"], &ada["has_password"]), (&json!(issuer), &json!(false)));
    let log = relais.log();
    assert!(!log.contains("shh") && !log.contains("code="), "{log}");
}

#[test]
fn a_return_from_the_provider_counts_once_in_the_browser_that_was_sent() {
    let (provider, project) = provider();
    let relais = project.start();
    let port = project.port;
    let to = |said: &Said| said.header("location").unwrap().to_owned();
    let mut ada = Visitor::new(port);
    let there = ada.set_out();
    assert!(there.contains("code_challenge_method=S256") && !there.contains("evil"), "{there}");
    let back = through(&provider, &there, "ada");
    // Another browser with her address; then hers, with another state.
    assert_eq!(to(&Visitor::new(port).get(&back)), "/#/sign-in/stale");
    let mut other = Visitor::new(port);
    other.set_out();
    assert_eq!(to(&other.get(&back)), "/#/sign-in/stale");
    let cookies = ada.cookies.clone();
    let said = ada.get(&format!("{back}&next=https://evil.example/"));
    assert_eq!((to(&said), ada.is_in()), ("/".to_owned(), Some("ada".to_owned())), "{said:?}");
    assert!(said.head.contains("HttpOnly; SameSite=Strict"), "{said:?}");
    // The same once more, with the cookie that she had: the code was used.
    let mut again = Visitor { port, cookies };
    assert_eq!(to(&again.get(&back)), "/#/sign-in/denied");
    assert!(again.is_in().is_none());
    for (name, shut) in [("eve", "no-role"), ("odd", "no-name"), ("twin", "taken")] {
        let mut visitor = Visitor::new(port);
        let there = visitor.set_out();
        let back = through(&provider, &there, name);
        assert_eq!(to(&visitor.get(&back)), format!("/#/sign-in/{shut}"), "{name}");
        assert!(visitor.is_in().is_none());
    }
    let written: Vec<_> =
        lines(&relais, DEED).into_iter().map(|(who, _, status)| format!("{who} {status}")).collect();
    assert_eq!(
        written,
        [
            "somebody 401",
            "somebody 401",
            "ada 200",
            "somebody 401",
            "somebody 403",
            "somebody 403",
            "ada 403"
        ]
    );
    let accounts = relais.owner().get("/api/v1/accounts").json();
    assert_eq!(accounts.as_array().unwrap().iter().filter(|one| one["provider"].is_string()).count(), 1);
    // Whoever is removed here is out at once; the account is the provider's and has no link.
    let owner = relais.owner();
    assert_eq!(owner.post("/api/v1/accounts/ada/link", &json!({})).status, 409);
    assert_eq!(owner.delete("/api/v1/accounts/ada").status, 204);
    assert!(ada.is_in().is_none());
}

#[test]
fn what_a_false_provider_says_is_not_believed() {
    let liar = Receiving::start(node("false_provider.mjs"));
    let issuer = format!("http://127.0.0.1:{}", liar.port);
    let project = project(&issuer);
    let relais = project.start();
    let port = project.port;
    let comes = |kind: &str, issuer: &str| {
        let mut visitor = Visitor::new(port);
        let there = visitor.set_out();
        let (state, nonce) = (parameter(&there, "state"), parameter(&there, "nonce"));
        let said = visitor.get(&format!("/sign-in/back?state={state}&code={kind}.{nonce}{issuer}"));
        (said.header("location").unwrap().to_owned(), visitor.is_in())
    };
    assert_eq!(comes("good", ""), ("/".to_owned(), Some("mallory".to_owned())));
    let kinds = [
        "unsigned",
        "shared-secret",
        "other-key",
        "key-in-token",
        "changed",
        "expired",
        "future",
        "other-client",
        "other-party",
        "shared",
        "other-issuer",
        "other-sign-in",
        "no-nonce",
        "nobody",
    ];
    for kind in kinds {
        assert_eq!(comes(kind, ""), ("/#/sign-in/unproven".to_owned(), None), "{kind}");
    }
    // The answer of another provider, which was made to look like ours (mix-up).
    assert_eq!(comes("good", "&iss=https://evil.example").0, "/#/sign-in/unproven");
    assert_eq!(comes("good", &format!("&iss={issuer}")).0, "/");
    let mut denied = Visitor::new(port);
    let there = denied.set_out();
    let state = parameter(&there, "state");
    let said = denied.get(&format!("/sign-in/back?state={state}&error=access_denied"));
    assert_eq!(said.header("location"), Some("/#/sign-in/denied"));
    let log = relais.log();
    for why in [
        "is signed by no algorithm",
        "has expired",
        "is for another client",
        "is of another sign-in",
        "none of its keys",
    ] {
        assert!(log.contains(why), "{why}: {log}");
    }
    // Sixteen were wrong: four more, and whoever comes from here waits.
    for _ in 0..4 {
        assert_eq!(comes("expired", "").0, "/#/sign-in/unproven");
    }
    assert_eq!(comes("good", "").0, "/#/sign-in/wait");
}

#[test]
fn a_provider_that_names_another_issuer_or_is_away_gets_nobody() {
    let liar = Receiving::start(node("false_provider.mjs"));
    let issuer = format!("http://127.0.0.1:{}", liar.port);
    let project = project(&issuer);
    let port = project.port;
    // Settings that name another issuer than they were asked of send codes elsewhere.
    let settings = std::fs::read_to_string(project.path("relais.yaml")).unwrap();
    project.write("relais.yaml", settings.replace(&issuer, &format!("{issuer}/another")));
    let relais = project.start();
    let said = Asker::nobody(port).get("/sign-in/provider");
    assert_eq!(said.header("location"), Some("/#/sign-in/unproven"));
    relais.terminate();
    drop(liar);
    project.write("relais.yaml", settings);
    let relais = project.start();
    let said = Asker::nobody(port).get("/sign-in/provider");
    assert_eq!(said.header("location"), Some("/#/sign-in/away"));
    assert!(relais.log().contains("nobody was signed in through the provider"), "{}", relais.log());
}

#[test]
fn settings_of_a_provider_that_let_anybody_in_are_found_before_they_run() {
    let project = project("http://login.example.org");
    let said = project.relais(&["check", "."]);
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(words.contains("relais.yaml:5") && words.contains("begins with `https://`"), "{words}");
    let settings = std::fs::read_to_string(project.path("relais.yaml")).unwrap();
    let twice =
        settings.replace("http://login", "https://login").replace("relais-operators", "relais-admins");
    project.write("relais.yaml", twice.replace("client_id: relais", "client_id: ''"));
    let said = project.relais(&["check", "."]);
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(words.contains("the first one counts") && words.contains("client_id"), "{words}");
}
