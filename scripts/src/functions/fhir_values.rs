//! The values of an HL7 message as FHIR says them. A place is the number of a field, or text such as `"3.1"`; what is absent or
//! the HL7 null is `()`, or an empty list.

use formats::hl7::Place;
use jiff::tz::TimeZone;
use rhai::{Array, Dynamic, INT, ImmutableString, Map, plugin::*};

use super::{Outcome, broke};
use crate::{
    fhir::{self, Draft, Order, Parts, Party, Sight, Site},
    handle::Segment,
};

#[export_module]
pub(crate) mod functions {
    /// The text at a place, without blanks around it; empty when absent or the HL7 null.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.text(to.first("PID"), "5.1") == "DUPONT" && to.text(to.first("PID"), 30) == ""
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn text(to: &mut Draft, segment: Segment, place: INT) -> Outcome<ImmutableString> {
        to.read(&segment, field(place)?, |sight, _| (&*sight.parts().whole()).into())
    }

    /// As `text` of a field, of a part of one: `"3.1"`, `"5[2].4"`.
    #[rhai_fn(name = "text", return_raw, pure)]
    pub fn text_within(to: &mut Draft, segment: Segment, place: &str) -> Outcome<ImmutableString> {
        to.read(&segment, within(place)?, |sight, _| (&*sight.parts().whole()).into())
    }

    /// The texts of all repetitions of a field that hold something, whole.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.texts(to.first("PID"), 3).len() == 2
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn texts(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Array> {
        to.read(&segment, field(place)?, |sight, _| {
            sight.repetitions().map(|parts| (&*parts.whole()).into()).collect()
        })
    }

    /// Whether anything stands in one of these fields: one question where there would be one for each.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); let pid = to.first("PID"); to.has_any(pid, [25, 8]) && !to.has_any(pid, [24, 25]) && !to.has_any(pid, [])
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn has_any(_to: &mut Draft, segment: Segment, fields: Array) -> Outcome<bool> {
        let fields = fields.iter().map(|number| field(number.as_int().or_else(broke)?));
        let fields = fields.collect::<Outcome<Vec<Place>>>()?;
        segment.look(|message, index| {
            fields.iter().any(|place| message.raw_at(index, place).is_some_and(|raw| !raw.is_empty()))
        })
    }

    /// How many repetitions of a field hold something.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.count(to.first("PID"), 3) == 2
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn count(to: &mut Draft, segment: Segment, place: INT) -> Outcome<INT> {
        to.read(&segment, field(place)?, |sight, _| sight.repetitions().count() as INT)
    }

    /// A coded element (CE, CWE, ID…) as a `CodeableConcept`: all its codings, its text.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.concept(to.first("OBX"), 3).coding[0].code == "K"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn concept(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        one(to, &segment, field(place)?, |parts, site| fhir::concept(parts, "", site))
    }

    /// As `concept` of a field, of a part of one: `"3.1"`, `"5[2].4"`.
    #[rhai_fn(name = "concept", return_raw, pure)]
    pub fn concept_within(to: &mut Draft, segment: Segment, place: &str) -> Outcome<Dynamic> {
        one(to, &segment, within(place)?, |parts, site| fhir::concept(parts, "", site))
    }

    /// As `concept` with two arguments; `table` names the code system of codes that name none: `HL70004`.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{});
    /// to.concept(to.first("PV1"), 2, "HL70004").coding[0].system == "http://terminology.hl7.org/CodeSystem/v2-0004"
    /// ```
    #[rhai_fn(name = "concept", return_raw, pure)]
    pub fn concept_of(to: &mut Draft, segment: Segment, place: INT, table: &str) -> Outcome<Dynamic> {
        one(to, &segment, field(place)?, |parts, site| fhir::concept(parts, table, site))
    }

    /// As `concept` of a field, of a part of one: `"3.1"`, `"5[2].4"`.
    #[rhai_fn(name = "concept", return_raw, pure)]
    pub fn concept_of_within(to: &mut Draft, segment: Segment, place: &str, table: &str) -> Outcome<Dynamic> {
        one(to, &segment, within(place)?, |parts, site| fhir::concept(parts, table, site))
    }

    /// The coded elements of all repetitions of a field.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.concepts(to.first("OBX"), 8) == []
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn concepts(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Array> {
        each(to, &segment, field(place)?, |parts, site| fhir::concept(parts, "", site))
    }

    /// As `concepts` with two arguments, with a code system for codes that name none.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.concepts(to.first("OBX"), 3, "LN").len() == 1
    /// ```
    #[rhai_fn(name = "concepts", return_raw, pure)]
    pub fn concepts_of(to: &mut Draft, segment: Segment, place: INT, table: &str) -> Outcome<Array> {
        each(to, &segment, field(place)?, |parts, site| fhir::concept(parts, table, site))
    }

    /// The URI of a code system or authority by the name that messages give it.
    ///
    /// ```rhai
    /// fhir(msg, #{}).system("LN") == "http://loinc.org"
    /// ```
    #[rhai_fn(pure)]
    pub fn system(to: &mut Draft, name: &str) -> String {
        to.site.codes(name).into_owned()
    }

    /// The URI of who is named at a place (HD): `urn:oid:…`, or a name of somebody's own as `urn:id:HOP`; empty when absent.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.authority(to.first("MSH"), 4) == "urn:id:HOP"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn authority(to: &mut Draft, segment: Segment, place: INT) -> Outcome<String> {
        to.read(&segment, field(place)?, |sight, site| site.authority(&sight.parts()))
    }

    /// The URI of the sender (MSH-4, else MSH-3), who owns the numbers that name no owner.
    ///
    /// ```rhai
    /// fhir(msg, #{systems: #{HOP: "urn:oid:1.2.3"}}).sender == "urn:oid:1.2.3"
    /// ```
    #[rhai_fn(get = "sender", pure)]
    pub fn sender(to: &mut Draft) -> String {
        to.site.sender_authority()
    }

    /// Everything that an OBX and its comments say, as an Observation that is not yet of anybody. `has_report`: documents stand
    /// in the report, and are only named here.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.observation(to.first("OBX"), false).valueQuantity.value == number("6.1")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn observation(to: &mut Draft, segment: Segment, has_report: bool) -> Outcome<Map> {
        to.observation(&segment, has_report)
    }

    /// Adds an Observation for each OBX of a list. `about` says what their order says of them: `key` (what makes the identity
    /// together with code and sub-id), `subject`, `encounter`, `request`, `effective` (members), `issued`, `specimen`, `category`,
    /// `report` (whether one holds the documents). Gives of each a map of `reference`, `code` and `part` (OBX-3, OBX-4).
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); let made = to.results(to.all("OBX"), #{key: ["mine"]}); made[1].code == "NA"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn results(to: &mut Draft, segments: Array, about: Map) -> Outcome<Array> {
        to.results(&segments, &about)
    }

    /// The documents (ED, RP) of a list of OBX as Attachments.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.documents(to.all("OBX")) == []
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn documents(to: &mut Draft, segments: Array) -> Outcome<Array> {
        let mut all = Array::new();
        for obx in &segments {
            let Some(obx) = obx.read_lock::<Segment>() else { return broke("a result is a segment") };
            all.extend(to.documents(&obx)?);
        }
        Ok(all)
    }

    /// A reference to the place that a PL names; the places come into the Bundle as Locations, from the site down to the bed.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.location(to.first("PV1"), 3).display == "CAR 101 1"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn location(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        Ok(to.location(&segment, field(place)?)?.map_or(Dynamic::UNIT, Dynamic::from_map))
    }

    /// A document in the message (ED) as an Attachment, base64 however it came; a CDA document is `text/xml`.
    ///
    /// ```rhai
    /// msg["OBX-5"] = part("^AP^PDF^Base64^JVBERg=="); let to = fhir(msg, #{});
    /// to.attachment(to.first("OBX"), 5).contentType == "application/pdf"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn attachment(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        one(to, &segment, field(place)?, fhir::attachment)
    }

    /// Text as an Attachment.
    ///
    /// ```rhai
    /// fhir(msg, #{}).text_attachment("A").data == "QQ=="
    /// ```
    #[rhai_fn(pure)]
    pub fn text_attachment(_to: &mut Draft, text: &str) -> Map {
        fhir::text_attachment(text)
    }

    /// A document elsewhere (RP) as an Attachment.
    ///
    /// ```rhai
    /// msg["OBX-5"] = part("https://pacs/1^^IM^JPEG"); let to = fhir(msg, #{}); to.pointer(to.first("OBX"), 5).contentType == "image/jpeg"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn pointer(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        one(to, &segment, field(place)?, fhir::pointer)
    }

    /// A number with its owner and type (CX) as an Identifier.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{systems: #{HOP: "urn:oid:1.2.3"}}); to.identifier(to.first("PID"), 3).system == "urn:oid:1.2.3"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn identifier(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        one(to, &segment, field(place)?, fhir::identifier)
    }

    /// The numbers (CX) of all repetitions of a field.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.identifiers(to.first("PID"), 3)[0].value == "12345678"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn identifiers(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Array> {
        each(to, &segment, field(place)?, fhir::identifier)
    }

    /// The number of an order or a specimen (EI) as an Identifier of a type: `PLAC`, `FILL`.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.order_number(to.first("OBR"), 2, "PLAC").value == "PL1"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn order_number(to: &mut Draft, segment: Segment, place: INT, kind: &str) -> Outcome<Dynamic> {
        one(to, &segment, field(place)?, |parts, site| fhir::order_number(parts, kind, site))
    }

    /// The number at this field of an order's OBR, else of its ORC; `()` where neither has one.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.order_number(to.orders()[0], 3, "FILL").value == "FI1"
    /// ```
    #[rhai_fn(name = "order_number", return_raw, pure)]
    pub fn order_number_of(to: &mut Draft, order: Order, place: INT, kind: &str) -> Outcome<Dynamic> {
        first_number(to, &[&order.0.request, &order.0.order], field(place)?, kind)
    }

    /// As `order_number` of an order, of a map that has its `request` and `order`.
    #[rhai_fn(name = "order_number", return_raw, pure)]
    pub fn order_number_of_map(to: &mut Draft, order: Map, place: INT, kind: &str) -> Outcome<Dynamic> {
        let segments: Vec<_> = ["request", "order"].iter().filter_map(|name| order.get(*name)).collect();
        first_number(to, &segments, field(place)?, kind)
    }

    /// As `order_number` of a field, of a part of one: `"3.1"`, `"5[2].4"`.
    #[rhai_fn(name = "order_number", return_raw, pure)]
    pub fn order_number_within(
        to: &mut Draft,
        segment: Segment,
        place: &str,
        kind: &str,
    ) -> Outcome<Dynamic> {
        one(to, &segment, within(place)?, |parts, site| fhir::order_number(parts, kind, site))
    }

    /// The names of people (XPN) of all repetitions of a field.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.names(to.first("PID"), 5)[0].family == "DUPONT"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn names(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Array> {
        each(to, &segment, field(place)?, fhir::human_name)
    }

    /// The addresses (XAD) of all repetitions of a field.
    ///
    /// ```rhai
    /// msg["PID-11"] = part("1 RUE X^^PARIS"); let to = fhir(msg, #{}); to.addresses(to.first("PID"), 11)[0].city == "PARIS"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn addresses(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Array> {
        each(to, &segment, field(place)?, fhir::address)
    }

    /// The telephone numbers (XTN) of all repetitions of a field, with what they are for where they do not say it.
    ///
    /// ```rhai
    /// msg["PID-13"] = "0102030405"; let to = fhir(msg, #{}); to.telecoms(to.first("PID"), 13, "home")[0]["use"] == "home"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn telecoms(to: &mut Draft, segment: Segment, place: INT, usage: &str) -> Outcome<Array> {
        each(to, &segment, field(place)?, |parts, _| fhir::contact_point(parts, usage))
    }

    /// References to the professionals (XCN) of all repetitions of a field. One that has a number comes into the Bundle as a
    /// Practitioner; one without is only named, as nobody knows which of his name it is.
    ///
    /// ```rhai
    /// msg["OBR-16"] = part("77^MARTIN^LEA"); let to = fhir(msg, #{}); to.people(to.first("OBR"), 16)[0].display == "LEA MARTIN"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn people(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Array> {
        to.references(&segment, field(place)?, Party::Person)
    }

    /// References to the organizations (XON) of all repetitions of a field, as `people` does.
    ///
    /// ```rhai
    /// msg["OBX-23"] = part("LABO^^^^^^^^^9"); let to = fhir(msg, #{}); to.organizations(to.first("OBX"), 23)[0].display == "LABO"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn organizations(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Array> {
        to.references(&segment, field(place)?, Party::Organization)
    }

    /// A `date`; `()` and a note where there is none.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.date(to.first("PID"), 7) == "1985-03-12"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn date(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        timely(to, &segment, field(place)?, fhir::date)
    }

    /// A `dateTime` as precise as it is written, in the message's zone (MSH-7), else the channel's, where it names none.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.date_time(to.first("MSH"), 7) == "2026-03-01T08:00:00+01:00"
    /// ```
    /// ```rhai
    /// msg["MSH-7"] = "20260301080000-0500"; msg["OBX-14"] = "202607010900"; let to = fhir(msg, #{}); to.date_time(to.first("OBX"), 14) == "2026-07-01T09:00:00-05:00"
    /// ```
    /// ```rhai
    /// msg["MSH-7"] = "20260301080000+0100"; msg["OBX-14"] = "202607010900"; let to = fhir(msg, #{}); to.date_time(to.first("OBX"), 14) == "2026-07-01T09:00:00+02:00"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn date_time(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        timely(to, &segment, field(place)?, fhir::date_time)
    }

    /// As `date_time` of a field, of a part of one: `"3.1"`, `"5[2].4"`.
    #[rhai_fn(name = "date_time", return_raw, pure)]
    pub fn date_time_within(to: &mut Draft, segment: Segment, place: &str) -> Outcome<Dynamic> {
        timely(to, &segment, within(place)?, fhir::date_time)
    }

    /// An `instant`: a time with its clock.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.instant(to.first("MSH"), 7) == "2026-03-01T08:00:00+01:00" && to.instant(to.first("PID"), 7) == ()
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn instant(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        timely(to, &segment, field(place)?, fhir::instant)
    }

    /// A `time` of the day.
    ///
    /// ```rhai
    /// msg["OBX-5"] = "0830"; let to = fhir(msg, #{}); to.time_of_day(to.first("OBX"), 5) == "08:30:00"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn time_of_day(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        timely(to, &segment, field(place)?, |text, _| fhir::time_of_day(text))
    }

    /// A Period from one place to another; without an end that lies before its start.
    ///
    /// ```rhai
    /// msg["OBR-7"] = "2026"; msg["OBR-8"] = "2025"; let to = fhir(msg, #{}); to.period(to.first("OBR"), 7, 8) == #{start: "2026"}
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn period(to: &mut Draft, segment: Segment, start: INT, end: INT) -> Outcome<Dynamic> {
        let from = to.read(&segment, field(start)?, first_text)?;
        let until = to.read(&segment, field(end)?, first_text)?;
        Ok(fhir::period(&from, &until, &to.site.zone).map().map_or(Dynamic::UNIT, Dynamic::from_map))
    }

    /// As `period` of a field, of a part of one: `"3.1"`, `"5[2].4"`.
    #[rhai_fn(name = "period", return_raw, pure)]
    pub fn period_within(to: &mut Draft, segment: Segment, start: &str, end: &str) -> Outcome<Dynamic> {
        let from = to.read(&segment, within(start)?, first_text)?;
        let until = to.read(&segment, within(end)?, first_text)?;
        Ok(fhir::period(&from, &until, &to.site.zone).map().map_or(Dynamic::UNIT, Dynamic::from_map))
    }

    /// A number with the digits that came; `()` where the text is none.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.decimal("4.20").to_string() == "4.20" && to.decimal("high") == ()
    /// ```
    #[rhai_fn(pure)]
    pub fn decimal(_to: &mut Draft, text: &str) -> Dynamic {
        fhir::decimal(text).unwrap_or_default()
    }

    /// The unit at a place (CE, CWE) as the members of a Quantity: as it is called, and its UCUM code where that is known.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.unit(to.first("OBX"), 6).code == "mmol/L"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn unit(to: &mut Draft, segment: Segment, place: INT) -> Outcome<Dynamic> {
        one(to, &segment, field(place)?, fhir::unit)
    }

    /// As `unit` of a field, of a part of one: `"3.1"`, `"5[2].4"`.
    #[rhai_fn(name = "unit", return_raw, pure)]
    pub fn unit_within(to: &mut Draft, segment: Segment, place: &str) -> Outcome<Dynamic> {
        one(to, &segment, within(place)?, fhir::unit)
    }

    /// A Quantity of a number, which may stand behind `<`, `<=`, `>` or `>=`, and a unit or `()`; `()` where it is no number.
    ///
    /// ```rhai
    /// fhir(msg, #{}).quantity("<0.50", #{unit: "g/L"}) == #{comparator: "<", value: number("0.50"), unit: "g/L"}
    /// ```
    #[rhai_fn(pure)]
    pub fn quantity(_to: &mut Draft, text: &str, unit: Dynamic) -> Dynamic {
        let unit = unit.try_cast::<Map>();
        fhir::quantity(text, unit.as_ref()).map_or(Dynamic::UNIT, Dynamic::from_map)
    }

    /// What is normal, of all repetitions of a field (OBX-7), as `reference_range` reads each.
    ///
    /// ```rhai
    /// msg["OBX-7"] = "3.5-5.1"; let to = fhir(msg, #{}); to.reference_ranges(to.first("OBX"), 7, ())[0].high.value == number("5.1")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn reference_ranges(to: &mut Draft, segment: Segment, place: INT, unit: Dynamic) -> Outcome<Array> {
        let unit = unit.try_cast::<Map>();
        each(to, &segment, field(place)?, |parts, _| fhir::reference_range(&parts.whole(), unit.as_ref()))
    }

    /// What is normal: the text, and its bounds where they can be read; with a unit or `()`.
    ///
    /// ```rhai
    /// let range = fhir(msg, #{}).reference_range("3.5-5.1", ()); range.low.value == number("3.5") && range.text == "3.5-5.1"
    /// ```
    #[rhai_fn(pure)]
    pub fn reference_range(_to: &mut Draft, text: &str, unit: Dynamic) -> Dynamic {
        let unit = unit.try_cast::<Map>();
        fhir::reference_range(text, unit.as_ref()).map_or(Dynamic::UNIT, Dynamic::from_map)
    }
}

/// The whole of a field, by its number.
fn field(number: INT) -> Outcome<Place> {
    u16::try_from(number).map(Place::field).or_else(|_| broke(format!("there is no field {number}")))
}

/// A place within a segment, as text.
fn within(text: &str) -> Outcome<Place> {
    Place::parse(text).or_else(broke)
}

fn first_text(sight: &Sight<'_>, _: &Site) -> String {
    let is_field = sight.place == Place::field(sight.place.field);
    let text = if is_field { sight.parts().text(1) } else { sight.parts().whole() };
    text.into_owned()
}

/// The number at this field of the first segment that has one.
fn first_number(to: &Draft, segments: &[&Dynamic], place: Place, kind: &str) -> Outcome<Dynamic> {
    for segment in segments.iter().filter_map(|segment| segment.read_lock::<Segment>()) {
        let found = one(to, &segment, place, |parts, site| fhir::order_number(parts, kind, site))?;
        if !found.is_unit() {
            return Ok(found);
        }
    }
    Ok(Dynamic::UNIT)
}

fn one(
    to: &Draft,
    segment: &Segment,
    place: Place,
    make: impl Fn(&Parts<'_>, &Site) -> Option<Map>,
) -> Outcome<Dynamic> {
    to.read(segment, place, |sight, site| make(&sight.parts(), site).map_or(Dynamic::UNIT, Dynamic::from_map))
}

fn each(
    to: &Draft,
    segment: &Segment,
    place: Place,
    make: impl Fn(&Parts<'_>, &Site) -> Option<Map>,
) -> Outcome<Array> {
    to.read(segment, place, |sight, site| {
        let found = sight.repetitions().filter_map(|parts| make(&parts, site));
        found.map(Dynamic::from_map).collect()
    })
}

/// Something of time at a place; a note where there is text and no time.
fn timely(
    to: &Draft,
    segment: &Segment,
    place: Place,
    read: fn(&str, &TimeZone) -> Option<String>,
) -> Outcome<Dynamic> {
    let (time, no_time) = to.read(segment, place, |sight, site| {
        let text = first_text(sight, site);
        let time = read(&text, &site.zone);
        let is_none = time.is_none() && !text.is_empty();
        (time, is_none.then(|| format!("{} is not the date or time it should be", sight.name())))
    })?;
    if let Some(note) = no_time {
        to.note(note);
    }
    Ok(time.map_or(Dynamic::UNIT, Dynamic::from))
}
