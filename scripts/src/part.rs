//! Parts of an HL7 message in scripts, and what a value becomes when it is written to a place.

use formats::hl7::Part;
use rhai::{Dynamic, Engine, ImmutableString};

use crate::{
    json::{self, Digits},
    paths::Written,
    time::Time,
};

/// Text with its delimiters, to be put in a message as it stands: `part("DUPONT^JEAN")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptPart(pub(crate) Part);

pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<ScriptPart>("part")
        .register_fn("to_string", |part: &mut ScriptPart| part.0.as_str().to_owned())
        .register_fn("to_debug", |part: &mut ScriptPart| part.0.as_str().to_owned())
        .register_fn("==", |left: ScriptPart, right: ScriptPart| left == right)
        .register_fn("is_empty", |part: &mut ScriptPart| part.0.is_empty())
        .register_fn("to_string", |digits: &mut Digits| digits.0.clone())
        .register_fn("to_debug", |digits: &mut Digits| digits.0.clone())
        .register_fn("==", |left: Digits, right: Digits| left == right);
}

/// What a value is when it is written to a field. Nothing (`()`) empties it, as an absent path reads as empty.
pub(crate) fn for_field(value: &Dynamic) -> Result<Written, String> {
    if let Some(part) = value.read_lock::<ScriptPart>() {
        return Ok(Written::Part(part.0.clone()));
    }
    if let Some(time) = value.read_lock::<Time>() {
        return Ok(Written::Text(time.hl7()));
    }
    if value.is_bool() {
        return Err("a field cannot hold true or false: write the text that shall stand there".to_owned());
    }
    plain_text(value)
        .map(Written::Text)
        .ok_or_else(|| format!("a field cannot hold {}", crate::form::named(value)))
}

/// What a value is when it is written to a place in JSON.
pub(crate) fn for_member(value: &Dynamic) -> Result<Written, String> {
    json::from_dynamic(value).map(Written::Value)
}

/// What a value is between other text: nothing is empty, maps and lists are JSON.
pub(crate) fn for_text(value: &Dynamic) -> Result<String, String> {
    if let Some(text) = plain_text(value) {
        return Ok(text);
    }
    if let Some(message) = value.read_lock::<crate::handle::Hl7>() {
        return Ok(message.message().text().to_owned());
    }
    json::from_dynamic(value).map(Written::Value).map(Written::into_text)
}

fn plain_text(value: &Dynamic) -> Option<String> {
    if value.is_unit() {
        return Some(String::new());
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Some(text.to_string());
    }
    if let Some(digits) = value.read_lock::<Digits>() {
        return Some(digits.0.clone());
    }
    if let Some(part) = value.read_lock::<ScriptPart>() {
        return Some(part.0.as_str().to_owned());
    }
    let is_plain = value.is_int() || value.is_decimal() || value.is_char();
    is_plain.then(|| value.to_string())
}
