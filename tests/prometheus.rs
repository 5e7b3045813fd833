//! The series as Prometheus reads them, and the rules and the dashboard of `docs/operations` over them.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tests::{Project, Relais, Sender, comes_true, free_port, message, wait_until};

fn operations(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations").join(name)
}

fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: `tests/run` installs it (apt-get install prometheus)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn is_fine(output: &Output) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// A server with a message that was sent, and one that waits for a receiver that is not there.
fn server(project: &Project) -> Relais {
    let port = free_port();
    project.channel(
        "lab",
        &format!(
            "name: lab\nsource:\n  mllp: {{ listen: \"127.0.0.1:{port}\" }}\ndestinations:\n  - name: archive\n    to:\n      \
             file: {{ dir: out }}\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{}\" }}\n",
            free_port()
        ),
    );
    let relais = project.start();
    Sender::connect(port).unwrap().send(&message("A1", "42")).unwrap();
    wait_until("it is filed", || project.files("out").len() == 1);
    relais
}

/// The names of series in an expression.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("relais_")).map(str::to_owned).collect()
}

#[test]
fn every_series_that_a_rule_or_the_dashboard_names_is_there_and_in_good_form() {
    let project = Project::new();
    let relais = server(&project);
    let (_, page) = relais.get("/metrics").unwrap();
    is_fine(&promtool(&["check", "metrics"], &page));
    is_fine(&promtool(&["check", "rules", operations("prometheus-rules.yml").to_str().unwrap()], ""));
    is_fine(&promtool(&["test", "rules", operations("prometheus-rules-test.yml").to_str().unwrap()], ""));
    let there: BTreeSet<String> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned()))
        .collect();
    let rules = fs::read_to_string(operations("prometheus-rules.yml")).unwrap();
    let rules: String = rules.lines().filter(|line| line.trim_start().starts_with("expr:")).collect();
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(operations("grafana-dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown = targets.map(|target| target["expr"].as_str().unwrap()).collect::<Vec<_>>().join(" ");
    let lists = dashboard["templating"]["list"].to_string();
    for name in named(&format!("{rules} {shown} {lists}")) {
        // Without a value while nothing grows: the only one that may not be there.
        assert!(there.contains(&name) || name == "relais_store_full_days", "`{name}` is in no scrape");
    }
}

/// Ended with the test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_and_fires() {
    let project = Project::new();
    let _relais = server(&project);
    let port = free_port();
    let rules = fs::read_to_string(operations("prometheus-rules.yml")).unwrap();
    // As it is delivered but for the time that it waits.
    project.write("rules.yml", rules.replace("for: 1m", "for: 1s"));
    project.write(
        "prometheus.yml",
        format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\nscrape_configs:\n  - job_name: \
             relais\n    static_configs: [{{ targets: [\"127.0.0.1:{}\"] }}]\n",
            project.port
        ),
    );
    let child = Command::new("prometheus")
        .current_dir(project.root())
        .args(["--config.file", "prometheus.yml", "--storage.tsdb.path", "tsdb"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus is missing: `tests/run` installs it (apt-get install prometheus)");
    let _prometheus = Prometheus(child);
    let fires = || {
        let answer =
            Command::new("curl").args(["-s", &format!("http://127.0.0.1:{port}/api/v1/alerts")]).output();
        let said = String::from_utf8_lossy(&answer.unwrap().stdout).into_owned();
        let Ok(said) = serde_json::from_str::<Value>(&said) else { return false };
        let alerts = said["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts.iter().any(|one| {
            one["state"] == "firing"
                && one["labels"]["alertname"] == "RelaisNeedsAPerson"
                && one["labels"]["cause"] == "destination_down"
        })
    };
    assert!(comes_true(std::time::Duration::from_mins(2), fires), "nothing fires");
}
