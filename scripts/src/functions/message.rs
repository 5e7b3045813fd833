//! What a script does with an HL7 message as a whole.

use formats::hl7::Part;
use rhai::{Array, Dynamic, INT, ImmutableString, plugin::*};

use super::Outcome;
use crate::{handle::Hl7, part::ScriptPart};

#[export_module]
pub(crate) mod functions {
    /// The text at a path: a leaf decoded, something with parts as it stands; empty when absent.
    ///
    /// ```rhai
    /// msg["PID-5.1"] == "DUPONT" && msg["PID-5"] == "DUPONT^JEAN" && msg["ZZZ-1"] == ""
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn get(message: &mut Hl7, path: &str) -> Outcome<ImmutableString> {
        message.get(path)
    }

    /// Writes text to a path: replaces what stands there, parts included, and encodes every delimiter.
    /// A number keeps its digits, a time becomes an HL7 time, a part keeps its delimiters, `()` empties.
    ///
    /// ```rhai
    /// msg["PID-5.1"] = "A&B"; msg["PID-8"] = part("F"); msg["PID-5"] == "A\\T\\B^JEAN"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn set(message: &mut Hl7, path: &str, value: Dynamic) -> Outcome<()> {
        message.set(path, &value)
    }

    /// Whether something stands at a path. The HL7 null `""` is something.
    ///
    /// ```rhai
    /// msg.has("PID-5.1") && !msg.has("PID-19")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn has(message: &mut Hl7, path: &str) -> Outcome<bool> {
        message.has(path)
    }

    /// What stands at a path with its delimiters, to be put somewhere else.
    ///
    /// ```rhai
    /// msg["NK1-2"] = msg.part("PID-5"); msg["NK1-2.2"] == "JEAN"
    /// ```
    #[rhai_fn(name = "part", return_raw, pure)]
    pub fn part_at(message: &mut Hl7, path: &str) -> Outcome<ScriptPart> {
        message.part(path)
    }

    /// Builds a part, written with the delimiters `|^~\&`; in a message it takes on those of the message.
    ///
    /// ```rhai
    /// msg["PID-5"] = part("MARTIN^LEA"); msg["PID-5.2"] == "LEA"
    /// ```
    pub fn part(text: &str) -> ScriptPart {
        ScriptPart(Part::of(text))
    }

    /// Makes a message of its text, MSH first. Fails where the text is none.
    ///
    /// ```rhai
    /// let ack = hl7("MSH|^~\\&|REC|HOP|LAB|HOP"); ack.append("MSA|AA|1"); ack["MSA-1"] == "AA"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn hl7(text: &str) -> Outcome<Hl7> {
        formats::hl7::Message::parse(text).map(Hl7::new).or_else(super::super::broke)
    }

    /// How many repetitions a field has.
    ///
    /// ```rhai
    /// msg.repetitions("PID-3") == 2
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn repetitions(message: &mut Hl7, path: &str) -> Outcome<INT> {
        message.repetitions(path)
    }

    /// Puts a new, empty segment after the first of another name, or after `OBX[3]`.
    ///
    /// ```rhai
    /// msg.insert("PD1", "PID"); msg["PD1-4"] = "X"; msg.segments()[2].name == "PD1"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn insert(message: &mut Hl7, name: &str, after: &str) -> Outcome<()> {
        message.insert(name, after)
    }

    /// Adds a segment at the end: its name alone, or the whole of it as it shall stand.
    ///
    /// ```rhai
    /// msg.append("NTE|1||seen"); msg["NTE-3"] == "seen"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn append(message: &mut Hl7, segment: &str) -> Outcome<()> {
        message.append(segment)
    }

    /// The segments of a name, each as a handle.
    ///
    /// ```rhai
    /// msg.segments("OBX").len() == 2 && msg.segments("OBX")[1]["5"] == "4.20"
    /// ```
    #[rhai_fn(pure)]
    pub fn segments(message: &mut Hl7, name: &str) -> Array {
        message.segments(Some(name))
    }

    /// All segments, MSH first.
    ///
    /// ```rhai
    /// msg.segments()[0].name == "MSH"
    /// ```
    #[rhai_fn(name = "segments", pure)]
    pub fn all_segments(message: &mut Hl7) -> Array {
        message.segments(None)
    }

    /// One whole message for each order: MSH and what stands before the first order, the nearest PID/PV1
    /// group, and that order with its ORC and what follows it.
    ///
    /// ```rhai
    /// msg.groups("OBR").len() == 1
    /// ```
    #[rhai_fn(pure)]
    pub fn groups(message: &mut Hl7, of: &str) -> Array {
        message.groups(of)
    }

    /// Another message that is the same: a change of one is no change of the other.
    ///
    /// ```rhai
    /// let other = msg.copy(); other["PID-8"] = "F"; msg["PID-8"] == "M"
    /// ```
    #[rhai_fn(pure)]
    pub fn copy(message: &mut Hl7) -> Hl7 {
        message.copy()
    }

    /// The whole message as text.
    ///
    /// ```rhai
    /// msg.to_string().starts_with("MSH|^~\\&|")
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_text(message: &mut Hl7) -> ImmutableString {
        message.text()
    }
}
