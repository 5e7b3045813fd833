//! What a script does with one segment of an HL7 message.

use rhai::{Dynamic, INT, ImmutableString, plugin::*};

use super::Outcome;
use crate::handle::Segment;

#[export_module]
pub(crate) mod functions {
    /// The text at a place of the segment, as `msg["…"]` reads it: `"5"`, `"5.1"`, `"3[2].4"`.
    ///
    /// ```rhai
    /// let obx = msg.segments("OBX")[0]; obx["3.1"] == "K" && obx["5"] == "6.1"
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn get(segment: &mut Segment, place: &str) -> Outcome<ImmutableString> {
        segment.get(place)
    }

    /// Writes to a place of the segment, as `msg["…"] = …` does.
    ///
    /// ```rhai
    /// for obx in msg.segments("OBX") { obx["11"] = "F" } msg["OBX[2]-11"] == "F"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn set(segment: &mut Segment, place: &str, value: Dynamic) -> Outcome<()> {
        segment.set(place, &value)
    }

    /// The text of a field, by its number.
    ///
    /// ```rhai
    /// msg.segments("OBX")[0][5] == "6.1"
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn field(segment: &mut Segment, number: INT) -> Outcome<ImmutableString> {
        segment.get(&number.to_string())
    }

    /// Writes to a field, by its number.
    ///
    /// ```rhai
    /// let pid = msg.segments("PID")[0]; pid[8] = "U"; msg["PID-8"] == "U"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn set_field(segment: &mut Segment, number: INT, value: Dynamic) -> Outcome<()> {
        segment.set(&number.to_string(), &value)
    }

    /// The segment's name.
    ///
    /// ```rhai
    /// msg.segments()[1].name == "PID"
    /// ```
    #[rhai_fn(get = "name", return_raw, pure)]
    pub fn name(segment: &mut Segment) -> Outcome<ImmutableString> {
        segment.name()
    }

    /// Whether something stands at a place of the segment.
    ///
    /// ```rhai
    /// msg.segments("PID")[0].has("5.1")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn has(segment: &mut Segment, place: &str) -> Outcome<bool> {
        segment.has(place)
    }

    /// What stands at a place of the segment, with its delimiters.
    ///
    /// ```rhai
    /// msg["NK1-2"] = msg.segments("PID")[0].part("5"); msg["NK1-2.1"] == "DUPONT"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn part(segment: &mut Segment, place: &str) -> Outcome<crate::part::ScriptPart> {
        segment.part(place)
    }

    /// Takes the segment out of its message. Handles on other segments stay right.
    ///
    /// ```rhai
    /// for obx in msg.segments("OBX") { obx.remove() } msg.segments("OBX").is_empty()
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn remove(segment: &mut Segment) -> Outcome<()> {
        segment.remove()
    }

    /// The segment's text, without its line end.
    ///
    /// ```rhai
    /// msg.segments("PID")[0].to_string().starts_with("PID|")
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", return_raw, pure)]
    pub fn to_text(segment: &mut Segment) -> Outcome<ImmutableString> {
        segment.text()
    }
}
