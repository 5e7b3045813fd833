//! The script alone: ten statements on a message of thirty segments, in this process.

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use engine::{Context, Hash, Inputs, Message, MessageId, Script as _};
use jiff::tz::TimeZone;
use scripts::{At, Format, Library, Limits, Program, ProgramFile, StepFile, Whereabouts};

use super::super::{Bench, Scenario, oru, report::Row, stand};
use crate::cli::Complaint;

const SEGMENTS: usize = 30;
/// So many times are measured, each of several runs.
const ROUNDS: u32 = 20;

pub(in super::super) fn measure(bench: &Bench) -> Result<(), Complaint> {
    let program = program(stand::SCRIPT)?;
    let message = message();
    let round = bench.lasts() / ROUNDS;
    time_each(&program, &message, round)?;
    let mut times =
        (0..ROUNDS).map(|_| time_each(&program, &message, round)).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    let mut row = Row::of(Scenario::Script, "ten statements on a message of 30 segments, one thread");
    row.count("segments", SEGMENTS as u64);
    row.bytes("size", message.body.len() as u64);
    row.time("each", times[times.len() / 2]);
    row.time("fastest_round", times[0]);
    bench.tell(row);
    Ok(())
}

/// Runs it again and again for so long; returns what one run took.
fn time_each(program: &Program, message: &Message, round: Duration) -> Result<Duration, Complaint> {
    let (began, mut runs) = (Instant::now(), 0);
    while runs == 0 || began.elapsed() < round {
        let facts = Arc::clone(&message.facts);
        let context = Context::new(Arc::from("bench"), MessageId(1), facts, Inputs::Live);
        let ended = black_box(program.transform(black_box(message), &context));
        ended.map_err(|_| Complaint::wrong("the measured script failed"))?;
        runs += 1;
    }
    Ok(began.elapsed() / runs)
}

fn program(code: &str) -> Result<Program, Complaint> {
    let (library, _) = Library::load(Path::new("."));
    let step = StepFile::Script { code: code.to_owned(), as_text: false };
    let file = ProgramFile {
        format: Format::Hl7,
        charset: None,
        zone: TimeZone::UTC,
        steps: vec![At::new(engine::Path::parse("steps"), step)],
        outlets: Vec::new(),
        expect: None,
        group: None,
        reply: None,
        index: Vec::new(),
        whereabouts: Whereabouts::default(),
    };
    scripts::compile(file, &library, Limits::default())
        .map_err(|_| Complaint::wrong("the measured script does not compile"))
}

fn message() -> Message {
    Message {
        id: MessageId(1),
        body: oru::with_segments(SEGMENTS).into(),
        facts: Arc::default(),
        control_id: Some("1-0-0-0".to_owned()),
        identity: Hash::of(&[b"bench"]),
        received: SystemTime::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_result_is_an_observation_of_a_bundle() {
        let message = message();
        let context = Context::new(Arc::from("bench"), message.id, Arc::clone(&message.facts), Inputs::Live);
        let pieces = program(stand::FHIR).unwrap().transform(&message, &context).unwrap();
        let bundle: Value = serde_json::from_slice(pieces[0].body.bytes().unwrap()).unwrap();
        assert_eq!(
            [&bundle["resourceType"], &bundle["type"], &bundle["timestamp"]],
            ["Bundle", "collection", "2026-03-01T08:00:00+01:00"]
        );
        let observations: Vec<_> =
            bundle["entry"].as_array().unwrap().iter().map(|one| &one["resource"]).collect();
        assert_eq!(
            observations.len(),
            String::from_utf8_lossy(message.body.bytes().unwrap()).matches("OBX|").count()
        );
        let high = observations[7];
        assert_eq!(high["id"], format!("{}-8", bundle["id"].as_str().unwrap()));
        assert_eq!(high["status"], "final");
        assert_eq!(high["subject"]["identifier"]["value"], oru::patient_name(0));
        let mmol = json!({
            "value": 8.8, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"
        });
        assert_eq!(high["valueQuantity"], mmol);
        assert_eq!(high["interpretation"][0]["coding"][0]["code"], "H");
        let comment = observations[9];
        assert_eq!(comment["valueString"], "Sample slightly haemolysed");
        assert_eq!((comment.get("interpretation"), comment.get("valueQuantity")), (None, None));
    }
}
