//! Bundles that the server carries out: transactions, batches, messages.

use engine::{Outbound, SendError};
use hyper::Method;
use serde_json::{Map, Value};

use super::{
    Settings,
    mark::{self, Mark},
    merged::{Follow, Merged},
    request::{Answers, Repeats, Request, is_type, refused, type_of},
};
use crate::fhir::capability::{Deed, Need, parameters};

/// A transaction or a batch, each of its creations marked so that a second try makes no second resource.
pub(super) fn carried_out(
    kind: &'static str,
    mut bundle: Map<String, Value>,
    settings: &Settings,
    outbound: &Outbound,
) -> Result<Request, SendError> {
    let mut seen = Seen { needs: vec![Need::Whole(kind)], ..Seen::default() };
    let mut count = 0;
    if let Some(Value::Array(entries)) = bundle.get_mut("entry") {
        count = entries.len();
        for (place, entry) in entries.iter_mut().enumerate() {
            seen.entry(place, entry, settings, outbound)?;
        }
    }
    let body =
        if seen.is_marked { Value::Object(bundle).to_string().into() } else { outbound.body.whole()? };
    let answers = if kind == "batch" { Answers::Entries(count) } else { Answers::Together(count) };
    let repeats = if seen.is_twice { Repeats::Twice } else { Repeats::Harmless };
    let Seen { mut needs, follows, .. } = seen;
    needs.dedup();
    Ok(Request { body, answers, needs, repeats, follows, ..Request::new(Method::POST, String::new()) })
}

/// A message, which its receiver knows again by the bundle's identifier.
pub(super) fn message(
    mut bundle: Map<String, Value>,
    settings: &Settings,
    outbound: &Outbound,
) -> Result<Request, SendError> {
    let body = if bundle.contains_key("identifier") {
        outbound.body.whole()?
    } else {
        Mark::of(&settings.mark_system, outbound.effect).identify(&mut bundle);
        Value::Object(bundle).to_string().into()
    };
    let needs = vec![Need::Operation("process-message")];
    let request = Request::new(Method::POST, "$process-message".to_owned());
    Ok(Request { body, needs, answers: Answers::Message, ..request })
}

/// What the entries of a bundle come to.
#[derive(Default)]
struct Seen {
    needs: Vec<Need>,
    follows: Vec<Follow>,
    is_marked: bool,
    is_twice: bool,
}

impl Seen {
    fn entry(
        &mut self,
        place: usize,
        entry: &mut Value,
        settings: &Settings,
        outbound: &Outbound,
    ) -> Result<(), SendError> {
        let wrong = |what: &str| refused(format!("entry {} of the bundle {what}", place + 1));
        let text = |entry: &Value, name: &str| entry["request"][name].as_str().map(str::to_owned);
        let (Some(method), Some(url)) = (text(entry, "method"), text(entry, "url")) else {
            return Err(wrong("has no `request` with `method` and `url`"));
        };
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let name = path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
        let need = |deed| Need::Of(name.clone(), deed);
        match method.as_str() {
            "POST" if path.contains('$') => self.is_twice = true,
            "POST" if path.ends_with("_search") => {}
            "POST" => {
                if !is_type(&name) || path.trim_start_matches('/') != name {
                    return Err(wrong("creates something at a `url` that is no type"));
                }
                self.create(place, entry, &name, (settings, outbound))?;
            }
            "PUT" | "PATCH" | "DELETE" => {
                self.is_twice |= method == "PATCH" && entry["request"]["ifMatch"].is_null();
                if method == "PUT" {
                    self.follow(place, entry, query, settings);
                }
                if query.is_empty() {
                    let deed = if method == "PATCH" { Deed::Patch } else { Deed::Update };
                    self.needs.extend((method != "DELETE").then(|| need(deed)));
                } else {
                    self.needs.push(need(Deed::ChangeWhere(parameters(query))));
                }
            }
            "GET" | "HEAD" => {}
            _ => return Err(wrong("has a `method` that is not known here")),
        }
        Ok(())
    }

    fn follow(&mut self, place: usize, entry: &Value, condition: &str, settings: &Settings) {
        if settings.merged == Merged::Follow {
            self.follows.extend(Follow::of(place, entry, condition));
        }
    }

    fn create(
        &mut self,
        place: usize,
        entry: &mut Value,
        name: &str,
        (settings, outbound): (&Settings, &Outbound),
    ) -> Result<(), SendError> {
        if let Some(condition) = entry["request"]["ifNoneExist"].as_str() {
            self.needs.push(Need::Of(name.to_owned(), Deed::CreateWhere(parameters(condition))));
            self.follow(place, entry, condition, settings);
            return Ok(());
        }
        let Some(resource) = entry.get_mut("resource").and_then(Value::as_object_mut) else {
            return Err(refused(format!("entry {} of the bundle has no `resource`", place + 1)));
        };
        if type_of(resource)? != name {
            let why = format!("entry {} of the bundle creates another type than its `url` says", place + 1);
            return Err(refused(why));
        }
        let mark = Mark::of_entry(&settings.mark_system, outbound.effect, place);
        mark.put(name, resource);
        entry["request"]["ifNoneExist"] = mark.condition(name).into();
        self.needs.push(Need::Of(name.to_owned(), Deed::CreateWhere(vec![mark::parameter(name).to_owned()])));
        self.is_marked = true;
        Ok(())
    }
}
