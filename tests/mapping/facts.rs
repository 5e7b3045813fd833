//! What a message says, fact by fact, and whether the Bundle that was made of it says it too.

use serde_json::Value;

use super::message::{Message, Segment};

/// The kinds of facts, in the order of the table.
pub(crate) const KINDS: [&str; 9] =
    ["identifiers", "names", "codes", "values", "units", "statuses", "ranges", "interpretations", "links"];

/// One thing that a message says.
pub(crate) struct Fact {
    pub(crate) kind: &'static str,
    /// Where it stands: never what it is.
    pub(crate) place: String,
    pub(crate) arrived: bool,
}

/// Looks for all facts of a message in its Bundle.
pub(crate) fn compare(message: &Message, bundle: &Value) -> Vec<Fact> {
    let mut search = Search { message, bundle: Resources::of(bundle), facts: Vec::new() };
    search.identifiers();
    search.names();
    if is_document(message) {
        search.document();
    } else {
        search.results();
    }
    search.orders();
    search.facts
}

/// The resources of a Bundle, each with its address.
struct Resources<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Resources<'a> {
    fn of(bundle: &'a Value) -> Self {
        let entries = bundle["entry"].as_array().into_iter().flatten();
        Self(
            entries
                .map(|entry| (entry["fullUrl"].as_str().unwrap_or_default(), &entry["resource"]))
                .collect(),
        )
    }

    fn all(&self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> + '_ {
        self.0.iter().copied().filter(move |(_, resource)| resource["resourceType"] == kind)
    }

    fn at(&self, reference: &Value) -> Option<&'a Value> {
        let address = reference["reference"].as_str()?;
        self.0.iter().find(|(known, _)| *known == address).map(|(_, resource)| *resource)
    }
}

struct Search<'a> {
    message: &'a Message,
    bundle: Resources<'a>,
    facts: Vec<Fact>,
}

/// Without blanks: line ends and alignment are no facts.
fn squeezed(text: &str) -> String {
    text.chars().filter(|one| !one.is_whitespace() && !one.is_control()).collect()
}

fn same(left: &str, right: &str) -> bool {
    squeezed(left) == squeezed(right)
}

/// Whether a text stands anywhere in a value.
fn says(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => same(text, wanted),
        Value::Array(list) => list.iter().any(|item| says(item, wanted)),
        Value::Object(map) => map.values().any(|item| says(item, wanted)),
        _ => false,
    }
}

fn mentions(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => squeezed(text).contains(&squeezed(wanted)),
        Value::Array(list) => list.iter().any(|item| mentions(item, wanted)),
        Value::Object(map) => map.values().any(|item| mentions(item, wanted)),
        _ => false,
    }
}

impl Search<'_> {
    fn note(&mut self, kind: &'static str, place: &str, arrived: bool) {
        self.facts.push(Fact { kind, place: place.to_owned(), arrived });
    }

    /// Whether a resource of these kinds bears a number.
    fn bears(&self, kinds: &[&str], wanted: &str) -> bool {
        self.bundle.0.iter().any(|(_, resource)| {
            kinds.iter().any(|kind| resource["resourceType"] == *kind)
                && (says(&resource["identifier"], wanted) || says(&resource["requisition"], wanted))
        })
    }

    /// Numbers of patients, stays, orders, specimens and documents, each in the resource it belongs to.
    fn identifiers(&mut self) {
        let places: [(&str, &[usize], &[&str]); 7] = [
            ("PID", &[3], &["Patient"]),
            ("MRG", &[1], &["Patient"]),
            ("PV1", &[19], &["Encounter"]),
            ("ORC", &[2, 3], &["ServiceRequest", "DiagnosticReport"]),
            ("OBR", &[2, 3], &["ServiceRequest", "DiagnosticReport"]),
            ("SPM", &[2], &["Specimen"]),
            ("TXA", &[12], &["DocumentReference"]),
        ];
        for (segment, fields, kinds) in places {
            for found in self.message.all(segment) {
                for field in fields {
                    for text in self.message.repetitions(found.field(*field)) {
                        let wanted = self.message.leaf(text, 1);
                        if wanted.is_empty() || (segment == "PV1" && found.field(2) == "N") {
                            continue;
                        }
                        let arrived = self.bears(kinds, &wanted);
                        self.note("identifiers", &format!("{segment}-{field}"), arrived);
                    }
                }
            }
        }
    }

    /// The patient's names, and those of professionals.
    fn names(&mut self) {
        for pid in self.message.all("PID") {
            for text in self.message.repetitions(pid.field(5)) {
                let wanted = [self.message.leaf(text, 1), self.message.component(text, 2)];
                let wanted: Vec<String> = wanted.into_iter().filter(|part| !part.is_empty()).collect();
                let patients = self.bundle.all("Patient").collect::<Vec<_>>();
                let has_all = |name: &Value| wanted.iter().all(|part| says(name, part));
                let arrived = patients.iter().any(|(_, patient)| {
                    patient["name"].as_array().is_some_and(|names| names.iter().any(has_all))
                });
                self.note("names", "PID-5", arrived || wanted.is_empty());
            }
        }
        for (segment, field) in [("PV1", 7), ("PV1", 8), ("PV1", 17), ("ORC", 12), ("OBR", 16), ("OBX", 16)] {
            for found in self.message.all(segment) {
                for text in self.message.repetitions(found.field(field)) {
                    let family = self.message.leaf(text, 2);
                    if family.is_empty() || (segment == "PV1" && found.field(2) == "N") {
                        continue;
                    }
                    let arrived = self.bundle.0.iter().any(|(_, resource)| mentions(resource, &family));
                    self.note("names", &format!("{segment}-{field}"), arrived);
                }
            }
        }
    }

    /// A document's lines and attachments, wherever in its `DocumentReference`.
    fn document(&mut self) {
        for obx in self.message.all("OBX") {
            for text in self.message.repetitions(obx.field(5)) {
                let arrived =
                    self.bundle.all("DocumentReference").any(|(_, document)| self.holds(document, obx, text));
                self.note("values", "OBX-5", arrived);
            }
        }
    }

    fn holds(&self, document: &Value, obx: &Segment, text: &str) -> bool {
        let contents = document["content"].as_array().into_iter().flatten();
        let mut attachments = contents.map(|content| &content["attachment"]);
        attachments.any(|attachment| self.is_attached(attachment, obx.field(2), text))
    }

    fn is_attached(&self, attachment: &Value, kind: &str, text: &str) -> bool {
        let data = attachment["data"].as_str().unwrap_or_default();
        let decoded = decode_base64(data);
        match kind {
            "RP" => says(attachment, &self.message.component(text, 1)),
            "ED" => {
                let wanted = squeezed(&self.message.component(text, 5));
                squeezed(data) == wanted || squeezed(&decoded).contains(&wanted)
            }
            _ => squeezed(&decoded).contains(&squeezed(&self.message.decoded(text))),
        }
    }

    /// Each OBX, and the Observation that it became: the first of its code that no OBX before it has taken.
    fn results(&mut self) {
        let mut taken: Vec<&str> = Vec::new();
        let observations: Vec<_> = self.bundle.all("Observation").collect();
        let mut request: Option<&Segment> = None;
        let message = self.message;
        for segment in &message.segments {
            match segment.name.as_str() {
                "OBR" => request = Some(segment),
                "SPM" => request = None,
                "OBX" => {
                    let found = observations.iter().find(|(address, observation)| {
                        !taken.contains(address) && self.is_of(observation, segment)
                    });
                    if let Some((address, _)) = found {
                        taken.push(address);
                    }
                    self.result(segment, found.copied(), request);
                }
                _ => {}
            }
        }
    }

    fn is_of(&self, observation: &Value, obx: &Segment) -> bool {
        let codes = [1, 4, 2].map(|at| self.message.component(obx.field(3), at));
        let wanted = codes.iter().find(|code| !code.is_empty());
        let Some(wanted) = wanted else { return observation["code"]["text"] == "unknown" };
        says(&observation["code"], wanted)
    }

    fn result(&mut self, obx: &Segment, found: Option<(&str, &Value)>, request: Option<&Segment>) {
        let (address, observation) = found.unwrap_or(("", &Value::Null));
        let (message, kind) = (self.message, obx.field(2));
        if !obx.field(3).is_empty() {
            self.note("codes", "OBX-3", found.is_some());
        }
        for text in message.repetitions(obx.field(5)) {
            let arrived = self.has_value(observation, kind, text);
            self.note("values", &format!("OBX-5 {kind}"), arrived);
        }
        let unit = [message.component(obx.field(6), 1), message.component(obx.field(6), 2)];
        if matches!(kind, "NM" | "SN") && !obx.field(5).is_empty() && !unit.concat().is_empty() {
            let mut measured = values(observation).chain([&observation["referenceRange"]]);
            let has = |value: &Value| unit.iter().any(|unit| !unit.is_empty() && says(value, unit));
            let arrived = measured.any(has);
            self.note("units", "OBX-6", arrived);
        }
        if !obx.field(11).is_empty() {
            self.note("statuses", "OBX-11", is_status(obx.field(11), &observation["status"]));
        }
        for text in message.repetitions(obx.field(7)) {
            let arrived = says(&observation["referenceRange"], &message.decoded(text));
            self.note("ranges", "OBX-7", arrived);
        }
        for text in message.repetitions(obx.field(8)) {
            let wanted = [message.component(text, 1), message.component(text, 2)];
            let wanted = wanted.into_iter().find(|part| !part.is_empty()).unwrap_or_default();
            self.note("interpretations", "OBX-8", says(&observation["interpretation"], &wanted));
        }
        self.links(address, observation, request);
    }

    /// The result to its patient, its stay, its report, and the report to the order.
    fn links(&mut self, address: &str, observation: &Value, request: Option<&Segment>) {
        let is = |reference: &Value, kind: &str| {
            self.bundle.at(reference).is_some_and(|resource| resource["resourceType"] == kind)
        };
        if self.message.first("PID").is_some() {
            let arrived = is(&observation["subject"], "Patient");
            self.note("links", "OBX to PID", arrived);
        }
        let Some(request) = request.filter(|_| is_result(self.message)) else { return };
        let report = self.bundle.all("DiagnosticReport").find(|(_, report)| {
            let results = report["result"].as_array().into_iter().flatten();
            results.into_iter().any(|result| result["reference"] == address)
        });
        self.note("links", "OBX to OBR", report.is_some());
        let placer = self.message.component(request.field(2), 1);
        if !placer.is_empty() && self.message.first("PID").is_some() {
            let order = report.and_then(|(_, report)| self.bundle.at(&report["basedOn"][0]));
            let arrived =
                order.is_some_and(|order| order["resourceType"] == "ServiceRequest" && says(order, &placer));
            self.note("links", "OBR to its order", arrived);
        }
    }

    /// Each OBR of an order message: what is asked for, for whom.
    fn orders(&mut self) {
        if is_result(self.message)
            || self.message.first("TXA").is_some()
            || self.message.first("PID").is_none()
        {
            return;
        }
        for obr in self.message.all("OBR") {
            for text in self.message.repetitions(obr.field(4)) {
                let codes = [1, 4, 2].map(|at| self.message.component(text, at));
                let Some(wanted) = codes.into_iter().find(|code| !code.is_empty()) else { continue };
                let asks =
                    |order: &Value| says(&order["code"], &wanted) || says(&order["orderDetail"], &wanted);
                let order = self.bundle.all("ServiceRequest").find(|(_, order)| asks(order));
                let arrived = order.is_some_and(|(_, order)| self.bundle.at(&order["subject"]).is_some());
                let is_there = order.is_some();
                self.note("codes", "OBR-4", is_there);
                self.note("links", "OBR to PID", arrived);
            }
        }
    }

    fn has_value(&self, observation: &Value, kind: &str, text: &str) -> bool {
        let mut values = values(observation);
        let message = self.message;
        match kind {
            "NM" => values.any(|value| is_number(value, &message.decoded(text)) || mentions(value, text)),
            "SN" => values.any(|value| {
                let has = |at| {
                    let piece = message.component(text, at);
                    piece.is_empty() || mentions(value, &piece) || is_number(value, &piece)
                };
                [1, 2, 4].into_iter().all(|at| (at == 1 && message.component(text, 1) == "=") || has(at))
            }),
            "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => {
                let wanted = [1, 2, 4, 5, 9].map(|at| message.component(text, at));
                values.any(|value| wanted.iter().all(|part| part.is_empty() || says(value, part)))
            }
            "DT" | "TS" | "DTM" | "TM" => values.any(|value| is_time(value, &message.component(text, 1))),
            "ED" | "RP" => {
                let reports = self
                    .bundle
                    .all("DiagnosticReport")
                    .filter_map(|(_, report)| report["presentedForm"].as_array());
                let mut forms = reports.flatten().chain(values);
                forms.any(|form| self.is_attached(form, kind, text))
            }
            _ => values.any(|value| mentions(value, &message.decoded(text))),
        }
    }
}

fn is_document(message: &Message) -> bool {
    message.component(message.segments[0].field(9), 1) == "MDM"
}

fn is_result(message: &Message) -> bool {
    let kind = message.component(message.segments[0].field(9), 1);
    !matches!(kind.as_str(), "ORM" | "OML" | "OMG" | "OMI" | "ORL" | "ORR" | "ORG" | "ADT")
}

/// The values of an Observation: its own, its components', and the documents in its extensions.
fn values(observation: &Value) -> impl Iterator<Item = &Value> {
    let components = observation["component"].as_array().into_iter().flatten();
    let extensions = observation["extension"].as_array().into_iter().flatten();
    let elements = components.chain(extensions).chain([observation]);
    elements.flat_map(|element| {
        let members = element.as_object().into_iter().flatten();
        members.filter(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
    })
}

/// Whether a number stands in a value with just these digits.
fn is_number(value: &Value, text: &str) -> bool {
    let wanted = plain(text);
    match value {
        Value::Number(number) => !wanted.is_empty() && plain(&number.to_string()) == wanted,
        Value::Object(map) => map.values().any(|item| is_number(item, text)),
        _ => false,
    }
}

/// A number without what says nothing: `+`, a comparator, zeros before it, a point behind it.
fn plain(number: &str) -> String {
    let number = squeezed(number);
    let number = number.trim_start_matches(['<', '>', '=', '+']);
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let digits = digits.trim_start_matches('0').trim_end_matches('.');
    let digits =
        if digits.is_empty() || digits.starts_with('.') { format!("0{digits}") } else { digits.to_owned() };
    format!("{sign}{digits}")
}

/// Whether a date or time has these digits, as far as they go.
fn is_time(value: &Value, text: &str) -> bool {
    let Some(written) = value.as_str() else { return false };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let wanted = digits(text.split(['+', '-', '.']).next().unwrap_or_default());
    digits(written).starts_with(&wanted) || same(written, text)
}

fn is_status(code: &str, status: &Value) -> bool {
    let wanted: &[&str] = match code {
        "F" => &["final"],
        "P" => &["preliminary"],
        "C" => &["corrected"],
        "A" => &["amended"],
        "X" => &["cancelled"],
        "D" | "W" => &["entered-in-error"],
        "R" | "S" => &["preliminary", "registered"],
        "I" | "O" => &["registered"],
        _ => return status.is_string(),
    };
    status.as_str().is_some_and(|status| wanted.contains(&status))
}

/// The text behind base64; empty where it is none.
fn decode_base64(data: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in data.bytes().filter(|letter| *letter != b'=') {
        let Some(value) = LETTERS.iter().position(|known| *known == letter) else { return String::new() };
        held = held << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
