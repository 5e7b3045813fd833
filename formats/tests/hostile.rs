//! Hostile inputs of every kind, played as an ordinary test: nothing panics, and an answer can always be built.

mod everything;

/// Calls everything with these bytes, as a message, as a batch and as an answer.
fn swallow(bytes: &[u8]) {
    everything::hl7(bytes);
    everything::batch(bytes);
    everything::acknowledgement(bytes);
}

#[test]
fn beginnings_of_a_message_are_swallowed() {
    let message = "\u{feff}\r MSH|^~\\&#|A\\T\\B|é|||2026||ORU^R01^ORU_R01|7\\|P^T|2.5.1|||AL|NE||UNICODE UTF-8~\rPID|1||a^b&c~\\X0D\r\nORC\rOBR|1\r";
    for end in 0..message.len() {
        swallow(&message.as_bytes()[..end]);
    }
}

#[test]
fn strange_headers_are_swallowed() {
    let headers = [
        "MSH",
        "MSH|",
        "MSH||",
        "MSH|^",
        "MSH|^~",
        "MSH|^~\\",
        "MSH|^~\\&",
        "MSH|^^^^|",
        "MSH^~|\\&^",
        "MSHMSHMSH",
        "MSH\rMSH\rMSH",
        "MSH|^~\\&|\u{0}|\u{0}",
        "MSH\u{1}\u{2}\u{3}\u{4}\u{5}\u{1}",
        "msh|^~\\&|",
        "MSHé^~\\&|",
        "MSH|é~\\&|",
        "MSH.^~\\&.",
        "MSH\\^~|&\\",
        "MSH|^~&|A",
        "MSH+^z||2.4\r|",
        "MSH|^~\\&|\rFHSé|\rBHS\rMSHé",
        "MSH.^z||2-4\r|",
        "MSH|^~\\&|||||||||||||||||||||||||||||||",
        "FHS",
        "BHS|",
        "FHS\rBHS\rMSH\rBTS\rFTS",
        "BHS|^^^|\rMSH|^~\\&|\rBTS|x",
        "FHS|^~\\&|a|b|c|d\rBHS|^~\\&|a|b|c|d\rMSH|^~\\&|||||||ADT|1\rPID|\rBTS|18446744073709551616\rFTS|-1\r",
        "MSH|^~\\&|||||||ADT|1|P|2.999999999999999999999\rPID|",
        "MSH|^~\\&|||||||ADT^A01|1|P|2.\rPID|",
        "MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||UNICODE UTF-16\rPID|",
        "MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||ISO IR87~x\rPID|é",
        "MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||ASCII\rPID|é",
        "MSH|\"~\\&|||||||ADT\"A01|1\rPID|\"\"",
        "GET / HTTP/1.1\r\n\r\n",
        "<?xml version=\"1.0\"?><a/>",
        "{\"MSH\": 1}",
    ];
    for header in headers {
        swallow(header.as_bytes());
    }
}

#[test]
fn bytes_of_other_charsets_are_swallowed() {
    let text =
        "FHS|^~\\&\rBHS|^~\\&|a\rMSH|^~\\&|Ω|||||||1|P|2.5||||||UNICODE UTF-16\rPID|é\u{1f600}\rBTS|1\rFTS|1";
    for (mark, text) in [("\u{feff}", text), ("", text), ("\u{feff}", &text[18..]), ("", &text[18..])] {
        let units: Vec<u16> = mark.encode_utf16().chain(text.encode_utf16()).collect();
        for bytes in [
            units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>(),
            units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        ] {
            swallow(&bytes);
            swallow(&bytes[..bytes.len() - 1]);
            swallow(&bytes[..bytes.len() / 2]);
        }
    }
    // A lone surrogate, a mark and nothing else, a mark before eight bit text.
    swallow(b"M\0S\0H\0|\0^\0~\0\\\0&\0|\0\x00\xD8");
    swallow(b"\0M\0S\0H\0\\");
    swallow(b"\xFF\xFE");
    swallow(b"\xFE\xFFMSH|^~\\&|||||||ADT|1\rPID|1");
    swallow(b"\xEF\xBB\xBFMSH|^~\\&|\xFF||||||ADT|1\rPID|1");
    swallow(b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03");
}

#[test]
fn great_numbers_of_everything_are_swallowed() {
    let header = "MSH|^~\\&|||||||ORU^R01|1|P|2.5\r";
    for piece in [
        "|",
        "^",
        "~",
        "&",
        "\\",
        "\r",
        "\n",
        " ",
        "OBX|\r",
        "MSH|",
        "\rMSH",
        "\\X",
        "\\X0D\\",
        "PID|\rOBR|\r",
    ] {
        swallow(format!("{header}PID|{}", piece.repeat(2_000)).as_bytes());
        swallow(format!("BHS|^~\\&\r{header}{}BTS|1", piece.repeat(200)).as_bytes());
        swallow(piece.repeat(500).as_bytes());
    }
}
