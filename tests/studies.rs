//! `examples/imaging` as a whole: the real binary between a modality, an archive and a chart that are not ours. What becomes of studies
//! and of their reports is asked of the chart, by searching it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;
use tests::{
    FhirServer, Instance, Orthanc, Project, Relais, Sender, binary, free_port, mshfield, wait_until,
};

const ORDERS: &str = "urn:oid:1.2.250.1.999.4";

/// The example between its modality, its archive and its chart.
struct Radiology {
    project: Project,
    archive: Orthanc,
    chart: FhirServer,
    modality: u16,
    reports: u16,
}

impl Radiology {
    fn new() -> Self {
        let archive = Orthanc::with(&serde_json::json!({ "OverwriteInstances": true }));
        let (modality, reports) = (free_port(), free_port());
        let ports = BTreeMap::from([(11113, modality), (2680, reports), (8643, free_port())]);
        let project = Project::of_example("imaging", &ports);
        Self { project, archive, chart: FhirServer::start(), modality, reports }
    }

    fn start(&self) -> Relais {
        let mut command = Command::new(binary());
        command.env("CHART", self.chart.base()).env("ARCHIVE", self.archive.web());
        Relais::start_with(&self.project, &mut command)
    }

    /// Sends instances by dcmtk: each was answered, or the test stops.
    fn send(&self, instances: &[Instance]) {
        let mut command = Command::new("storescu");
        command.args(["-aec", "RELAIS", "127.0.0.1", &self.modality.to_string()]);
        for instance in instances {
            let name = format!("sent/{}.dcm", instance.uid);
            self.project.write(&name, instance.file());
            command.arg(self.project.path(&name));
        }
        let sent =
            command.output().unwrap_or_else(|error| panic!("storescu: {error}; apt-get install dcmtk"));
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }

    fn report(&self, accession: &str, status: &str) {
        let report = format!(
            "MSH|^~\\&|RIS|RADIO|CHART|HOSPITAL|20260302113000||ORU^R01^ORU_R01|R-{accession}-{status}|P|2.5\r\
             PID|1||P1^^^HOSPITAL^PI||DOE^JANE\rORC|RE|{accession}^RIS\r\
             OBR|1|{accession}^RIS|{accession}^RIS|CHEST^Chest^L|||20260302103000|||||||||||||||||RAD|{status}\r\
             OBX|1|TX|CHEST^Chest^L||No abnormality.||||||{status}\r"
        );
        let answer = Sender::connect(self.reports).unwrap().send(report.as_bytes()).unwrap();
        assert_eq!(mshfield(&answer, "MSA", 1), "AA", "{}", String::from_utf8_lossy(&answer));
    }

    fn study(&self, uid: &str) -> Option<Value> {
        let mut found = self.chart.search(&format!("ImagingStudy?identifier=urn:dicom:uid|urn:oid:{uid}"));
        assert!(found.len() <= 1, "{found:?}");
        found.pop()
    }

    /// Waits until a study has so many instances in the chart.
    fn has(&self, relais: &Relais, uid: &str, instances: u64) -> Value {
        let is_so = || self.study(uid).is_some_and(|study| study["numberOfInstances"] == instances);
        assert!(tests::comes_true(PATIENCE, is_so), "{:?}\n{}", self.study(uid), relais.log());
        self.study(uid).unwrap()
    }

    /// The studies that the report of an examination names.
    fn studies_of_report(&self, accession: &str) -> Option<BTreeSet<String>> {
        let mut found = self.chart.search(&format!("DiagnosticReport?identifier={ORDERS}|{accession}"));
        assert!(found.len() <= 1, "{found:?}");
        let studies = found.pop()?["imagingStudy"].as_array().cloned().unwrap_or_default();
        Some(studies.iter().filter_map(|study| study["reference"].as_str().map(str::to_owned)).collect())
    }
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);

fn instances(study: &str, accession: &str, numbers: std::ops::RangeInclusive<u32>) -> Vec<Instance> {
    let one = |number| Instance { accession: accession.to_owned(), ..Instance::of(study, number) };
    numbers.map(one).collect()
}

fn reference(resource: &Value) -> String {
    format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap())
}

#[test]
fn studies_and_their_reports_meet_in_the_chart_whichever_comes_first_and_whatever_is_killed() {
    let radiology = Radiology::new();
    let [a, b, c] = ["1.2.826.0.2.1", "1.2.826.0.2.2", "1.2.826.0.2.3"];
    let relais = radiology.start();
    // Two studies of one examination; killed while they wait for quiet.
    radiology.send(&[instances(a, "E1", 1..=5), instances(b, "E1", 1..=2)].concat());
    relais.kill();
    let relais = radiology.start();
    let first = radiology.has(&relais, a, 5);
    let second = radiology.has(&relais, b, 2);
    assert_eq!(first["series"][0]["instance"].as_array().unwrap().len(), 5);
    // The report after its studies.
    radiology.report("E1", "P");
    let both = BTreeSet::from([reference(&first), reference(&second)]);
    wait_until("the report names both", || radiology.studies_of_report("E1").as_ref() == Some(&both));
    // A report before its study, which comes while the engine is killed.
    radiology.report("E2", "F");
    wait_until("the report is there", || radiology.studies_of_report("E2") == Some(BTreeSet::new()));
    radiology.send(&instances(c, "E2", 1..=3));
    relais.kill();
    let relais = radiology.start();
    let third = BTreeSet::from([reference(&radiology.has(&relais, c, 3))]);
    wait_until("its study is linked", || radiology.studies_of_report("E2").as_ref() == Some(&third));
    // A late instance, and a corrected report.
    radiology.send(&instances(a, "E1", 6..=6));
    let late = radiology.has(&relais, a, 6);
    assert_eq!(late["id"], first["id"]);
    radiology.report("E1", "F");
    let report = || radiology.chart.search(&format!("DiagnosticReport?identifier={ORDERS}|E1"));
    let is_final = || report().iter().any(|report| report["status"] == "final");
    let told = || relais.get("/api/v1/messages?channel=examinations").map(|found| found.1);
    assert!(tests::comes_true(PATIENCE, is_final), "{:?} {:?} {}", report(), told(), relais.log());
    wait_until("it names both still", || radiology.studies_of_report("E1").as_ref() == Some(&both));
    // The order that all of them are of is one, and the study says where it is seen.
    let order = radiology.chart.search(&format!("ServiceRequest?identifier={ORDERS}|E1"));
    assert_eq!(order.len(), 1, "{order:?}");
    assert_eq!(late["basedOn"][0]["reference"], reference(&order[0]));
    let ways = late["endpoint"].as_array().unwrap().iter().map(|way| {
        let (status, endpoint) = radiology.chart.ask("GET", way["reference"].as_str().unwrap(), "");
        assert_eq!(status, 200, "{endpoint}");
        endpoint["address"].as_str().unwrap().to_owned()
    });
    let rendered = format!("/dicom-web/studies/{a}/rendered");
    assert!(ways.collect::<Vec<_>>().iter().any(|address| address.ends_with(&rendered)));
    assert_eq!(radiology.archive.ask("GET", &rendered, b"").unwrap().0, 200);
    assert_eq!(radiology.chart.search("ImagingStudy").len(), 3);
    assert_eq!(radiology.chart.search("Patient").len(), 1);
    assert_eq!(radiology.archive.count(), 6 + 2 + 3);
}
