//! The native part of the mapping between HL7 v2 and FHIR: data types, and the Bundle that is being made.

mod attachments;
mod bundle;
mod codes;
mod comments;
mod draft;
mod groups;
mod identity;
mod observation;
mod parts;
mod people;
mod places;
mod quantities;
mod site;
mod systems;
mod times;
mod values;
mod wards;

pub(crate) use attachments::{attachment, pointer, text_attachment};
pub(crate) use codes::concept;
pub(crate) use draft::{Draft, Method};
pub(crate) use groups::Order;
pub(crate) use identity::{identifier, key_of, order_number};
pub(crate) use parts::{Parts, Sight};
pub(crate) use people::{Party, human_name, shown_name};
pub(crate) use places::{address, contact_point};
pub(crate) use quantities::{decimal, quantity, reference_range, unit};
pub(crate) use site::Site;
pub(crate) use times::{date, date_time, instant, message_zone, period, time_of_day};

use std::borrow::Cow;

use rhai::{Dynamic, ImmutableString, Map};

/// An element as it is built: what is empty is left out.
#[derive(Default)]
pub(crate) struct Element(Map);

impl Element {
    pub(crate) fn of(resource: &str) -> Self {
        Self::default().with("resourceType", resource)
    }

    /// Adds a member, unless it is empty.
    pub(crate) fn with(mut self, name: &str, value: impl IntoElement) -> Self {
        if let Some(value) = value.into_element() {
            self.0.insert(name.into(), value);
        }
        self
    }

    pub(crate) fn map(self) -> Option<Map> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

/// The text of a member, which is not copied; none where it has no text.
pub(crate) fn text_at(map: &Map, name: &str) -> Option<ImmutableString> {
    map.get(name)?.clone().into_immutable_string().ok()
}

/// What can be a member of an element; none where it is empty.
pub(crate) trait IntoElement {
    fn into_element(self) -> Option<Dynamic>;
}

impl IntoElement for &str {
    fn into_element(self) -> Option<Dynamic> {
        (!self.is_empty()).then(|| self.into())
    }
}

impl IntoElement for String {
    fn into_element(self) -> Option<Dynamic> {
        (!self.is_empty()).then(|| ImmutableString::from(self).into())
    }
}

impl IntoElement for Cow<'_, str> {
    fn into_element(self) -> Option<Dynamic> {
        match self {
            Cow::Borrowed(text) => text.into_element(),
            Cow::Owned(text) => text.into_element(),
        }
    }
}

impl IntoElement for ImmutableString {
    fn into_element(self) -> Option<Dynamic> {
        (!self.is_empty()).then(|| self.into())
    }
}

impl IntoElement for Element {
    fn into_element(self) -> Option<Dynamic> {
        self.map().map(Dynamic::from_map)
    }
}

impl IntoElement for Dynamic {
    fn into_element(self) -> Option<Dynamic> {
        (!self.is_unit()).then_some(self)
    }
}

impl<T: IntoElement> IntoElement for Option<T> {
    fn into_element(self) -> Option<Dynamic> {
        self.and_then(IntoElement::into_element)
    }
}

impl<T: IntoElement> IntoElement for Vec<T> {
    fn into_element(self) -> Option<Dynamic> {
        let items: Vec<Dynamic> = self.into_iter().filter_map(IntoElement::into_element).collect();
        (!items.is_empty()).then(|| Dynamic::from_array(items))
    }
}
