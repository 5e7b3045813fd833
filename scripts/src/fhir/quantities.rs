//! Numbers with their units (NM, SN, CQ), and what is normal.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;
use rhai::{Dynamic, Map};

use super::{Element, Parts, Site, parts};
use crate::json;

const UCUM: &str = "http://unitsofmeasure.org";

/// Units as laboratories write them, and as UCUM does; those that are UCUM already stand in [`IS_UCUM`].
const IN_UCUM: &[(&str, &str)] = &[
    ("g/l", "g/L"),
    ("g/dl", "g/dL"),
    ("mg/l", "mg/L"),
    ("mg/dl", "mg/dL"),
    ("mmol/l", "mmol/L"),
    ("mol/l", "mol/L"),
    ("µmol/l", "umol/L"),
    ("µmol/L", "umol/L"),
    ("μmol/L", "umol/L"),
    ("μmol/l", "umol/L"),
    ("umol/l", "umol/L"),
    ("nmol/l", "nmol/L"),
    ("pmol/l", "pmol/L"),
    ("µg/l", "ug/L"),
    ("µg/L", "ug/L"),
    ("μg/L", "ug/L"),
    ("ug/l", "ug/L"),
    ("ng/l", "ng/L"),
    ("ng/ml", "ng/mL"),
    ("pg/ml", "pg/mL"),
    ("ml/min", "mL/min"),
    ("U/l", "U/L"),
    ("UI/L", "[IU]/L"),
    ("UI/l", "[IU]/L"),
    ("IU/L", "[IU]/L"),
    ("IU/l", "[IU]/L"),
    ("mUI/L", "m[IU]/L"),
    ("mIU/L", "m[IU]/L"),
    ("mUI/l", "m[IU]/L"),
    ("UI/mL", "[IU]/mL"),
    ("IU/mL", "[IU]/mL"),
    ("G/L", "10*9/L"),
    ("Giga/L", "10*9/L"),
    ("Giga/l", "10*9/L"),
    ("10*9/l", "10*9/L"),
    ("10^9/L", "10*9/L"),
    ("10E9/L", "10*9/L"),
    ("x10^9/L", "10*9/L"),
    ("x10E9/L", "10*9/L"),
    ("T/L", "10*12/L"),
    ("Tera/L", "10*12/L"),
    ("10^12/L", "10*12/L"),
    ("x10^12/L", "10*12/L"),
    ("10*3/µL", "10*3/uL"),
    ("10^3/uL", "10*3/uL"),
    ("x10^3/uL", "10*3/uL"),
    ("K/uL", "10*3/uL"),
    ("10^6/uL", "10*6/uL"),
    ("M/uL", "10*6/uL"),
    ("mmHg", "mm[Hg]"),
    ("mm Hg", "mm[Hg]"),
    ("bpm", "/min"),
    ("beats/min", "/min"),
    ("°C", "Cel"),
    ("mm/hr", "mm/h"),
    ("sec", "s"),
    ("seconds", "s"),
    ("ml", "mL"),
    ("mEq/l", "meq/L"),
    ("mEq/L", "meq/L"),
    ("fl", "fL"),
];

/// Units that mean in UCUM what a laboratory means by them.
const IS_UCUM: &[&str] = &[
    "%",
    "g",
    "kg",
    "mg",
    "ug",
    "ng",
    "pg",
    "L",
    "dL",
    "mL",
    "uL",
    "fL",
    "mol",
    "mmol",
    "umol",
    "nmol",
    "cm",
    "mm",
    "m",
    "um",
    "s",
    "min",
    "h",
    "d",
    "wk",
    "mo",
    "a",
    "g/L",
    "g/dL",
    "mg/L",
    "mg/dL",
    "ug/L",
    "ug/dL",
    "ug/mL",
    "ng/L",
    "ng/dL",
    "ng/mL",
    "pg/mL",
    "pg/dL",
    "mol/L",
    "mmol/L",
    "umol/L",
    "nmol/L",
    "pmol/L",
    "U/L",
    "U/mL",
    "kU/L",
    "[IU]/L",
    "[IU]/mL",
    "m[IU]/L",
    "m[IU]/mL",
    "u[IU]/mL",
    "meq/L",
    "10*9/L",
    "10*12/L",
    "10*3/uL",
    "10*6/uL",
    "10*3/mL",
    "/uL",
    "/mm3",
    "mm[Hg]",
    "kPa",
    "/min",
    "Cel",
    "[degF]",
    "mm/h",
    "mL/min",
    "mL/min/{1.73_m2}",
    "kg/m2",
    "mosm/kg",
    "mg/g",
    "mg/mmol",
    "g/mol",
    "mmol/mol",
    "ukat/L",
    "mg/kg",
    "L/min",
    "mL/h",
    "{ratio}",
    "{score}",
    "[pH]",
    "[arb'U]/mL",
    "[in_i]",
    "[lb_av]",
    "[oz_av]",
];

static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"^([<>]=?|=<|=>|≤|≥|=)?\s*([+-]?)(\d*)(?:\.(\d*))?$"));
static BETWEEN: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"^[\[(]?\s*(-?\d+(?:[.,]\d+)?)\s*(?:-|–|—|\.\.|;|to|à|a|bis)\s*(-?\d+(?:[.,]\d+)?)\s*[\])]?")
});
static BEYOND: LazyLock<Regex> = LazyLock::new(|| fixed(r"^(<=?|>=?|≤|≥)\s*(-?\d+(?:[.,]\d+)?)"));

fn fixed(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of the code is one")
}

/// A number with the digits that were measured; none for anything else. `+5`, `.5` and `05` become `5`, `0.5`, `5`.
pub(crate) fn decimal(text: &str) -> Option<Dynamic> {
    let (comparator, number) = compared(text)?;
    comparator.is_empty().then_some(number)
}

/// Digits alone, with a point between them: what most results and ranges are, and quicker to see than a pattern is.
fn plain(text: &str) -> Option<(&str, &str)> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => (is_digits(whole) && is_digits(fraction)).then_some((whole, fraction)),
        None => is_digits(text).then_some((text, "")),
    }
}

/// A comparator and a number.
fn compared(text: &str) -> Option<(&'static str, Dynamic)> {
    let text = text.trim();
    if let Some((whole, fraction)) = plain(text) {
        return Some(("", number("", whole, fraction)?));
    }
    let found = NUMBER.captures(text)?;
    let group = |at: usize| found.get(at).map_or("", |found| found.as_str());
    let (whole, fraction) = (group(3), group(4));
    let comparator = match group(1) {
        "<=" | "=<" | "≤" => "<=",
        ">=" | "=>" | "≥" => ">=",
        "<" => "<",
        ">" => ">",
        _ => "",
    };
    let sign = if group(2) == "-" { "-" } else { "" };
    Some((comparator, number(sign, whole, fraction)?))
}

/// The number of these digits; none where there are none, or so many that nobody measured them.
fn number(sign: &str, whole: &str, fraction: &str) -> Option<Dynamic> {
    let mut digits = whole.bytes().chain(fraction.bytes());
    let length = whole.len() + fraction.len();
    if length == 0 || length > 40 || !digits.all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let trimmed = whole.trim_start_matches('0');
    let whole = if trimmed.is_empty() { "0" } else { trimmed };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(json::digits_to_dynamic([sign, whole, point, fraction].concat()))
}

/// A quantity: a number, which may have a comparator before it, with a unit.
pub(crate) fn quantity(number: &str, unit: Option<&Map>) -> Option<Map> {
    let (comparator, number) = compared(number)?;
    Some(measured(comparator, number, unit))
}

fn measured(comparator: &str, number: Dynamic, unit: Option<&Map>) -> Map {
    let mut quantity = unit.cloned().unwrap_or_default();
    if !comparator.is_empty() {
        quantity.insert("comparator".into(), comparator.into());
    }
    quantity.insert("value".into(), number);
    quantity
}

/// The unit of a quantity (CE, CWE, ID): what it is called, and its UCUM code where it has one or is known to have.
pub(crate) fn unit(cwe: &Parts<'_>, site: &Site) -> Option<Map> {
    let (code, system) = (parts::code(cwe.text(1)), cwe.text(3));
    let shown = cwe.first_of(&[2, 1, 5, 4, 9]);
    if shown.is_empty() {
        return None;
    }
    let named = site.codes(&system);
    let (code, system) = match in_ucum(&code) {
        _ if code.is_empty() => (Cow::Borrowed(""), Cow::Borrowed("")),
        _ if named == UCUM => (in_ucum(&code).map_or(code, Cow::Borrowed), named),
        Some(known) if system.is_empty() || is_older_system(&system) => (known.into(), UCUM.into()),
        _ if system.is_empty() => (Cow::Borrowed(""), Cow::Borrowed("")),
        _ => (code, named),
    };
    Element::default().with("unit", shown).with("system", system).with("code", code).map()
}

/// ISO+, ANSI+ and the sender's own, whose usual units UCUM has too.
fn is_older_system(name: &str) -> bool {
    matches!(name.to_ascii_uppercase().as_str(), "L" | "ISO" | "ISO+" | "ANSI" | "ANSI+" | "ISO+/ANSI+")
}

fn in_ucum(unit: &str) -> Option<&'static str> {
    let known = IS_UCUM.iter().find(|known| **known == unit).copied();
    known.or_else(|| IN_UCUM.iter().find(|(written, _)| *written == unit).map(|(_, known)| *known))
}

/// What is normal, as it is written, and its bounds where they can be read: `3.5-5.1`, `<5`.
pub(crate) fn reference_range(text: &str, unit: Option<&Map>) -> Option<Map> {
    if text.is_empty() {
        return None;
    }
    let bound = |number: &str| {
        let number = decimal(&pointed(number))?;
        Some(Dynamic::from_map(measured("", number, unit)))
    };
    let plainly = text.split_once('-').filter(|(low, high)| plain(low).is_some() && plain(high).is_some());
    let (low, high) = if let Some((low, high)) = plainly {
        if is_in_order(low, high) { (bound(low), bound(high)) } else { (None, None) }
    } else if let Some(found) = BETWEEN.captures(text) {
        let (low, high) = (&found[1], &found[2]);
        if is_in_order(low, high) { (bound(low), bound(high)) } else { (None, None) }
    } else if let Some(found) = BEYOND.captures(text) {
        let number = bound(&found[2]);
        if matches!(&found[1], "<" | "<=" | "≤") { (None, number) } else { (number, None) }
    } else {
        (None, None)
    };
    Element::default().with("low", low).with("high", high).with("text", text).map()
}

/// A number with a point where it was written with a comma.
fn pointed(number: &str) -> Cow<'_, str> {
    if number.contains(',') { Cow::Owned(number.replace(',', ".")) } else { Cow::Borrowed(number) }
}

/// Whether a first number is not above a second.
pub(super) fn is_in_order(low: &str, high: &str) -> bool {
    let read = |number: &str| pointed(number).parse::<f64>();
    matches!((read(low), read(high)), (Ok(low), Ok(high)) if low <= high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(map: Option<Map>) -> String {
        map.map_or_else(String::new, |map| json::from_dynamic(&Dynamic::from_map(map)).unwrap().to_string())
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(shown(quantity("6.10", None)), r#"{"value":6.10}"#);
        assert_eq!(shown(quantity("<0.50", None)), r#"{"comparator":"<","value":0.50}"#);
        assert_eq!(shown(quantity(">= 5", None)), r#"{"comparator":">=","value":5}"#);
        assert_eq!(shown(quantity("-007.", None)), r#"{"value":-7}"#);
        assert_eq!(shown(quantity("+.5", None)), r#"{"value":0.5}"#);
        assert_eq!(
            shown(quantity("1.00000000000000000000000000000000001", None)),
            r#"{"value":1.00000000000000000000000000000000001}"#
        );
        for text in ["", "-", ".", "1,5", "1e5", "5 mg", "<", "NaN", "１"] {
            assert_eq!(shown(quantity(text, None)), "", "{text}");
        }
    }

    #[test]
    fn a_range_has_bounds_where_they_can_be_read_and_its_text_always() {
        let both = r#"{"high":{"value":5.10},"low":{"value":3.5},"text":"3.5 - 5.10"}"#;
        assert_eq!(shown(reference_range("3.5 - 5.10", None)), both);
        assert_eq!(shown(reference_range("<5", None)), r#"{"high":{"value":5},"text":"<5"}"#);
        assert_eq!(
            shown(reference_range("-5--1", None)),
            r#"{"high":{"value":-1},"low":{"value":-5},"text":"-5--1"}"#
        );
        assert_eq!(shown(reference_range("negative", None)), r#"{"text":"negative"}"#);
        assert_eq!(shown(reference_range("9-3", None)), r#"{"text":"9-3"}"#);
    }
}
