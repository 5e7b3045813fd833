//! DICOM in steps: what is read, written and refused, and what a check finds.

mod channel;

use channel::Channel;
use engine::{Content, Inbound, Script};
use formats::dicom::{Dates, Deidentification, Instance, Path, Patient, Uids};
use scripts::{DeidentifyFile, Format, StepFile};

fn path(text: &str) -> Path {
    Path::parse(text).expect("it is a path")
}

fn image() -> Instance {
    let mut image = Instance::new("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").expect("both are UIDs");
    for (at, text) in [
        ("SpecificCharacterSet", "ISO_IR 100"),
        ("PatientName", "DUPONT^Hélène"),
        ("PatientID", "P1"),
        ("AccessionNumber", "A7"),
        ("Modality", "CT"),
        ("StudyInstanceUID", "1.2.3"),
        ("(0019,ACME 1.0,01)", "private"),
    ] {
        image.set(&path(at), text).expect("it takes the text");
    }
    image.set_bytes(&path("PixelData"), vec![7; 5000].into()).expect("it takes bytes");
    image
}

fn changed(channel: &Channel) -> Instance {
    let body = Content::from(image().written().expect("it can be written"));
    let pieces = channel.run(body).expect("the steps run");
    Instance::of_bytes(pieces[0].body.whole().expect("it is short")).expect("it is read again")
}

#[test]
fn steps_read_and_write_elements_and_leave_the_rest_as_it_came() {
    let channel = Channel::new(Format::Dicom)
        .filter(r#"msg["Modality"] == "CT" && msg["(0008,0060)"] == "CT" && msg.has("PatientName")"#)
        .set("PatientID", "HOP-${msg[\"PatientID\"]}")
        .set("StudyDate", "${ctx.now()}")
        .script(
            r#"
            let request = msg.add("RequestAttributesSequence");
            request["ScheduledProcedureStepID"] = msg["PatientName"].split("^")[1];
            msg["(0019,ACME 1.0,02)"] = "more";
            msg.remove("AccessionNumber");
            for item in msg.items("RequestAttributesSequence") { item["RequestedProcedureID"] = item.elements().len() }
            "#,
        );
    let after = changed(&channel);
    for (at, text) in [
        ("PatientID", "HOP-P1"),
        ("StudyDate", "20260301"),
        ("RequestAttributesSequence[1].ScheduledProcedureStepID", "Hélène"),
        ("RequestAttributesSequence.RequestedProcedureID", "1"),
        ("(0019,1002)", "more"),
        ("(0019,ACME 1.0,01)", "private"),
        ("AccessionNumber", ""),
        ("PatientName", "DUPONT^Hélène"),
    ] {
        assert_eq!(after.get(&path(at)).unwrap(), text, "{at}");
    }
    assert_eq!(after.bytes(&path("PixelData")).unwrap().unwrap(), vec![7; 5000]);
}

#[test]
fn what_no_step_changes_leaves_byte_for_byte() {
    let body = Content::from(image().written().expect("it can be written"));
    let channel = Channel::new(Format::Dicom).script(r#"msg["PatientID"] = msg["PatientID"]; msg"#);
    assert!(channel.run(body.clone()).unwrap()[0].body == body);
}

#[test]
fn another_character_set_writes_every_text_anew() {
    let script = r#"msg["SpecificCharacterSet"] = "ISO_IR 192"; msg["PatientComments"] = "山田""#;
    let after = changed(&Channel::new(Format::Dicom).script(script));
    assert_eq!(after.get(&path("PatientName")).unwrap(), "DUPONT^Hélène");
    assert_eq!(&after.bytes(&path("PatientComments")).unwrap().unwrap()[..], "山田".as_bytes());
}

#[test]
fn what_is_read_before_it_is_kept_is_what_people_search_by() {
    let program = Channel::new(Format::Dicom).compile().unwrap();
    let reading = program.read(&Inbound::new(image().written().expect("it can be written"))).unwrap();
    assert_eq!((reading.control_id.as_deref(), reading.kind.as_deref()), (Some("1.2.3.4"), Some("CT")));
    let keys = [("patient", "P1"), ("accession", "A7"), ("study", "1.2.3"), ("instance", "1.2.3.4")];
    assert_eq!(reading.keys, keys.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let refused = program.read(&Inbound::new("MSH|^~\\&|")).unwrap_err();
    assert!(refused.why.contains("this is not a DICOM file"), "{refused}");
}

#[test]
fn a_value_that_an_element_cannot_hold_fails_the_step_with_its_place() {
    for (script, words) in [
        (r#"msg["PatientID"] = "€""#, "character 1 of the text"),
        (r#"msg["StudyInstanceUID"] = "abc""#, "takes a UID"),
        (r#"msg["Rows"] = "many""#, "takes a number of kind US"),
        (r#"msg["PixelData"]"#, "holds bytes"),
        (r#"msg["TransferSyntaxUID"] = "1.2""#, "is written by the engine"),
        (r#"msg["ReferencedStudySequence[3].PatientID"] = "x""#, "there are 0 items"),
    ] {
        let body = Content::from(image().written().expect("it can be written"));
        let error = Channel::new(Format::Dicom).script(script).run(body).unwrap_err().to_string();
        assert!(error.contains(words), "{script}: {error}");
    }
}

#[test]
fn a_path_that_cannot_be_one_is_found_by_the_check() {
    let channel = Channel::new(Format::Dicom)
        .filter(r#"msg["PatientIDD"] == """#)
        .set("(0010,002)", "x")
        .script(r#"msg.remove("ImageType[0]"); msg.segments"#);
    let Err(faults) = channel.compile() else { panic!("nothing was found") };
    let said = format!("{faults:?}");
    for words in ["did you mean `PatientID`?", "is not a tag", "count from 1", "has no `segments`"] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

fn deidentified(how: impl FnOnce(&mut DeidentifyFile)) -> Instance {
    let mut file = DeidentifyFile {
        key: "a key of some length".to_owned(),
        dates: Dates::Remove,
        uids: Uids::Map,
        patient: Patient::Empty,
        keep: Vec::new(),
    };
    how(&mut file);
    let before = r#"
        msg["StudyDate"] = "20260301"; msg["PatientBirthDate"] = "19850312"; msg["PatientSex"] = "F";
        msg["StudyDescription"] = "DUPONT"; msg["ReferencedImageSequence[1].ReferencedSOPInstanceUID"] = "1.2.3.9";
        msg["ReferencedImageSequence[1].PatientName"] = "DUPONT"; msg
    "#;
    changed(&Channel::new(Format::Dicom).script(before).step(StepFile::Deidentify(file)))
}

#[test]
fn whose_instance_it_was_is_taken_away_and_studies_stay_studies() {
    let plain = deidentified(|_| ());
    let get = |instance: &Instance, at: &str| instance.get(&path(at)).unwrap();
    for gone in
        ["PatientName", "PatientID", "PatientBirthDate", "StudyDescription", "(0019,1001)", "PatientSex"]
    {
        assert_eq!(get(&plain, gone), "", "{gone}");
    }
    assert_eq!(get(&plain, "PatientIdentityRemoved"), "YES");
    assert_eq!(get(&plain, "MediaStorageSOPInstanceUID"), get(&plain, "SOPInstanceUID"));
    assert!(get(&plain, "SOPInstanceUID").starts_with("2.25."));
    assert_eq!(get(&plain, "ReferencedImageSequence[1].PatientName"), "");
    assert_eq!(plain.bytes(&path("PixelData")).unwrap().unwrap(), vec![7; 5000]);

    let again = deidentified(|file| (file.dates, file.patient) = (Dates::Shift, Patient::Pseudonym));
    assert_eq!(get(&again, "StudyInstanceUID"), get(&plain, "StudyInstanceUID"));
    assert!(get(&again, "PatientID").starts_with('P') && get(&again, "PatientID") != "P1");
    let date = get(&again, "StudyDate");
    assert!(date.len() == 8 && *"20160301" <= *date && *date < *"20260301", "{date}");
    assert_eq!(get(&again, "PatientBirthDate"), "");

    // Of those without a number, not one patient is made.
    let nobody = |study: &str| {
        let mut image = image();
        image.set(&path("PatientID"), "").unwrap();
        image.set(&path("StudyInstanceUID"), study).unwrap();
        let mut how = Deidentification::new(b"a key of some length");
        how.patient = Patient::Pseudonym;
        how.apply(&mut image).unwrap();
        get(&image, "PatientID")
    };
    assert_ne!(nobody("1.2.3"), nobody("1.2.4"));

    let other = deidentified(|file| file.key = "another key of some length".to_owned());
    assert_ne!(get(&other, "StudyInstanceUID"), get(&plain, "StudyInstanceUID"));
    let kept = deidentified(|file| (file.uids, file.keep) = (Uids::Keep, vec!["PatientSex".to_owned()]));
    assert_eq!((get(&kept, "StudyInstanceUID").as_str(), get(&kept, "PatientSex").as_str()), ("1.2.3", "F"));
}

#[test]
fn a_key_that_can_be_guessed_is_found_by_the_check() {
    let file = DeidentifyFile {
        key: "short".to_owned(),
        dates: Dates::Remove,
        uids: Uids::Map,
        patient: Patient::Empty,
        keep: vec!["PatientSexx".to_owned()],
    };
    let Err(faults) = Channel::new(Format::Dicom).step(StepFile::Deidentify(file.clone())).compile() else {
        panic!("nothing was found")
    };
    let said = format!("{faults:?}");
    assert!(said.contains("16 characters at least") && said.contains("did you mean `PatientSex`?"), "{said}");
    let Err(faults) = Channel::hl7().step(StepFile::Deidentify(file)).compile() else {
        panic!("nothing was found")
    };
    assert!(format!("{faults:?}").contains("only a DICOM instance"));
}
