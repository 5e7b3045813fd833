//! The words of OTLP: spans as the protobuf message `ExportTraceServiceRequest`, of which this writes what it needs.

/// One span: what happened, when, and within what. No content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    /// None: it is the first of its trace.
    pub(super) parent: Option<[u8; 8]>,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Nanoseconds since 1970.
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
}

/// The status of a span that failed.
const ERROR: u64 = 2;

/// What goes to the collector.
pub(super) fn request(service: &str, spans: &[Span]) -> Vec<u8> {
    let resource = message(|out| {
        attribute(out, 1, "service.name", &Value::Text(service.to_owned()));
        attribute(out, 1, "service.version", &Value::Text(env!("CARGO_PKG_VERSION").to_owned()));
    });
    let scope = message(|out| field(out, 1, b"relais"));
    let scoped = message(|out| {
        field(out, 1, &scope);
        for span in spans {
            field(out, 2, &written(span));
        }
    });
    let all = message(|out| {
        field(out, 1, &resource);
        field(out, 2, &scoped);
    });
    message(|out| field(out, 1, &all))
}

fn written(span: &Span) -> Vec<u8> {
    message(|out| {
        field(out, 1, &span.trace);
        field(out, 2, &span.id);
        if let Some(parent) = &span.parent {
            field(out, 4, parent);
        }
        field(out, 5, span.name.as_bytes());
        number(out, 6, span.kind as u64);
        fixed(out, 7, span.began);
        fixed(out, 8, span.ended);
        for (name, value) in &span.attributes {
            attribute(out, 9, name, value);
        }
        if span.failed {
            field(out, 15, &message(|out| number(out, 3, ERROR)));
        }
    })
}

fn attribute(out: &mut Vec<u8>, place: u64, name: &str, value: &Value) {
    let value = message(|out| match value {
        Value::Text(text) => field(out, 1, text.as_bytes()),
        Value::Number(value) => number(out, 3, *value),
    });
    let pair = message(|out| {
        field(out, 1, name.as_bytes());
        field(out, 2, &value);
    });
    field(out, place, &pair);
}

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// Bytes with their length before them.
fn field(out: &mut Vec<u8>, place: u64, bytes: &[u8]) {
    varint(out, place << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, place: u64, value: u64) {
    varint(out, place << 3);
    varint(out, value);
}

fn fixed(out: &mut Vec<u8>, place: u64, value: u64) {
    varint(out, place << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
