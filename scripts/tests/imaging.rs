//! The instances of a study as one resource: what the shipped script makes of them, and of what is wrong with them.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod channel;

use std::time::Duration;

use channel::Channel;
use engine::Halt;
use scripts::{Limits, StepFile};
use serde_json::{Value, json};

fn header(number: usize) -> Value {
    json!({
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": format!("1.2.3.1.{number}"),
        "PatientID": "P1", "PatientName": "DOE^JANE^^DR=ド^ジェーン", "PatientBirthDate": "19800301", "PatientSex": "F",
        "StudyInstanceUID": "1.2.3", "StudyDate": "20260302", "StudyTime": "101500.25", "TimezoneOffsetFromUTC": "+0200",
        "RequestAttributesSequence[1].AccessionNumber": "A1", "ReferringPhysicianName": "WHO^DOCTOR",
        "SeriesInstanceUID": format!("1.2.3.{}", number % 7), "SeriesNumber": (number % 7).to_string(),
        "SeriesDescription": "arterial", "Modality": "CT", "BodyPartExamined": "CHEST", "InstanceNumber": number.to_string(),
    })
}

fn group(headers: impl Iterator<Item = Value>, gone: u64) -> String {
    let members = headers.zip(1..).map(|(msg, id)| json!({ "id": id, "msg": msg }));
    json!({ "group": "1.2.3", "run": 1, "gone": gone, "members": members.collect::<Vec<_>>() }).to_string()
}

/// What the shipped step makes of it; a machine may be slow, and its operations are what they are.
fn study(group: String) -> Result<Value, Halt> {
    let step = StepFile::Script { code: "relais/imaging_study".to_owned(), as_text: false };
    let mut channel = Channel::json().step(step);
    channel.limits = Limits { time: Duration::from_mins(1), ..Limits::default() };
    let pieces = channel.run(group)?;
    Ok(serde_json::from_slice(pieces[0].body.bytes().unwrap()).unwrap())
}

fn refused(headers: Vec<Value>, gone: u64) -> String {
    match study(group(headers.into_iter(), gone)) {
        Err(Halt::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn five_thousand_instances_are_one_study_in_the_order_of_their_numbers() {
    let bundle = study(group((1..=5000).rev().map(header), 0)).unwrap();
    let study = bundle["entry"].as_array().unwrap().last().unwrap();
    assert_eq!(study["request"]["url"], "ImagingStudy?identifier=urn%3Adicom%3Auid|urn%3Aoid%3A1.2.3");
    let study = &study["resource"];
    assert_eq!((&study["numberOfInstances"], &study["numberOfSeries"]), (&json!(5000), &json!(7)));
    assert_eq!(study["started"], "2026-03-02T10:15:00+02:00");
    assert_eq!(study["basedOn"][0]["identifier"]["value"], "A1");
    assert_eq!(study["referrer"]["display"], "DOCTOR WHO");
    for (number, series) in study["series"].as_array().unwrap().iter().enumerate() {
        assert_eq!(series["number"], number);
        let numbers: Vec<u64> = series["instance"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["number"].as_u64().unwrap())
            .collect();
        assert!(numbers.len() > 700 && numbers.is_sorted());
    }
    let patient = &bundle["entry"][0]["resource"];
    assert_eq!(
        patient["name"][0],
        json!({ "family": "DOE", "given": ["JANE"], "prefix": ["DR"], "text": "DR JANE DOE" })
    );
    assert_eq!((&patient["birthDate"], &patient["gender"]), (&json!("1980-03-01"), &json!("female")));
}

#[test]
fn an_instance_that_came_twice_is_one_and_the_same_study_comes_out_the_same() {
    let twice = || group([header(1), header(2), header(1)].into_iter(), 0);
    let made = study(twice()).unwrap();
    assert_eq!(made["entry"][1]["resource"]["numberOfInstances"], 2);
    assert_eq!(study(twice()).unwrap(), made);
}

#[test]
fn what_would_make_a_wrong_study_is_refused() {
    let mut other = header(2);
    other["PatientID"] = json!("P2");
    assert!(refused(vec![header(1), other], 0).contains("several patients"));
    let mut nobody = header(1);
    nobody["PatientID"] = Value::Null;
    assert!(refused(vec![nobody], 0).contains("no patient"));
    let mut loose = header(1);
    loose["SeriesInstanceUID"] = Value::Null;
    assert!(refused(vec![loose], 0).contains("no series"));
    assert!(refused(vec![header(1)], 3).contains("no longer kept"));
}
