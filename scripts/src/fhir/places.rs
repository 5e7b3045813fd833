//! Addresses and telephone numbers (XAD, XTN).

use std::borrow::Cow;

use rhai::Map;

use super::{Element, Parts, Site};

/// An address (XAD).
pub(crate) fn address(xad: &Parts<'_>, site: &Site) -> Option<Map> {
    let kind = xad.text(7);
    // 1 is a street address: a text, or its parts (SAD).
    let street = xad.part(1);
    let first = if street.has_parts() {
        let (name, number, dwelling) = (street.text(2), street.text(3), street.text(1));
        if name.is_empty() && number.is_empty() { dwelling } else { join(&[dwelling, number, name]).into() }
    } else {
        street.text(1)
    };
    let address = Element::default()
        .with("line", vec![first, xad.text(2), xad.text(19)])
        .with("city", xad.text(3))
        .with("state", xad.text(4))
        .with("postalCode", xad.text(5))
        .with("country", xad.text(6))
        .with("district", xad.text(9));
    if address.0.is_empty() {
        return None;
    }
    let kinds = match &*kind {
        "M" => ("", "postal"),
        "SH" => ("", "physical"),
        _ => (usage(&kind), ""),
    };
    let period = xad.part(12);
    let (start, end) = (xad.first_of(&[13]), xad.text(14));
    let start = if start.is_empty() { period.text(1) } else { start };
    let end = if end.is_empty() { period.text(2) } else { end };
    let period = super::period(&start, &end, &site.zone);
    address.with("use", kinds.0).with("type", kinds.1).with("period", period).map()
}

fn join(texts: &[Cow<'_, str>]) -> String {
    texts.iter().map(|text| &**text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What an address is used for, by its type (table 0190).
fn usage(kind: &str) -> &'static str {
    match kind {
        "H" | "P" | "L" => "home",
        "B" | "O" | "F" => "work",
        "C" | "TMP" => "temp",
        "BA" => "old",
        "BI" => "billing",
        _ => "",
    }
}

/// A telephone number or an electronic address (XTN); `usage` where it does not say its own.
pub(crate) fn contact_point(xtn: &Parts<'_>, usage: &str) -> Option<Map> {
    let (purpose, equipment) = (xtn.text(2), xtn.text(3));
    let mail = xtn.text(4);
    let number = xtn.first_of(&[1, 12]);
    let number = if number.is_empty() { assembled(xtn).into() } else { number };
    let is_mail = equipment == "Internet" || equipment == "X.400" || purpose == "NET" || number.contains('@');
    let value = if is_mail && !mail.is_empty() { mail.clone() } else { number };
    let value = if value.is_empty() { mail } else { value };
    if value.is_empty() {
        return None;
    }
    let system = match &*equipment {
        _ if is_mail || value.contains('@') => "email",
        "FX" => "fax",
        "BP" => "pager",
        "PH" | "CP" | "SAT" | "MD" | "" => "phone",
        _ => "other",
    };
    let usage = match &*purpose {
        "PRN" | "ORN" | "VHN" => "home",
        "WPN" => "work",
        "PRS" => "mobile",
        _ if equipment == "CP" => "mobile",
        _ => usage,
    };
    Element::default().with("system", system).with("use", usage).with("value", value).map()
}

/// A number that stands in parts: country, area, local number, extension.
fn assembled(xtn: &Parts<'_>) -> String {
    let (country, area, local, extension) = (xtn.text(5), xtn.text(6), xtn.text(7), xtn.text(8));
    if local.is_empty() {
        return String::new();
    }
    let country =
        if country.is_empty() { country } else { format!("+{}", country.trim_start_matches('+')).into() };
    let extension = if extension.is_empty() { extension } else { format!("x{extension}").into() };
    join(&[country, area, local, extension])
}
