//! Who caused what, as W3C has it (`traceparent`): read from a sender's headers, else made of the message itself, so that
//! it is the same after a restart.

use engine::{Hash, Message};

/// The trace that a message belongs to, and what stands above it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) id: [u8; 16],
    /// The sender's span.
    pub(super) parent: Option<[u8; 8]>,
    /// Whether the sender wants it to be recorded; nobody said: none.
    pub(super) sampled: Option<bool>,
}

impl Trace {
    pub(super) fn of(message: &Message) -> Self {
        let said = message.facts.get("headers").and_then(|headers| headers.get("traceparent"));
        said.and_then(|text| read(text.as_str()?)).unwrap_or_else(|| Self {
            id: first(&Hash::of(&[b"trace", &message.identity.0, &message.id.0.to_be_bytes()])),
            parent: None,
            sampled: None,
        })
    }

    /// Whether this trace is one of so many, by the rule of OpenTelemetry: every program chooses the same ones.
    pub(super) fn is_among(&self, share: f64) -> bool {
        let last_seven = u128::from_be_bytes(self.id) & ((1 << 56) - 1);
        last_seven >= ((1.0 - share) * (1_u64 << 56) as f64) as u128
    }
}

/// The span of a message's way.
pub(super) fn of_way(message: &Message) -> [u8; 8] {
    first(&Hash::of(&[b"way", &message.identity.0, &message.id.0.to_be_bytes()]))
}

/// The span of one attempt at a delivery.
pub(super) fn of_attempt(effect: &Hash, attempt: u32) -> [u8; 8] {
    first(&Hash::of(&[b"attempt", &effect.0, &attempt.to_be_bytes()]))
}

/// The span of one step.
pub(super) fn of_step(message: &Message, place: &str, began: u64) -> [u8; 8] {
    let way = of_way(message);
    first(&Hash::of(&[b"step", &way, place.as_bytes(), &began.to_be_bytes()]))
}

/// As the receiver reads it.
pub(super) fn written(trace: &Trace, span: [u8; 8], sampled: bool) -> String {
    format!("00-{}-{}-{:02x}", hex(&trace.id), hex(&span), u8::from(sampled))
}

fn read(text: &str) -> Option<Trace> {
    let mut parts = text.trim().split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = version.len() == 2 && version != "ff" && (version != "00" || parts.next().is_none());
    let flags: [u8; 1] = bytes(flags)?;
    let (id, parent): ([u8; 16], [u8; 8]) = (bytes(id)?, bytes(parent)?);
    let _: [u8; 1] = bytes(version)?;
    let is_sound = is_known && id != [0; 16] && parent != [0; 8];
    is_sound.then_some(Trace { id, parent: Some(parent), sampled: Some(flags[0] & 1 == 1) })
}

fn bytes<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * LENGTH {
        return None;
    }
    let mut found = [0; LENGTH];
    for (place, pair) in found.iter_mut().zip(text.as_bytes().chunks(2)) {
        *place = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(found)
}

fn first<const LENGTH: usize>(hash: &Hash) -> [u8; LENGTH] {
    let mut found = [0; LENGTH];
    found.copy_from_slice(&hash.0[..LENGTH]);
    found
}

fn hex(bytes: &[u8]) -> String {
    crate::accounts::secret::hex(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_a_sender_says_is_carried_on_and_what_is_no_trace_is_passed_over() {
        let trace = read(GOOD).unwrap();
        assert_eq!(trace.sampled, Some(true));
        assert_eq!(written(&trace, trace.parent.unwrap(), true), GOOD);
        // A version to come may say more.
        assert!(read(&format!("{}-more", GOOD.replacen("00", "01", 1))).is_some());
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e47\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_share_of_traces_is_about_that_share() {
        let traces = (0..10_000_u64).map(|number| Trace {
            id: first(&Hash::of(&[&number.to_be_bytes()])),
            parent: None,
            sampled: None,
        });
        let among = traces.filter(|trace| trace.is_among(0.1)).count();
        assert!((900..1100).contains(&among), "{among}");
        let every = Trace { id: [0xff; 16], parent: None, sampled: None };
        assert!(every.is_among(1.0) && !Trace { id: [0; 16], ..every }.is_among(0.0));
    }
}
