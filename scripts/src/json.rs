//! JSON to Rhai's values and back, with every digit of every number.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use rhai::{Array, Dynamic, ImmutableString, Map};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::{Number, Value};

use crate::{nested::DEEPEST, part::ScriptPart, time::Time, tree::Tree};

/// A number that no integer and no decimal of Rhai's can hold without losing a digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digits(pub(crate) String);

/// Reads JSON text; a byte order mark before it is passed over.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text))
        .map_err(|error| format!("it is not JSON: {error}"))
}

/// How many values JSON text has at most: commas and brackets that stand in no string.
pub(crate) fn count_values(text: &str) -> usize {
    let (mut count, mut is_text, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b',' | b'[' | b'{' if !is_text => count += 1,
            _ => {}
        }
    }
    count
}

pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => number_to_dynamic(number),
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => Dynamic::from_array(list.iter().map(to_dynamic).collect()),
        Value::Object(map) => map_to_dynamic(map),
    }
}

/// A JSON object as a Rhai map.
pub(crate) fn map_to_dynamic(map: &serde_json::Map<String, Value>) -> Dynamic {
    Dynamic::from_map(map.iter().map(|(key, value)| (key.as_str().into(), to_dynamic(value))).collect())
}

fn number_to_dynamic(number: &Number) -> Dynamic {
    digits_to_dynamic(number.to_string())
}

/// A number as JSON writes it.
pub(crate) fn digits_to_dynamic(digits: String) -> Dynamic {
    if let Ok(integer) = digits.parse::<i64>()
        && is_written(integer, &digits)
    {
        return integer.into();
    }
    match Decimal::from_str_exact(&digits) {
        Ok(decimal) if is_written(decimal, &digits) => Dynamic::from_decimal(decimal),
        _ => Dynamic::from(Digits(digits)),
    }
}

/// Whether a number is written in just these digits.
fn is_written(number: impl fmt::Display, digits: &str) -> bool {
    let mut left = Left(digits);
    write!(left, "{number}").is_ok() && left.0.is_empty()
}

/// What of a text is not yet written again.
struct Left<'a>(&'a str);

impl fmt::Write for Left<'_> {
    fn write_str(&mut self, written: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Whether a value is a map, a list or a JSON `msg`.
pub(crate) fn is_document(value: &Dynamic) -> bool {
    value.is_map() || value.is_array() || value.is::<Tree>()
}

/// A value as JSON text; fails for what JSON cannot say.
pub(crate) fn written(value: &Dynamic) -> Result<Vec<u8>, String> {
    serde_json::to_vec(&Written { value, left: DEEPEST }).map_err(|error| error.to_string())
}

/// A value on its way into text, and how deep it may still go.
struct Written<'a> {
    value: &'a Dynamic,
    left: usize,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { value, left } = *self;
        if left == 0 {
            return Err(S::Error::custom(format_args!("JSON cannot be nested deeper than {DEEPEST}")));
        }
        if let Some(text) = value.read_lock::<ImmutableString>() {
            return to.serialize_str(&text);
        }
        if let Some(map) = value.read_lock::<Map>() {
            let items = members(&map).map(|(key, value)| (key, Written { value, left: left - 1 }));
            return to.collect_map(items);
        }
        if let Some(list) = value.read_lock::<Array>() {
            return to.collect_seq(list.iter().map(|value| Written { value, left: left - 1 }));
        }
        if let Some(tree) = value.read_lock::<Tree>() {
            return tree.with(|value| Written { value, left }.serialize(to));
        }
        match scalar(value) {
            Some(scalar) => scalar.serialize(to),
            None => Err(S::Error::custom(format_args!("JSON cannot hold {}", crate::form::named(value)))),
        }
    }
}

/// A FHIR resource says first what it is: for people, and for readers that do not look back.
fn members(map: &Map) -> impl Iterator<Item = (&str, &Dynamic)> {
    let first = map.get_key_value("resourceType");
    let rest = map.iter().filter(|(key, _)| *key != "resourceType");
    first.into_iter().chain(rest).map(|(key, value)| (key.as_str(), value))
}

/// A value as JSON; fails for what JSON cannot say.
pub(crate) fn from_dynamic(value: &Dynamic) -> Result<Value, String> {
    at_depth(value, DEEPEST)
}

fn at_depth(value: &Dynamic, left: usize) -> Result<Value, String> {
    if left == 0 {
        return Err(format!("JSON cannot be nested deeper than {DEEPEST}"));
    }
    if let Some(tree) = value.read_lock::<Tree>() {
        return tree.with(|root| at_depth(root, left));
    }
    if let Some(list) = value.read_lock::<Array>() {
        return list.iter().map(|item| at_depth(item, left - 1)).collect::<Result<_, _>>().map(Value::Array);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let mut object = serde_json::Map::with_capacity(map.len());
        for (key, item) in members(&map) {
            object.insert(key.to_string(), at_depth(item, left - 1)?);
        }
        return Ok(Value::Object(object));
    }
    scalar(value).ok_or_else(|| format!("JSON cannot hold {}", crate::form::named(value)))
}

fn scalar(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Some(flag.into());
    }
    if let Ok(integer) = value.as_int() {
        return Some(integer.into());
    }
    if let Ok(decimal) = value.as_decimal() {
        return number(&decimal.to_string());
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Some(text.as_str().into());
    }
    if let Some(digits) = value.read_lock::<Digits>() {
        return number(&digits.0);
    }
    if let Ok(character) = value.as_char() {
        return Some(character.to_string().into());
    }
    if let Some(part) = value.read_lock::<ScriptPart>() {
        return Some(part.0.as_str().into());
    }
    value.read_lock::<Time>().map(|time| time.iso().into())
}

fn number(digits: &str) -> Option<Value> {
    Number::from_str(digits).ok().map(Value::Number)
}

/// The same value with the members that were there before in the order they stood in.
pub(crate) fn ordered_like(before: &Value, after: Value) -> Value {
    match (before, after) {
        (Value::Object(before), Value::Object(mut after)) => {
            let mut ordered = serde_json::Map::new();
            for (key, old) in before {
                if let Some(new) = after.remove(key) {
                    ordered.insert(key.clone(), ordered_like(old, new));
                }
            }
            ordered.extend(after);
            Value::Object(ordered)
        }
        (Value::Array(before), Value::Array(after)) => {
            let mut old = before.iter();
            let ordered = after.into_iter().map(|new| match old.next() {
                Some(old) => ordered_like(old, new),
                None => new,
            });
            Value::Array(ordered.collect())
        }
        (_, after) => after,
    }
}
