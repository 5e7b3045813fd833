//! Prints how long reading, changing and answering one message takes: `cargo run --release -p formats --example hl7_speed`.
//!
//! Method: each line is the best of nine rounds of 20,000 calls on one thread, wall time, on a machine that should be idle;
//! the message is an ORU^R01 of 12 segments and about 1.3 KB.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use formats::{
    charset,
    hl7::{
        Message, Path,
        acknowledgement::{self, Answer, Code},
        header::Header,
    },
};
use jiff::Zoned;

const ROUNDS: u32 = 9;
const CALLS: u32 = 20_000;

fn main() {
    let text = oru();
    let bytes = text.as_bytes();
    let shared: Arc<str> = text.as_str().into();
    let message = Message::parse(Arc::clone(&shared)).expect("the message of this example is sound");
    let path = |text: &str| Path::parse(text).expect("the paths of this example are sound");
    let (name, visit, last) = (path("PID-5.1"), path("PV1-44"), path("OBX[6]-5"));
    let when = Zoned::now();
    let answer =
        Answer { code: Code::AA, text: None, error: None, when: &when, control_id: "1", charset: None };

    println!("{} bytes, {} segments", bytes.len(), message.segment_count());
    measure("decode the bytes", || charset::decode_hl7(bytes, None).is_ok());
    measure("parse", || Message::parse(Arc::clone(&shared)).is_ok());
    measure("decode and parse", || {
        charset::decode_hl7(bytes, None).is_ok_and(|decoded| Message::parse(decoded.text).is_ok())
    });
    measure("read PID-5.1 (decoded)", || message.get(&name).len());
    measure("read PV1-44", || message.get(&visit).len());
    measure("read OBX[6]-5", || message.get(&last).len());
    measure("parse a path", || Path::parse("PID-3[2].4.1").is_ok());
    measure("clone and set PID-5.1", || {
        let mut changed = message.clone();
        changed.set(&name, "DUPONT").is_ok()
    });
    measure("clone, set PID-5.1, whole text", || {
        let mut changed = message.clone();
        changed.set(&name, "DUPONT").is_ok() && changed.text().is_empty()
    });
    measure("header, readable", || Header::read(bytes).is_ok_and(|header| header.readable().is_ok()));
    measure("answer", || acknowledgement::build(bytes, &answer).len());
    measure("groups(OBR)", || message.groups("OBR").len());
}

fn measure<T>(what: &str, mut call: impl FnMut() -> T) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for _ in 0..CALLS {
            black_box(call());
        }
        best = best.min(begin.elapsed());
    }
    println!("{:>8} ns  {what}", best.as_nanos() / u128::from(CALLS));
}

fn oru() -> String {
    let mut text = String::from(
        "MSH|^~\\&|ANALYSER^1.2.250.1.71^ISO|HOSPITAL^2.16.840^ISO|RECORD|HOSPITAL|20260301080000+0100||ORU^R01^ORU_R01|MSG00001|P|2.5.1|||AL|NE|FRA|UNICODE UTF-8\r\
        PID|1||IPP0001^^^HOSPITAL&1.2.250.1.71.4.2.2&ISO^PI~285037511604217^^^INS&1.2.250.1.213.1.4.8&ISO^INS||D\\T\\G^ÉLODIE^^^^^L||19850312|F|||12 RUE DE LA PAIX^^PARIS^^75002^FRA^H\r\
        PV1|1|I|CARD^101^1^HOSPITAL||||10001234567^MARTIN^HELENE||||||||||||V0001^^^HOSPITAL^VN|||||||||||||||||||||||||20260314080000\r\
        ORC|RE|P123^RECORD|F456^LAB||CM||||20260315090000\r\
        OBR|1|P123^RECORD|F456^LAB|58410-2^CBC panel^LN|||20260315080000|||||||||10001234567^MARTIN^HELENE||||||20260315100000||HM|F\r\
        NTE|1|L|Sample taken fasting\r",
    );
    for number in 1..=6 {
        let line = format!(
            "OBX|{number}|NM|718-7^Hemoglobin [Mass/volume] in Blood^LN||13.{number}|g/dL^gram per deciliter^UCUM|12.0-16.0|N|||F|||20260315093000||TECH01\r"
        );
        text.push_str(&line);
    }
    text
}
