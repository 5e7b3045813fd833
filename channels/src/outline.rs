//! A channel in a few words, for whoever draws it: its source, its steps, where it sends.

use engine::Path;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Channel, reading::protocol, yaml::Node};

/// More of a step than this is not a picture any more.
const LONGEST: usize = 80;

/// Where a key stands in `to:` by which one knows the other side.
const PLACES: [&str; 7] = ["connect", "listen", "url", "base", "host", "dir", "name"];

/// What a channel's file describes. Holds no secret: values are as they are written in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outline {
    /// The source's protocol.
    pub source: String,
    pub steps: Vec<OutlineStep>,
    pub destinations: Vec<OutlineDestination>,
}

/// One step: `filter`, and its code's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutlineStep {
    pub verb: String,
    pub words: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutlineDestination {
    pub name: String,
    /// `mllp 10.0.0.7:2575`, as it is written.
    pub to: String,
    pub when: Option<String>,
    pub after: Option<String>,
    pub steps: Vec<OutlineStep>,
}

impl Channel {
    /// Draws it in words; nothing of a file that is not even YAML.
    pub fn outline(&self) -> Outline {
        let Some(tree) = &self.tree else { return Outline::default() };
        let destinations = tree.get("destinations").map_or(&[][..], Node::items);
        Outline {
            source: protocol(tree, &Path::parse("source")).unwrap_or_default(),
            steps: steps(tree),
            destinations: destinations.iter().map(destination).collect(),
        }
    }
}

fn destination(node: &Node) -> OutlineDestination {
    let protocol = protocol(node, &Path::parse("to")).unwrap_or_default();
    let settings = node.get("to").and_then(|to| to.get(&protocol));
    let place = PLACES.iter().find_map(|key| settings.and_then(|settings| written(settings, key)));
    OutlineDestination {
        name: written(node, "name").unwrap_or_default(),
        to: format!("{protocol} {}", place.unwrap_or_default()).trim().to_owned(),
        when: written(node, "when"),
        after: written(node, "after"),
        steps: steps(node),
    }
}

fn steps(node: &Node) -> Vec<OutlineStep> {
    let items = node.get("steps").map_or(&[][..], Node::items);
    let step =
        |entry: &crate::yaml::Entry| OutlineStep { verb: entry.key.clone(), words: words(&entry.value) };
    items.iter().filter_map(|item| item.entries().first().map(step)).collect()
}

fn words(node: &Node) -> String {
    let whole = match node.scalar() {
        Some(scalar) => {
            scalar.shown().lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("").to_owned()
        }
        None if node.items().is_empty() => {
            node.entries().iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>().join(", ")
        }
        None => node.items().iter().map(words).collect::<Vec<_>>().join(", "),
    };
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

fn written(node: &Node, key: &str) -> Option<String> {
    let text = node.get(key)?.scalar()?.shown();
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}
