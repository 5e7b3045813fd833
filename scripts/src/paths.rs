//! The places in a message that steps name: HL7 paths and JSON paths.

use std::{fmt, sync::LazyLock};

use formats::{
    dicom,
    hl7::{self, Part},
    xml,
};
use rhai::Dynamic;
use serde_json::{Map, Value};

use crate::{form::Form, row_path::RowPath, tree::Tree};

/// MSH-10.
pub(crate) static CONTROL_ID: LazyLock<hl7::Path> = LazyLock::new(|| fixed("MSH-10"));
/// MSH-18, its first repetition.
pub(crate) static CHARSET: LazyLock<hl7::Path> = LazyLock::new(|| fixed("MSH-18"));

pub(crate) fn fixed(path: &str) -> hl7::Path {
    hl7::Path::parse(path).expect("a path of the code is one")
}

/// A path as it was written, read for each format that has paths.
#[derive(Debug, Clone)]
pub(crate) struct AnyPath {
    text: String,
    hl7: Option<hl7::Path>,
    json: Option<JsonPath>,
    xml: Option<xml::Path>,
    row: Option<RowPath>,
    dicom: Option<dicom::Path>,
}

impl AnyPath {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            hl7: hl7::Path::parse(text).or_else(|_| hl7::Path::parse_short(text)).ok(),
            json: JsonPath::parse(text).ok(),
            xml: xml::Path::parse(text).ok(),
            row: RowPath::parse(text).ok(),
            dicom: dicom::Path::parse(text).ok(),
        }
    }

    /// Whether it is a path in one format at least.
    pub(crate) fn is_path_somewhere(&self) -> bool {
        self.hl7.is_some() || self.json.is_some() || self.xml.is_some() || self.dicom.is_some()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn hl7(&self) -> Option<&hl7::Path> {
        self.hl7.as_ref()
    }

    /// Whether something stands there; none where the form has no such path.
    pub(crate) fn is_there(&self, form: &Form) -> Option<bool> {
        match form {
            Form::Hl7(message) => Some(message.has(self.hl7.as_ref()?)),
            Form::Json(document) => {
                Some(document.find(self.json.as_ref()?).is_some_and(|value| is_there(&value)))
            }
            Form::Xml(document) => {
                Some(document.get(self.xml.as_ref()?).is_some_and(|value| !value.is_empty()))
            }
            Form::Rows(sheet) => Some(self.row.as_ref()?.is_there(sheet)),
            Form::Dicom(instance) => Some(instance.has(self.dicom.as_ref()?).unwrap_or_default()),
            Form::Text(_) | Form::Binary => None,
        }
    }

    /// What stands there as text, empty when absent; none where the form has no such path.
    pub(crate) fn read(&self, form: &Form) -> Option<String> {
        match form {
            Form::Hl7(message) => Some(message.get(self.hl7.as_ref()?).into_owned()),
            Form::Json(document) => {
                let found = document.find(self.json.as_ref()?);
                Some(found.map(|value| text_of(&value)).unwrap_or_default())
            }
            Form::Xml(document) => Some(document.get(self.xml.as_ref()?).unwrap_or_default()),
            Form::Rows(sheet) => Some(self.row.as_ref()?.read(sheet).unwrap_or_default()),
            Form::Dicom(instance) => Some(instance.get(self.dicom.as_ref()?).unwrap_or_default()),
            Form::Text(_) | Form::Binary => None,
        }
    }

    /// What to tell a person where the form has no such path.
    pub(crate) fn misfit(&self, form: &Form) -> String {
        let of = match form {
            Form::Hl7(_) => "an HL7 message",
            Form::Json(_) => "a JSON document",
            Form::Xml(_) => "an XML document",
            Form::Rows(_) => "rows",
            Form::Dicom(_) => "a DICOM instance",
            Form::Text(_) => "text",
            Form::Binary => "bytes",
        };
        format!("`{}` is not a path in {of}", self.text)
    }
}

fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A value as text: what stands in quotes, digits as they are, JSON for what has parts.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is written to a place.
pub(crate) enum Written {
    Text(String),
    Part(Part),
    Value(Value),
}

impl Written {
    /// How much text it is; what JSON holds was counted when it was made.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Part(part) => part.as_str().len(),
            Self::Value(_) => 0,
        }
    }

    /// As text, for a place between other text.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Part(part) => part.as_str().to_owned(),
            Self::Value(value) => text_of(&value),
        }
    }
}

/// A path into JSON: `name[0].family`, `name.0.family`. Lists count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Key>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Name(String),
    Place(usize),
}

impl JsonPath {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not a path: {why}");
        let mut keys = Vec::new();
        for (index, step) in text.split('.').enumerate() {
            let (name, mut places) = step.split_at(step.find('[').unwrap_or(step.len()));
            if name.is_empty() && (index > 0 || places.is_empty()) {
                return Err(wrong("a name is missing"));
            }
            if name.contains([']', '"', ' ']) {
                return Err(wrong("a name holds a blank, a quote or a bracket"));
            }
            if !name.is_empty() {
                keys.push(Key::Name(name.to_owned()));
            }
            while !places.is_empty() {
                let (place, rest) = places
                    .strip_prefix('[')
                    .and_then(|open| open.split_once(']'))
                    .ok_or_else(|| wrong("a bracket has no partner"))?;
                keys.push(Key::Place(place.parse().map_err(|_| wrong("no number stands in brackets"))?));
                places = rest;
            }
        }
        Ok(Self(keys))
    }

    /// The place of a member, whatever its name is.
    pub(crate) fn member_named(name: &str) -> Self {
        Self(vec![Key::Name(name.to_owned())])
    }

    /// Whether it is one name alone.
    pub(crate) fn is_simple(&self) -> bool {
        matches!(&*self.0, [Key::Name(_)])
    }

    pub(crate) fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, key| match (key, value) {
            (Key::Name(name), Value::Object(map)) => map.get(name),
            (Key::Name(name), Value::Array(list)) => list.get(name.parse::<usize>().ok()?),
            (Key::Place(place), Value::Array(list)) => list.get(*place),
            _ => None,
        })
    }

    /// The same among Rhai's own values; a copy.
    pub(crate) fn find_own(&self, root: &Dynamic) -> Option<Dynamic> {
        find_own(&self.0, root)
    }

    /// Puts a value there; makes the maps and lists on the way, and one more element of a list.
    pub(crate) fn set(&self, root: &mut Value, new: Value) -> Result<(), String> {
        let mut value = root;
        for key in &self.0 {
            value = match key {
                Key::Name(name) if value.is_array() || (value.is_null() && is_number(name)) => {
                    let place = name.parse().map_err(|_| format!("`{self}` names `{name}` in a list"))?;
                    self.element(value, place)?
                }
                Key::Name(name) => self.member(value, name)?,
                Key::Place(place) => self.element(value, *place)?,
            };
        }
        *value = new;
        Ok(())
    }

    fn member<'a>(&self, value: &'a mut Value, name: &str) -> Result<&'a mut Value, String> {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        let map = value.as_object_mut().ok_or_else(|| format!("`{self}` goes through a plain value"))?;
        Ok(map.entry(name).or_insert(Value::Null))
    }

    fn element<'a>(&self, value: &'a mut Value, place: usize) -> Result<&'a mut Value, String> {
        if value.is_null() {
            *value = Value::Array(Vec::new());
        }
        let list = value.as_array_mut().ok_or_else(|| format!("`{self}` counts in what is no list"))?;
        if place > list.len() {
            return Err(format!("`{self}` leaves a hole: the list has {} elements", list.len()));
        }
        if place == list.len() {
            list.push(Value::Null);
        }
        Ok(&mut list[place])
    }
}

fn find_own(keys: &[Key], value: &Dynamic) -> Option<Dynamic> {
    let Some((key, further)) = keys.split_first() else { return Some(value.clone()) };
    if let Some(tree) = value.read_lock::<Tree>() {
        return tree.with(|root| find_own(keys, root));
    }
    if let Some(list) = value.read_lock::<rhai::Array>() {
        let place = match key {
            Key::Name(name) => name.parse().ok()?,
            Key::Place(place) => *place,
        };
        return find_own(further, list.get(place)?);
    }
    let map = value.read_lock::<rhai::Map>()?;
    match key {
        Key::Name(name) => find_own(further, map.get(name.as_str())?),
        Key::Place(_) => None,
    }
}

fn is_number(name: &str) -> bool {
    name.parse::<usize>().is_ok()
}

impl fmt::Display for JsonPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            match key {
                Key::Name(name) if index == 0 => write!(formatter, "{name}")?,
                Key::Name(name) => write!(formatter, ".{name}")?,
                Key::Place(place) => write!(formatter, "[{place}]")?,
            }
        }
        Ok(())
    }
}

impl AnyPath {
    /// Writes there.
    pub(crate) fn write(&self, form: &mut Form, written: Written) -> Result<(), String> {
        match form {
            Form::Hl7(message) => {
                let path = self.hl7.as_ref().ok_or_else(|| self.misfit(&Form::Hl7(message.clone())))?;
                match written {
                    Written::Part(part) => message.set_part(path, &part),
                    other => message.set(path, &other.into_text()),
                }
                .map_err(|error| error.to_string())
            }
            Form::Json(value) => {
                let path = self.json.as_ref().ok_or_else(|| self.misfit(&Form::Json(value.clone())))?;
                let new = match written {
                    Written::Value(value) => value,
                    other => Value::String(other.into_text()),
                };
                path.set(std::sync::Arc::make_mut(value).tree_mut(), new)
            }
            Form::Xml(document) => {
                let path = self.xml.as_ref().ok_or_else(|| self.misfit(&Form::Xml(document.clone())))?;
                let document = std::sync::Arc::make_mut(document);
                document.set(path, &written.into_text()).map_err(|error| error.to_string())
            }
            Form::Rows(sheet) => {
                let path = self.row.as_ref().ok_or_else(|| self.misfit(&Form::Rows(sheet.clone())))?;
                path.set(sheet, &written.into_text())
            }
            Form::Dicom(instance) => {
                let path = self.dicom.as_ref().ok_or_else(|| self.misfit(&Form::Dicom(instance.clone())))?;
                let text = crate::dicom::fitting(path, written.into_text());
                std::sync::Arc::make_mut(instance).set(path, &text).map_err(|error| error.to_string())
            }
            other => Err(self.misfit(other)),
        }
    }
}
