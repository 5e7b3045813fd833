//! Names that a channel gives its destinations, and every place that uses one.

use std::collections::BTreeMap;

use engine::{Diagnostic, Path, Place};

use super::{destination::DestinationRead, reader::Reader};
use crate::near::nearest;

/// Looks up every name of a destination.
pub(crate) fn check(reader: &mut Reader<'_>, destinations: &[DestinationRead]) {
    twice(reader, destinations);
    let mut names: Vec<&str> = destinations.iter().map(|destination| destination.name.as_str()).collect();
    names.dedup();
    for at in uses(reader, destinations) {
        let text = reader.tree.at(&at.path).and_then(|node| node.scalar()).map(|scalar| scalar.text.clone());
        let name = match at.place {
            Place::Key => at.path.parts().last().cloned(),
            _ => text,
        };
        if let Some(name) = name.filter(|name| !names.contains(&name.as_str())) {
            unknown(reader, &at, &name, &names);
        }
    }
    circles(reader, destinations);
}

struct Use {
    path: Path,
    place: Place,
}

fn uses(reader: &Reader<'_>, destinations: &[DestinationRead]) -> Vec<Use> {
    let value = |path: Path| Use { path, place: Place::Value };
    let mut uses: Vec<Use> = destinations.iter().map(|one| value(one.path.join("after"))).collect();
    uses.push(value(Path::parse("reply.from")));
    for test in reader.items(&Path::parse("tests")) {
        for part in ["expect", "responses"] {
            let under = test.join(part);
            let keys = reader.tree.at(&under).map_or(&[][..], |node| node.entries());
            uses.extend(keys.iter().map(|entry| Use { path: under.join(&entry.key), place: Place::Key }));
        }
    }
    uses.retain(|used| reader.tree.at(&used.path).is_some());
    uses
}

fn unknown(reader: &mut Reader<'_>, at: &Use, name: &str, names: &[&str]) {
    let message = format!("this channel has no destination `{name}`");
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "it has none at all".into(),
        None => {
            format!("it has {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        }
    };
    let fault = Diagnostic::error("unknown-destination", at.path.clone(), message).help(help);
    reader.push(fault.place(at.place.clone()));
}

fn twice(reader: &mut Reader<'_>, destinations: &[DestinationRead]) {
    for (place, destination) in destinations.iter().enumerate() {
        let name = &destination.name;
        if !name.is_empty() && destinations[..place].iter().any(|earlier| earlier.name == *name) {
            let message = format!("a destination before this one is called `{name}` too");
            reader.error("name-taken", &destination.path.join("name"), message);
        }
    }
}

/// Nobody in a circle of `after:` is ever sent.
fn circles(reader: &mut Reader<'_>, destinations: &[DestinationRead]) {
    let after: BTreeMap<&str, &str> = destinations
        .iter()
        .filter_map(|destination| Some((destination.name.as_str(), destination.outlet.after.as_deref()?)))
        .collect();
    for destination in destinations {
        let mut way = vec![destination.name.as_str()];
        while let Some(next) = way.last().and_then(|last| after.get(last)) {
            if way.contains(next) {
                break;
            }
            way.push(next);
        }
        let closes = way.last().and_then(|last| after.get(last)) == Some(&destination.name.as_str());
        if closes {
            way.push(&destination.name);
            let message = format!("these wait for one another: {}", way.join(" after "));
            reader.error("after-circle", &destination.path.join("after"), message);
        }
    }
}
