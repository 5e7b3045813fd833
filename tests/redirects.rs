//! Where a browser is sent: to a place of ours or to the provider of accounts, whatever an address, a header or a form says.

use std::fmt::Write as _;

use serde_json::json;
use tests::{Asker, Browser, Project, Receiving, Relais, Said, free_port, node};

const PASSWORD: &str = "a long and quiet evening";

/// Addresses of a stranger, as browsers and servers have been made to take them.
const STRANGERS: [&str; 9] = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "/%5cevil.example/",
    "/%2f%2fevil.example/",
    "/.//evil.example/",
    "https:evil.example",
    "javascript:alert(document.domain)",
];

/// What an address may name a place to go to by.
const NAMES: [&str; 6] = ["next", "redirect_uri", "return_to", "url", "state", "iss"];

/// What says under which name a server is asked for.
const HEADERS: [(&str, &str); 7] = [
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "javascript"),
    ("X-Forwarded-Prefix", "//evil.example"),
    ("Forwarded", "host=evil.example;proto=https"),
    ("X-Original-URL", "//evil.example/"),
    ("X-Rewrite-URL", "//evil.example/"),
    ("Referer", "https://evil.example/"),
];

/// A project with a channel: without one there is nothing to run.
fn project() -> Project {
    let project = Project::new();
    project.channel("lab", "name: lab\nsource:\n  file: { dir: in }\ndestinations: []\n");
    std::fs::create_dir_all(project.path("in")).expect("a folder can be made");
    project
}

/// A server with a provider of accounts, at an address of this machine or at all of them.
fn started(listen: &str) -> (Receiving, Project, Relais) {
    let mut project = project();
    project.port = free_port();
    let port = project.port;
    let mut command = node("provider.mjs");
    command.arg(format!("http://127.0.0.1:{port}/sign-in/back"));
    let provider = Receiving::start(command);
    project.write("secrets/provider", "shh & more");
    project.write(
        "relais.yaml",
        format!(
            "listen: {listen}:{port}\nallow_remote: true\nsign_in:\n  oidc:\n    issuer: http://127.0.0.1:{}\n    client_id: relais\n    \
             client_secret: ${{file:secrets/provider}}\n    console: http://127.0.0.1:{port}\n  roles:\n    - {{ value: relais-admins, role: administrator }}\n",
            provider.port
        ),
    );
    let relais = project.start();
    (provider, project, relais)
}

/// A stranger's address in the value of a parameter.
fn escaped(address: &str) -> String {
    let mut escaped = String::new();
    for byte in address.bytes() {
        let _ = write!(escaped, "%{byte:02x}");
    }
    escaped
}

/// Wherever an answer sends a browser is a path of ours, or the provider that stands in the settings.
fn sends_nowhere_else(said: &Said, provider: &Receiving, asked: &str) {
    let there = format!("http://127.0.0.1:{}/", provider.port);
    for name in ["location", "refresh", "content-location", "link"] {
        let Some(to) = said.header(name) else { continue };
        let is_ours = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
        assert!(is_ours || to.starts_with(&there), "{asked}: {name}: {to}");
        assert!(!to.contains("evil") && !to.contains("javascript"), "{asked}: {name}: {to}");
    }
}

/// Every way in, with a stranger's address in each place that could name one.
fn ways() -> Vec<String> {
    let mut ways = Vec::new();
    for stranger in STRANGERS {
        let beneath = stranger.trim_start_matches("https:").replace(':', "%3a");
        ways.extend(["", "/console", "/sign-in", "/health/live"].map(|place| format!("{place}/{beneath}")));
        for place in ["/", "/sign-in", "/sign-in/provider", "/sign-in/back", "/welcome", "/health/live"] {
            let named = NAMES.map(|name| format!("{name}={}", escaped(stranger)));
            ways.push(format!("{place}?code=1&{}", named.join("&")));
        }
    }
    // As it stands, and not below something else.
    ways.extend(
        ["//evil.example", "//evil.example/%2e%2e", "/\\evil.example", "/.evil.example"].map(str::to_owned),
    );
    ways
}

#[test]
fn an_open_redirect_is_found_in_no_address_no_header_and_no_form() {
    let (provider, project, relais) = started("127.0.0.1");
    let said = relais.owner().post("/api/v1/accounts", &json!({ "name": "ada", "role": "viewer" }));
    let link = said.json()["link"].as_str().unwrap().to_owned();
    let page = Asker::nobody(project.port).with("relais-console", "1");
    assert_eq!(page.post("/welcome", &json!({ "link": link, "password": PASSWORD })).status, 200);
    for stranger in STRANGERS {
        let said = page.post("/welcome", &json!({ "link": link, "password": PASSWORD, "next": stranger }));
        assert!(said.header("location").is_none(), "{stranger}: {said:?}");
    }
    for stranger in STRANGERS {
        for name in NAMES {
            let form = json!({ "name": "ada", "password": PASSWORD, name: stranger });
            let said = page.post(&format!("/sign-in?{name}={}", escaped(stranger)), &form);
            assert!(said.header("location").is_none(), "{name}: {said:?}");
        }
    }

    let mut sent = 0;
    for way in ways() {
        let plain = Asker::nobody(project.port);
        let told = HEADERS.iter().fold(plain.clone(), |asker, (name, value)| asker.with(name, value));
        for (how, asker) in [("plain", plain), ("told", told)] {
            for method in ["GET", "HEAD", "POST"] {
                let said = asker.ask(method, &way, None);
                assert!(said.status >= 200 && said.status < 500, "{method} {way} ({how}): {said:?}");
                sends_nowhere_else(&said, &provider, &format!("{method} {way} ({how})"));
                sent += usize::from(said.header("location").is_some());
            }
        }
    }
    assert!(sent > 0, "the way to the provider was among them");
}

#[test]
fn a_name_that_a_request_gives_the_server_is_in_no_address_it_sends_to() {
    let (provider, project, _relais) = started("0.0.0.0");
    let ours = escaped_console(project.port);
    for host in ["evil.example", "evil.example:443", "127.0.0.1@evil.example", "evil.example/"] {
        let asker = Asker::nobody(project.port).with("Host", host).with("X-Forwarded-Host", host);
        let said = asker.get("/sign-in/provider");
        sends_nowhere_else(&said, &provider, host);
        if said.status == 303 {
            let to = said.header("location").unwrap();
            assert!(to.contains(&ours), "it comes back to what the settings name: {to}");
        }
        for way in ["/", "/sign-in/back?state=x&code=y", "/console", "/console/", "/api/v1/session"] {
            sends_nowhere_else(&asker.get(way), &provider, host);
        }
    }
    let usual = Asker::nobody(project.port).get("/sign-in/provider");
    assert!(usual.header("location").is_some_and(|to| to.contains(&ours)), "{usual:?}");
    // On loopback another name is not answered at all.
    let (_provider, project, _relais) = started("127.0.0.1");
    let said = Asker::nobody(project.port).with("Host", "evil.example").get("/sign-in/provider");
    assert_eq!((said.status, said.header("location")), (421, None), "{said:?}");
}

/// Where the provider is asked to send back to, as it stands in a query.
fn escaped_console(port: u16) -> String {
    format!("redirect_uri=http%3A%2F%2F127.0.0.1%3A{port}%2Fsign-in%2Fback")
}

#[test]
fn a_place_in_the_address_of_the_console_leads_nowhere_else() {
    let project = project();
    let _relais = project.start();
    let said = project.relais(&["account", "link", "admin"]);
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    let link = words.split_whitespace().find_map(|word| Some(&word[word.find("#/welcome/")?..])).unwrap();
    let origin = format!("http://127.0.0.1:{}", project.port);
    let mut browser = Browser::start(project.port);
    browser.anew(&json!({ "policy": true }));
    browser.open(link);
    browser.fill("[name=password]", PASSWORD);
    browser.fill("[name=again]", PASSWORD);
    browser.click("button[type=submit]");
    browser.see("#top nav", "");
    for stranger in STRANGERS {
        let places = [format!("#{stranger}"), format!("#/{stranger}"), format!("#/now?next={stranger}")];
        for (number, place) in places.iter().enumerate() {
            // Who is asked to sign in first is brought back to where he wanted to go.
            browser.run("fetch('/api/v1/session', { method: 'DELETE', headers: { 'relais-console': '1' } }).then(() => null)");
            // Another address each time: the page is read anew.
            browser.open(&format!("?{number}&next={}{place}", escaped(stranger)));
            browser.see("[name=name]", "");
            browser.fill("[name=name]", "admin");
            browser.fill("[name=password]", PASSWORD);
            browser.click("button[type=submit]");
            browser.see("#top nav", "");
            browser.see("h1", "");
            assert_eq!(browser.run("location.origin"), origin.as_str(), "{place}");
            let elsewhere = "[...document.querySelectorAll('a[href]')].filter((one) => one.origin !== location.origin).length";
            assert_eq!(browser.run(elsewhere), 0, "{place}");
        }
    }
    assert_eq!(browser.complaints(), json!([]), "no script ran and nothing was asked for elsewhere");
}
