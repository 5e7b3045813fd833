//! The audit log at the console: verified as a whole, and taken away as a file, by those alone who may.

use std::fs;

use serde_json::{Value, json};
use tests::{Browser, Project, WORDS, free_port, laboratory};

/// Signs in by a name and the password of each test's accounts.
fn sign_in(browser: &mut Browser, name: &str, options: &Value) {
    browser.anew(options);
    browser.open("#/system/audit");
    browser.fill("[name=name]", name);
    browser.fill("[name=password]", WORDS);
    browser.click("button[type=submit]");
    browser.see(".audit tbody tr", name);
}

#[test]
fn an_administrator_verifies_the_log_and_takes_it_away() {
    let project = Project::new();
    laboratory(&project, free_port());
    let relais = project.start();
    let ada = relais.account("ada", "administrator", &[]);
    assert_eq!(ada.post("/api/v1/channels/lab/pause", &Value::Null).status, 200);
    let mut browser = Browser::start(project.port);
    sign_in(&mut browser, "ada", &json!({}));
    browser.click("[data-key=verify]");
    browser.see(".verified", "lines, each follows the one before");
    let log = || fs::read_to_string(project.path("data/audit.jsonl")).unwrap();
    let said = browser.text(".verified .hash");
    let verified = project.relais(&["audit", "verify", "--holds", &said]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    browser.is_open_to_all();

    let (name, lines) = browser.download("a[download]:has-text('JSON lines')");
    assert_eq!(name, "audit.jsonl");
    assert!(log().starts_with(&lines) && lines.contains("\"pause a channel\""), "{lines}");
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["what"], &last["who"]), (&json!("export the audit log"), &json!("ada")), "{lines}");
    let (name, bundle) = browser.download("a[download]:has-text('FHIR AuditEvents')");
    assert_eq!(name, "audit.json");
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!(bundle["entry"].as_array().unwrap().len(), lines.lines().count() + 1);
    assert_eq!(bundle["entry"][0]["resource"]["resourceType"], "AuditEvent");
    assert_eq!(browser.complaints(), json!([]));
}

#[test]
fn where_the_chain_breaks_is_said_in_both_languages_and_nothing_half_is_taken_for_whole() {
    let project = Project::new();
    laboratory(&project, free_port());
    let relais = project.start();
    relais.account("ada", "administrator", &[]);
    let mut browser = Browser::start(project.port);
    sign_in(&mut browser, "ada", &json!({ "locale": "fr-FR", "width": 390, "height": 844 }));
    browser.click("[data-key=verify]");
    browser.see(".verified", "chacune suit la précédente");
    browser.is_open_to_all();
    // As long as it was: the server writes on behind it.
    let path = project.path("data/audit.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    fs::write(&path, log.replacen("make an account", "made an account", 1)).unwrap();
    let changed = log.lines().position(|line| line.contains("make an account")).unwrap() + 1;
    browser.click("[data-key=verify]");
    browser.see(".verified .problem", &format!("La chaîne se rompt à la ligne {}", changed + 1));
    browser.is_open_to_all();
    browser.click(".tongue[lang=en]");
    browser.click("[data-key=verify]");
    browser.see(".verified .problem", &format!("The chain breaks at line {}", changed + 1));
    let taken = browser.run("fetch('/api/v1/audit/export').then((file) => file.text()).catch(() => 'cut')");
    assert_eq!(taken, "cut");
}

#[test]
fn nobody_else_is_offered_it_or_given_it() {
    let project = Project::new();
    laboratory(&project, free_port());
    let relais = project.start();
    let mut browser = Browser::start(project.port);
    for role in ["viewer", "operator", "engineer"] {
        relais.account(role, role, &[]);
        sign_in(&mut browser, role, &json!({}));
        assert_eq!(browser.count("[data-key=verify]") + browser.count("a[download]"), 0, "{role}");
        for path in ["audit/verified", "audit/export", "audit/export?form=fhir"] {
            let status = browser.run(&format!("fetch('/api/v1/{path}').then((answer) => answer.status)"));
            assert_eq!(status, 403, "{role} at {path}");
        }
    }
}
