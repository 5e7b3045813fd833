//! Prints what steps cost on an ORU of twelve segments, the mapping to FHIR among them: `cargo run --release -p scripts --example step_speed [ROUNDS]`.

use std::{
    env,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Instant, SystemTime},
};

use engine::{Context, Hash, Inputs, Message, MessageId, Script};
use jiff::tz::TimeZone;
use scripts::{At, Format, Library, Limits, ProgramFile, StepFile, Whereabouts};

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

fn main() {
    let rounds: u32 = env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(2_000);
    let (library, faults) = Library::load(Path::new("/nonexistent"));
    assert!(faults.is_empty(), "{faults:?}");
    let cases: [(&str, &[&str]); 5] = [
        ("nothing", &[]),
        ("one empty script", &["()"]),
        ("ten statements", &[CODE]),
        ("one field set", &["msg[\"PID-8\"] = \"F\";"]),
        ("to FHIR", &[TO_FHIR]),
    ];
    for (name, steps) in cases {
        let program = program(steps, &library);
        let message = message();
        let run = || {
            let context =
                Context::new(Arc::from("speed"), MessageId(1), Arc::clone(&message.facts), Inputs::Live);
            black_box(program.transform(black_box(&message), &context)).expect("the script is sound");
        };
        (0..rounds).for_each(|_| run());
        let best = (0..9)
            .map(|_| {
                let begun = Instant::now();
                (0..rounds).for_each(|_| run());
                begun.elapsed() / rounds
            })
            .min();
        println!("{name}: {:?} for each message", best.unwrap_or_default());
    }
}

fn program(steps: &[&str], library: &Library) -> scripts::Program {
    let step = |code: &&str| StepFile::Script { code: (*code).to_owned(), as_text: false };
    let at = |(index, step)| At::new(engine::Path::parse("steps").join(index), step);
    let file = ProgramFile {
        format: Format::Hl7,
        charset: None,
        zone: TimeZone::UTC,
        steps: steps.iter().map(step).enumerate().map(at).collect::<Vec<At<StepFile>>>(),
        outlets: Vec::new(),
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
