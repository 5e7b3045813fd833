//! Small DICOM files, written without the product's own.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

/// An instance to be written.
#[derive(Debug, Clone)]
pub struct Instance {
    pub uid: String,
    pub study: String,
    pub series: String,
    pub patient: String,
    pub accession: String,
    pub number: u32,
    /// So many bytes of pixels.
    pub pixels: usize,
}

/// Secondary capture: what needs least beside it.
pub const CLASS: &str = "1.2.840.10008.5.1.4.1.1.7";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";

impl Instance {
    /// The instance of this number in a study, with few pixels.
    pub fn of(study: &str, number: u32) -> Self {
        Self {
            uid: format!("{study}.1.{number}"),
            study: study.to_owned(),
            series: format!("{study}.1"),
            patient: "P1".to_owned(),
            accession: "ACC1".to_owned(),
            number,
            pixels: 64,
        }
    }

    /// The file, in explicit little endian.
    pub fn file(&self) -> Vec<u8> {
        let mut meta = Vec::new();
        element(&mut meta, (2, 1), "OB", &[0, 1]);
        element(&mut meta, (2, 2), "UI", CLASS.as_bytes());
        element(&mut meta, (2, 3), "UI", self.uid.as_bytes());
        element(&mut meta, (2, 0x10), "UI", EXPLICIT.as_bytes());
        element(&mut meta, (2, 0x12), "UI", b"1.2.3.4");
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        element(&mut file, (2, 0), "UL", &(meta.len() as u32).to_le_bytes());
        file.extend_from_slice(&meta);
        file.extend_from_slice(&self.data_set());
        file
    }

    pub fn data_set(&self) -> Vec<u8> {
        let mut set = Vec::new();
        let side = (self.pixels as f64).sqrt() as u16;
        element(&mut set, (8, 0x16), "UI", CLASS.as_bytes());
        element(&mut set, (8, 0x18), "UI", self.uid.as_bytes());
        element(&mut set, (8, 0x20), "DA", b"20260301");
        element(&mut set, (8, 0x50), "SH", self.accession.as_bytes());
        element(&mut set, (8, 0x60), "CS", b"OT");
        element(&mut set, (0x10, 0x10), "PN", b"DOE^JANE");
        element(&mut set, (0x10, 0x20), "LO", self.patient.as_bytes());
        element(&mut set, (0x20, 0x0d), "UI", self.study.as_bytes());
        element(&mut set, (0x20, 0x0e), "UI", self.series.as_bytes());
        element(&mut set, (0x20, 0x13), "IS", self.number.to_string().as_bytes());
        element(&mut set, (0x28, 2), "US", &1_u16.to_le_bytes());
        element(&mut set, (0x28, 4), "CS", b"MONOCHROME2");
        element(&mut set, (0x28, 0x10), "US", &side.to_le_bytes());
        element(&mut set, (0x28, 0x11), "US", &side.to_le_bytes());
        for (tag, value) in [(0x100, 8_u16), (0x101, 8), (0x102, 7), (0x103, 0)] {
            element(&mut set, (0x28, tag), "US", &value.to_le_bytes());
        }
        let pixels: Vec<u8> = (0..self.pixels).map(|place| (place as u32 ^ self.number) as u8).collect();
        element(&mut set, (0x7fe0, 0x10), "OW", &pixels);
        set
    }
}

/// One element in explicit little endian, filled up to an even length.
pub fn element(into: &mut Vec<u8>, (group, number): (u16, u16), kind: &str, value: &[u8]) {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if kind == "UI" || kind == "OB" { 0 } else { b' ' });
    }
    into.extend_from_slice(&group.to_le_bytes());
    into.extend_from_slice(&number.to_le_bytes());
    into.extend_from_slice(kind.as_bytes());
    if ["OB", "OW", "SQ", "UN", "UT"].contains(&kind) {
        into.extend_from_slice(&[0, 0]);
        into.extend_from_slice(&(value.len() as u32).to_le_bytes());
    } else {
        into.extend_from_slice(&(value.len() as u16).to_le_bytes());
    }
    into.extend_from_slice(&value);
}

/// Posts instances in one request; its status, and what became of each: stored, or the reason it failed for.
pub fn stow(port: u16, parts: &[Vec<u8>]) -> (u16, Vec<Option<u64>>) {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(b"--between\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--between--\r\n");
    let head = format!(
        "POST /dicom-web/studies HTTP/1.1\r\nHost: relais\r\nConnection: close\r\nAccept: application/dicom+json\r\nContent-Length: {}\r\n\
         Content-Type: multipart/related; type=\"application/dicom\"; boundary=between\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head[9..12].parse().expect("a status");
    let said: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("it said {answer}"));
    let list = |name: &str| said[name]["Value"].as_array().cloned().unwrap_or_default();
    let reason = |failed: &Value| failed["00081197"]["Value"][0].as_u64();
    let stored = list("00081199").into_iter().map(|_| None);
    (status, stored.chain(list("00081198").iter().map(reason)).collect())
}
