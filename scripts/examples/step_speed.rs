//! Prints what steps cost on an ORU of twelve segments, the mapping to FHIR among them, all or those of one name:
//! `cargo run --release -p scripts --example step_speed [ROUNDS] [NAME]`.

use std::{
    env,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Instant, SystemTime},
};

use engine::{Context, Hash, Inputs, Message, MessageId, Script};
use jiff::tz::TimeZone;
use scripts::{At, Format, Library, Limits, OutletFile, ProgramFile, StepFile, Whereabouts};

const CODE: &str = r#"
let family = msg["PID-5.1"];
let given = msg["PID-5.2"];
msg["PID-5.1"] = family.to_upper();
msg["PID-8"] = if msg["PID-8"] == "1" { "M" } else { "F" };
let high = [];
for obx in msg.segments("OBX") {
    if obx["8"] == "H" { high.push(obx["3.1"]); }
}
#{ id: msg["PID-3.1"], family: family, given: given, high: high }
"#;

/// The whole mapping, as `relais/oru_to_fhir` calls it.
const TO_FHIR: &str = r#"
import "relais/fhir/results" as results;
let to = fhir(msg, #{});
results::fill_results(to);
to.take_transaction()
"#;

/// What a file of a Bundle is called by.
const FILE_NAME: &str = r#"${msg["identifier.value"]}.json"#;

/// Steps to be measured, and what names the file of what they made.
struct Case {
    name: &'static str,
    steps: &'static [&'static str],
    file_name: Option<&'static str>,
}

const CASES: &[Case] = &[
    Case { name: "nothing", steps: &[], file_name: None },
    Case { name: "one empty script", steps: &["()"], file_name: None },
    Case { name: "ten statements", steps: &[CODE], file_name: None },
    Case { name: "one field set", steps: &["msg[\"PID-8\"] = \"F\";"], file_name: None },
    Case { name: "to FHIR", steps: &[TO_FHIR], file_name: None },
    Case { name: "to FHIR and named", steps: &[TO_FHIR], file_name: Some(FILE_NAME) },
];

fn main() {
    let rounds: u32 = env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(2_000);
    let wanted = env::args().nth(2);
    let (library, faults) = Library::load(Path::new("/nonexistent"));
    assert!(faults.is_empty(), "{faults:?}");
    for case in CASES.iter().filter(|case| wanted.as_ref().is_none_or(|wanted| wanted == case.name)) {
        let program = program(case, &library);
        let message = message();
        let run = || once(&program, black_box(&message), case.file_name.is_some());
        (0..rounds).for_each(|_| run());
        let best = (0..9)
            .map(|_| {
                let begun = Instant::now();
                (0..rounds).for_each(|_| run());
                begun.elapsed() / rounds
            })
            .min();
        println!("{}: {:?} for each message", case.name, best.unwrap_or_default());
    }
}

/// One message through the steps, and to its destination where there is one.
fn once(program: &scripts::Program, message: &Message, is_named: bool) {
    let context = Context::new(Arc::from("speed"), MessageId(1), Arc::clone(&message.facts), Inputs::Live);
    let pieces = program.transform(message, &context).expect("the script is sound");
    if is_named {
        black_box(program.route(&pieces[0], 0, &context)).expect("it has what names it");
    }
    black_box(pieces);
}

fn program(case: &Case, library: &Library) -> scripts::Program {
    let step = |code: &&str| StepFile::Script { code: (*code).to_owned(), as_text: false };
    let at = |(index, step)| At::new(engine::Path::parse("steps").join(index), step);
    let outlet = |name: &str| OutletFile {
        name: "out".to_owned(),
        path: engine::Path::parse("destinations.0"),
        when: None,
        steps: Vec::new(),
        texts: vec![(
            "name".to_owned(),
            At::new(engine::Path::parse("destinations.0.to.file.name"), name.to_owned()),
        )],
        key: Vec::new(),
        on_response: Vec::new(),
        after: None,
    };
    let file = ProgramFile {
        format: Format::Hl7,
        charset: None,
        zone: TimeZone::UTC,
        steps: case.steps.iter().map(step).enumerate().map(at).collect::<Vec<At<StepFile>>>(),
        outlets: case.file_name.map(outlet).into_iter().collect(),
        expect: None,
        group: None,
        reply: None,
        index: Vec::new(),
        whereabouts: Whereabouts::default(),
    };
    scripts::compile(file, library, Limits::default()).expect("the script is sound")
}

fn message() -> Message {
    let results: Vec<String> = (1..=7)
        .map(|n| format!("OBX|{n}|NM|K{n}^Potassium {n}^L||{n}.50|mmol/L|3.5-5.1|{}|||F|||20260301080000||DUPONT^MARIE^^^DR|LAB1\r", if n % 2 == 0 { "H" } else { "N" }))
        .collect();
    let body = format!(
        "MSH|^~\\&|LAB|HOP|REC|HOP|20260301080000||ORU^R01^ORU_R01|MSG001|P|2.5|||AL|NE|FRA|UNICODE UTF-8\r\
         PID|1||12345678^^^HOP&1.2.250.1.71.4.2.7&ISO^PI~1850312075123^^^ASIP-SANTE-INS-NIR^INS||DUPONT^JEAN^PIERRE^^M^^L||19850312|1|||12 RUE DES LILAS^^PARIS^^75012^FRA\r\
         PV1|1|I|CAR^101^1^HOP||||MARTIN^LEA^^^DR|||||||||||V42^^^HOP\r\
         ORC|RE|PL1|FI1||CM||||20260301075500\r\
         OBR|1|PL1|FI1|IONO^Ionogramme^L|||20260301073000|||||||||MARTIN^LEA\r{}",
        results.concat()
    );
    Message {
        id: MessageId(1),
        body: body.into(),
        facts: Arc::default(),
        control_id: Some("MSG001".to_owned()),
        identity: Hash::of(&[b"speed"]),
        received: SystemTime::UNIX_EPOCH,
    }
}
