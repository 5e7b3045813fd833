//! `examples/lab` as a whole: the real binary between a laboratory and a chart that are not ours. What arrives is asked of the chart,
//! by searching it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{collections::BTreeMap, process::Command};

use serde_json::{Value, json};
use tests::{
    Cutting, FhirServer, Maker, Project, Receiving, Relais, Sender, binary, free_port, mshfield, python,
    wait_until,
};

const HOSPITAL: &str = "urn:oid:1.2.250.1.999.1";
const WARD: &str = "urn:oid:1.2.250.1.999.2";

/// The example between its laboratory and its chart.
struct Loop {
    project: Project,
    /// Where the laboratory sends its results, and others what they have for the chart.
    port: u16,
    laboratory: Receiving,
    chart: FhirServer,
    /// What Relais takes for the chart.
    base: String,
}

impl Loop {
    fn new(chart: FhirServer) -> Self {
        let port = free_port();
        let mut laboratory = python("laboratory.py");
        laboratory.arg(port.to_string());
        let laboratory = Receiving::start(laboratory);
        let mut ports: BTreeMap<u16, u16> = (2675..2680).map(|port| (port, free_port())).collect();
        ports.extend([(2678, port), (2701, free_port()), (2702, laboratory.port)]);
        let project = Project::of_example("lab", &ports);
        let base = chart.base();
        Self { project, port, laboratory, chart, base }
    }

    fn start(&self) -> Relais {
        Relais::start_with(&self.project, Command::new(binary()).env("CHART", &self.base))
    }

    fn message(&self, name: &str) -> String {
        std::fs::read_to_string(self.project.path(&format!("messages/{name}.hl7"))).unwrap()
    }

    /// Sends a message to the chart, and waits until the chart has it.
    fn send(&self, relais: &Relais, message: &str) {
        let answer = Sender::connect(self.port).unwrap().send(message.as_bytes()).unwrap();
        assert_eq!(mshfield(&answer, "MSA", 1), "AA", "{}", String::from_utf8_lossy(&answer));
        settle(relais);
        let given_up = relais.get("/api/v1/messages?channel=chart&state=given_up").unwrap().1;
        assert_eq!(given_up, "[]", "{}", relais.log());
    }

    /// The only resource that a search finds.
    #[track_caller]
    fn only(&self, query: &str) -> Value {
        let mut found = self.chart.search(query);
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        found.remove(0)
    }

    fn patient(&self, number: &str) -> Value {
        self.only(&format!("Patient?identifier={HOSPITAL}|{number}"))
    }

    fn order(&self, number: &str) -> Value {
        self.only(&format!("ServiceRequest?identifier={WARD}|{number}"))
    }

    fn of(&self, kind: &str, subject: &Value) -> Vec<Value> {
        self.chart.search(&format!("{kind}?subject={}", reference(subject)))
    }

    fn counts(&self) -> Vec<usize> {
        let kinds = ["Patient", "Encounter", "ServiceRequest", "Observation", "DiagnosticReport", "Location"];
        kinds.map(|kind| self.chart.search(kind).len()).to_vec()
    }
}

fn settle(relais: &Relais) {
    let waiting = || relais.metric("relais_queue_depth{channel=\"chart\",destination=\"chart\"}");
    wait_until("the chart has it", || waiting() == Some(0.0));
}

fn reference(resource: &Value) -> String {
    format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap())
}

fn refers(value: &Value, to: &Value) -> bool {
    value["reference"].as_str() == Some(&reference(to))
}

#[test]
fn each_story_of_the_laboratory_is_found_in_the_chart_of_sekmet() {
    stories(Maker::Sekmet);
}

#[test]
fn each_story_of_the_laboratory_is_found_in_the_chart_of_medplum() {
    stories(Maker::Medplum);
}

#[test]
fn each_story_of_the_laboratory_is_found_in_the_chart_of_helios_which_refuses_what_is_not_valid() {
    stories(Maker::Helios);
}

fn stories(maker: Maker) {
    let mut lab = Loop::new(FhirServer::of(maker));
    let relais = lab.start();
    an_order_of_the_chart_comes_back_as_a_result(&mut lab);
    a_result_comes_before_its_order_is_repeated_and_corrected(&lab, &relais);
    a_late_order_completes_what_the_result_knew_and_is_cancelled(&lab, &relais);
    a_code_nobody_knows_and_a_result_without_order_are_kept_as_what_they_are(&lab, &relais);
    of_two_patients_that_were_one_what_comes_later_goes_to_the_one_that_stands(&lab, &relais);
}

fn an_order_of_the_chart_comes_back_as_a_result(lab: &mut Loop) {
    let made = |kind: &str, resource: Value| {
        let (status, made) = lab.chart.ask("POST", kind, &resource.to_string());
        assert_eq!(status, 201, "{made}");
        made
    };
    let patient = made(
        "Patient",
        json!({
            "resourceType": "Patient", "birthDate": "1980-02-01", "gender": "male",
            "identifier": [{ "system": HOSPITAL, "value": "910020" }], "name": [{ "family": "ÉTÉ", "given": ["NOÉ"] }],
        }),
    );
    let mut order = made(
        "ServiceRequest",
        json!({
            "resourceType": "ServiceRequest", "status": "active", "intent": "order",
            "identifier": [{ "system": WARD, "value": "P-801" }], "subject": { "reference": reference(&patient) },
            "category": [{ "coding": [{ "system": "http://snomed.info/sct", "code": "108252007" }] }],
            "code": { "coding": [{ "system": "http://loinc.org", "code": "2823-3", "display": "Potassium" }] },
        }),
    );
    let read = lab.laboratory.next_read();
    assert_eq!((&read["control"], &read["order"]), (&json!("NW"), &json!("P-801^WARD")));
    assert_eq!((&read["patient"], &read["name"]), (&json!("910020^^^HOSPITAL"), &json!("ÉTÉ^NOÉ")));
    assert_eq!(lab.laboratory.next_read(), json!({ "reported": "P-801^WARD", "code": "AA" }));

    wait_until("the result is in the chart", || !lab.of("Observation", &patient).is_empty());
    let result = lab.of("Observation", &patient).remove(0);
    assert!(refers(&result["basedOn"][0], &order), "{result}");
    assert_eq!(result["code"]["coding"][0]["code"], "2823-3");
    let quantity = &result["valueQuantity"];
    assert_eq!((&quantity["unit"], quantity["value"].as_f64()), (&json!("mmol/L"), Some(4.2)));
    let report = lab.of("DiagnosticReport", &patient).remove(0);
    assert!(refers(&report["result"][0], &result) && refers(&report["basedOn"][0], &order), "{report}");
    assert_eq!(lab.patient("910020")["id"], patient["id"], "the chart's own patient was found");
    assert_eq!(lab.order("P-801")["id"], order["id"], "the chart's own order was found");

    order["status"] = "revoked".into();
    let (status, told) = lab.chart.ask("PUT", &reference(&order), &order.to_string());
    assert_eq!(status, 200, "{told}");
    let read = lab.laboratory.next_read();
    assert_eq!((&read["control"], &read["order"]), (&json!("CA"), &json!("P-801^WARD")));
}

fn a_result_comes_before_its_order_is_repeated_and_corrected(lab: &Loop, relais: &Relais) {
    lab.send(relais, &lab.message("chart-result"));
    let patient = lab.patient("910004");
    let first = lab.of("Observation", &patient).remove(0);
    assert_eq!(
        (&first["status"], &first["interpretation"][0]["coding"][0]["code"]),
        (&json!("final"), &json!("H"))
    );
    let coded: Vec<&Value> =
        first["code"]["coding"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(coded, ["KAL", "2823-3"]);
    assert!(refers(&first["basedOn"][0], &lab.order("P-701")));
    let counts = lab.counts();

    lab.send(relais, &lab.message("chart-result-again"));
    assert_eq!(lab.counts(), counts);
    lab.send(relais, &lab.message("chart-result-corrected"));
    // What the analyser sends a second time is older than the correction.
    lab.send(relais, &lab.message("chart-result-again"));
    assert_eq!(lab.counts(), counts);
    let corrected = lab.of("Observation", &patient).remove(0);
    assert_eq!((&corrected["id"], &corrected["status"]), (&first["id"], &json!("corrected")));
    assert_eq!(corrected["valueQuantity"]["value"].as_f64(), Some(5.1));
    assert_eq!(lab.of("DiagnosticReport", &patient)[0]["status"], "corrected");
}

fn a_late_order_completes_what_the_result_knew_and_is_cancelled(lab: &Loop, relais: &Relais) {
    let known = lab.order("P-701");
    assert_eq!(known["requester"], Value::Null);
    lab.send(relais, &lab.message("chart-order"));
    let completed = lab.order("P-701");
    assert_eq!((&completed["id"], &completed["priority"]), (&known["id"], &json!("stat")));
    assert_ne!(completed["requester"], Value::Null);
    let result = lab.of("Observation", &lab.patient("910004")).remove(0);
    assert!(refers(&result["basedOn"][0], &completed));
    lab.send(relais, &lab.message("chart-order-cancelled"));
    assert_eq!(lab.order("P-701")["status"], "revoked");
}

fn a_code_nobody_knows_and_a_result_without_order_are_kept_as_what_they_are(lab: &Loop, relais: &Relais) {
    lab.send(relais, &lab.message("chart-unknown-code"));
    lab.send(relais, &lab.message("chart-without-order"));
    let patient = lab.patient("910004");
    let results = lab.of("Observation", &patient);
    let of_code = |code: &str| {
        results.iter().find(|result| result["code"]["coding"][0]["code"] == code).unwrap().clone()
    };
    let unknown = of_code("XYZ")["code"]["coding"].clone();
    assert_eq!(
        unknown.as_array().unwrap().len(),
        1,
        "nobody is told that it is something it is not: {unknown}"
    );
    // Of an order that nobody placed, the laboratory's own number is known.
    let order = lab.only("ServiceRequest?identifier=urn:oid:1.2.250.1.999.3|L-9103");
    assert!(refers(&of_code("HB")["basedOn"][0], &order), "{order}");
    let numbers = order["identifier"].as_array().unwrap();
    assert!(numbers.iter().all(|number| number["system"] != WARD) && order["requester"].is_null(), "{order}");
}

fn of_two_patients_that_were_one_what_comes_later_goes_to_the_one_that_stands(lab: &Loop, relais: &Relais) {
    let of_old = |id: &str, order: &str| {
        let message = lab.message("chart-result").replace("910004", "910777").replace("V-9004", "V-9777");
        message.replace("CH-1", id).replace("P-701", order).replace("L-9101", &format!("L-{order}"))
    };
    lab.send(relais, &of_old("OLD-1", "P-901"));
    let (old, stands) = (lab.patient("910777"), lab.patient("910004"));
    assert_eq!((lab.of("Observation", &old).len(), lab.of("Observation", &stands).len()), (1, 3));

    for _ in 0..2 {
        lab.send(relais, &lab.message("chart-merge"));
        let merged = lab.patient("910777");
        assert_eq!((&merged["id"], &merged["active"]), (&old["id"], &json!(false)));
        assert_eq!(merged["link"][0]["type"], "replaced-by");
        assert!(refers(&merged["link"][0]["other"], &stands), "{merged}");
    }
    lab.send(relais, &of_old("OLD-2", "P-902"));
    assert_eq!((lab.of("Observation", &old).len(), lab.of("Observation", &stands).len()), (1, 4));
    assert!(refers(&lab.order("P-902")["subject"], &stands), "the order too");

    // Whoever has not heard of it yet changes the old number: it comes to life by nobody's word.
    let evn = "EVN|A08|20260301110000+0100\rPID|1||910777^^^HOSPITAL^PI||MOREL^LEA||19760402|F\r\
               PV1|1|I|CAR^15^2||||||||||||||||V-9777^^^HOSPITAL^VN\r";
    let changed = format!(
        "MSH|^~\\&|ADMISSIONS|HOSPITAL|RELAIS|HOSPITAL|20260301110000+0100||ADT^A08^ADT_A01|OLD-3|P|2.5|||||FRA|UNICODE UTF-8\r{evn}"
    );
    lab.send(relais, &changed);
    assert_eq!(lab.patient("910777")["active"], json!(false));
    assert!(refers(&lab.only(&format!("Encounter?identifier={HOSPITAL}|V-9777"))["subject"], &stands));
}

/// A result of one of ten patients, each of an order of its own.
fn numbered(number: usize) -> String {
    format!(
        "MSH|^~\\&|LIS|LAB|RELAIS|HOSPITAL|20260301080000+0100||ORU^R01^ORU_R01|N{number:03}|P|2.5|||||FRA|UNICODE UTF-8\r\
         PID|1||92000{}^^^HOSPITAL^PI||EXAMPLE^ANNA||19800101|F\rORC|RE|P-{number:03}^WARD|L-{number:03}^LAB\r\
         OBR|1|P-{number:03}^WARD|L-{number:03}^LAB|KAL^Kaliémie^L|||20260301071000+0100|||||||||||||||20260301080000+0100||CH|F\r\
         OBX|1|NM|KAL^Kaliémie^L||{number}|mmol/L|3.5-5.1|N|||F\r",
        number % 10
    )
}

#[test]
fn two_hundred_results_twice_with_kills_in_between_are_in_the_chart_once() {
    let server = FhirServer::start();
    let cutting = Cutting::start(server.port, 9);
    let mut lab = Loop::new(server);
    lab.base = format!("http://127.0.0.1:{}/fhir", cutting.port);
    // What is cut is asked again at once, and the laboratory has nothing to ask of the chart meanwhile.
    let channel = std::fs::read_to_string(lab.project.path("channels/chart.yaml")).unwrap();
    lab.project.channel("chart", &channel.replace("first: 1s", "first: 20ms"));
    std::fs::remove_file(lab.project.path("channels/placed.yaml")).unwrap();
    let mut relais = lab.start();
    for round in 0..2 {
        for number in 0..200 {
            if number % 80 == 60 {
                relais.kill();
                relais = lab.start();
            }
            let answer = Sender::connect(lab.port).unwrap().send(numbered(number).as_bytes()).unwrap();
            assert_eq!(mshfield(&answer, "MSA", 1), "AA", "{number} of round {round}");
        }
    }
    settle(&relais);
    assert!(cutting.cuts() > 15, "what was carried out was in doubt: {}", cutting.cuts());
    assert_eq!(lab.counts(), [10, 0, 200, 200, 200, 0]);
    for number in [0, 77, 199] {
        let order = lab.order(&format!("P-{number:03}"));
        let patient = lab.patient(&format!("92000{}", number % 10));
        let result = lab.only(&format!("Observation?based-on={}", reference(&order)));
        assert!(refers(&result["subject"], &patient) && refers(&order["subject"], &patient), "{result}");
        assert_eq!(result["valueQuantity"]["value"].as_f64(), Some(f64::from(number)));
    }
}
