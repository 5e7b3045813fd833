//! Files that lie, stop or nest without end: each is refused with its place, and none costs memory.

mod instance;

use std::io::{Cursor, Read, Seek, SeekFrom};

use formats::dicom::{DicomError, Header, Instance, TransferSyntax, Why};
use instance::{BIG, DEFLATED, EXPLICIT, Elements, IMPLICIT, file, small};

fn read(file: &[u8]) -> Result<Header, DicomError> {
    Header::read(Cursor::new(file))
}

#[test]
fn a_header_says_which_instance_it_is_however_it_is_written() {
    let written = [
        (Elements::explicit(), EXPLICIT),
        (Elements::implicit(), IMPLICIT),
        (Elements::big(), BIG),
        (Elements::explicit(), DEFLATED),
    ];
    for (of, syntax) in written {
        let header = read(&small(of, syntax)).unwrap();
        assert_eq!(header.syntax, TransferSyntax::of(syntax).unwrap());
        assert_eq!((header.sop_instance.as_str(), header.study.as_deref()), ("1.2.3.4", Some("1.2.3")));
        assert_eq!(
            (header.patient_id.as_str(), header.accession.as_str(), header.modality.as_str()),
            ("P1", "ACC1", "CT")
        );
        assert!(header.pixels.is_some_and(|pixels| pixels > header.data_set));
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused_or_ends_between_two_elements() {
    for (of, syntax) in
        [(Elements::explicit(), EXPLICIT), (Elements::implicit(), IMPLICIT), (Elements::explicit(), DEFLATED)]
    {
        let whole = small(of, syntax);
        let mut sound = 0;
        for cut in 0..whole.len() {
            match read(&whole[..cut]) {
                Ok(_) => sound += 1,
                Err(error) => assert!(error.at <= whole.len() as u64 + 200, "{error}"),
            }
        }
        // Behind the UIDs, what was cut between two elements of the first level is a smaller instance.
        assert!(sound < 14, "{syntax}: {sound} of them were taken");
    }
}

#[test]
fn a_length_that_lies_is_told_with_its_element() {
    let lies = Elements::explicit().identified().head(0x0010_0010, "UT", 2_000_000_000);
    let error = read(&file(EXPLICIT, &lies.bytes)).unwrap_err();
    assert_eq!(error.why, Why::TooLong { length: 2_000_000_000, left: 0 });
    assert!(
        error.to_string().contains("(0010,0010) PatientName: it says that it has 2000000000 bytes"),
        "{error}"
    );

    let item = Elements::explicit().head(0xFFFE_E000, "", 40);
    let mut within = Elements::explicit().identified().head(0x0040_0275, "SQ", 8);
    within.bytes.extend(item.bytes);
    let error = read(&file(EXPLICIT, &within.with(0x0040_1001, "SH", &[b'1'; 60]).bytes)).unwrap_err();
    assert_eq!(error.why, Why::TooLong { length: 40, left: 0 });
}

#[test]
fn sequences_in_sequences_end_at_a_depth() {
    let deep = |count: usize| {
        let mut elements = Elements::explicit().identified();
        for _ in 0..count {
            elements = elements.head(0x0040_0275, "SQ", u32::MAX).head(0xFFFE_E000, "", u32::MAX);
        }
        for _ in 0..count {
            elements = elements.head(0xFFFE_E00D, "", 0).head(0xFFFE_E0DD, "", 0);
        }
        file(EXPLICIT, &elements.bytes)
    };
    assert!(read(&deep(128)).is_ok());
    assert_eq!(read(&deep(129)).unwrap_err().why, Why::TooDeep);
    assert_eq!(read(&deep(20_000)).unwrap_err().why, Why::TooDeep);
}

#[test]
fn what_cannot_be_is_said_with_the_byte() {
    let sound = Elements::explicit().identified();
    let broken: [(Elements, &str); 8] = [
        (sound.clone().with(0x0010_0010, "ZZ", b"x"), "`ZZ` is not a value representation"),
        (sound.clone().head(0xFFFE_E00D, "", 0), "this mark ends nothing"),
        (sound.clone().head(0x0010_0010, "UT", u32::MAX), "a value of kind UT cannot be without a length"),
        (
            sound.clone().head(0x0040_0275, "SQ", u32::MAX).with(0x0010_0010, "PN", b"A"),
            "here an item should begin",
        ),
        (sound.clone().with(0x0008_0018, "UI", b"1.2.3.4"), "the element stands twice"),
        (
            sound.clone().with(0x0020_000D, "UI", b"../../etc"),
            "(0020,000D) StudyInstanceUID: this is not a UID",
        ),
        (sound.clone().with(0x0010_0020, "LO", &[b'x'; 9000]), "the value has 9000 bytes"),
        (
            Elements::explicit().with(0x0010_0010, "PN", b"A"),
            "(0008,0016) SOPClassUID: the element is missing",
        ),
    ];
    for (elements, words) in broken {
        let error = read(&file(EXPLICIT, &elements.bytes)).unwrap_err().to_string();
        assert!(error.starts_with("byte ") && error.contains(words), "{error}");
    }
    assert_eq!(read(b"MSH|^~\\&|").unwrap_err().why, Why::NoPrefix);
}

/// As a file of two gigabytes would be: zeros without end behind a head.
struct Huge {
    head: Vec<u8>,
    length: u64,
    at: u64,
    read: u64,
}

impl Read for Huge {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = (self.length - self.at.min(self.length)) as usize;
        let count = into.len().min(left);
        for (place, byte) in into[..count].iter_mut().enumerate() {
            *byte = self.head.get(self.at as usize + place).copied().unwrap_or_default();
        }
        self.at += count as u64;
        self.read += count as u64;
        Ok(count)
    }
}

impl Seek for Huge {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(back) => self.length.saturating_add_signed(back),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn few_bytes_that_inflate_without_end_are_refused_after_a_bound() {
    let pixels = vec![0; 65 << 20];
    let bomb = file(DEFLATED, &Elements::explicit().identified().with(0x7FE0_0010, "OW", &pixels).bytes);
    assert!(bomb.len() < 1 << 17, "{} bytes", bomb.len());
    assert_eq!(read(&bomb).unwrap_err().why, Why::Inflated(64 << 20));
    let Err(error) = Instance::of_bytes(bomb.into()) else { panic!("it was taken") };
    assert_eq!(error.why, Why::Inflated(64 << 20));
}

#[test]
fn two_gigabytes_of_pixels_are_passed_over_unread() {
    let pixels = 2_000_000_000_u32;
    let head = file(EXPLICIT, &Elements::explicit().identified().head(0x7FE0_0010, "OW", pixels).bytes);
    let length = head.len() as u64 + u64::from(pixels);
    let mut huge = Huge { head, length, at: 0, read: 0 };
    let header = Header::read(&mut huge).unwrap();
    assert!(header.pixels.is_some());
    assert!(huge.read < 64 << 10, "{} bytes were read", huge.read);
}
