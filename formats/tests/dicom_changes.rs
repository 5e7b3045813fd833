//! Whatever is changed in an instance, and however its bytes are broken: the rest stays, and nothing ends the process.

mod everything;
mod instance;

use bytes::Bytes;
use formats::dicom::{Instance, Path};
use instance::{BIG, DEFLATED, EXPLICIT, Elements, IMPLICIT, small};
use proptest::{prelude::*, sample::select};

const PATHS: &[&str] = &[
    "PatientID",
    "PatientName",
    "AccessionNumber",
    "StudyDescription",
    "PatientComments",
    "ImageComments",
    "(0019,ACME 1.0,01)",
    "(0019,OTHER,02)",
    "RequestAttributesSequence[1].ScheduledProcedureStepID",
    "RequestAttributesSequence[2].ScheduledProcedureStepDescription",
    "RequestAttributesSequence[1].ScheduledProtocolCodeSequence[1].CodeValue",
    "ProcedureCodeSequence[1].CodeMeaning",
    "ReferencedStudySequence[1].StudyID",
];

fn path(text: &str) -> Path {
    Path::parse(text).expect("it is a path")
}

fn written() -> impl Strategy<Value = Vec<u8>> {
    select(vec![
        small(Elements::explicit(), EXPLICIT),
        small(Elements::implicit(), IMPLICIT),
        small(Elements::big(), BIG),
        small(Elements::explicit(), DEFLATED),
    ])
}

fn texts(instance: &Instance) -> Vec<String> {
    PATHS.iter().map(|at| instance.get(&path(at)).expect("it can be read")).collect()
}

proptest! {
    #[test]
    fn a_change_is_read_back_and_nothing_else_is_another(
        file in written(),
        changes in proptest::collection::vec((0..PATHS.len(), proptest::option::of("[A-Za-z0-9é^]{1,16}")), 1..6),
    ) {
        let mut instance = Instance::of_bytes(Bytes::from(file)).unwrap();
        let mut expected = texts(&instance);
        for (place, text) in changes {
            match &text {
                Some(text) => instance.set(&path(PATHS[place]), text).unwrap(),
                None => {
                    instance.remove(&path(PATHS[place])).unwrap();
                }
            }
            expected[place] = text.unwrap_or_default();
        }
        prop_assert_eq!(&texts(&instance), &expected);
        let after = Instance::of_bytes(instance.written().unwrap()).unwrap();
        prop_assert_eq!(&texts(&after), &expected);
        for kept in ["SOPInstanceUID", "Modality", "StudyInstanceUID", "SeriesInstanceUID"] {
            prop_assert_eq!(after.get(&path(kept)), instance.get(&path(kept)));
        }
        prop_assert_eq!(after.bytes(&path("PixelData")).unwrap().unwrap(), vec![7; 64]);
        prop_assert_eq!(after.written().unwrap(), instance.written().unwrap());
    }

    #[test]
    fn broken_bytes_are_an_error_or_an_instance_and_never_more(
        file in written(),
        broken in proptest::collection::vec((132_usize..700, any::<u8>()), 1..8),
    ) {
        let mut file = file;
        for (place, byte) in broken {
            let place = place % file.len();
            file[place] = byte;
        }
        everything::dicom(&file);
    }
}
