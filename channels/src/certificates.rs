//! The certificate files that a project names, for whoever looks when they end.

use std::path::PathBuf;

use engine::Path;

use crate::{Project, yaml::Node};

/// The settings of `tls:` that name a file of certificates.
const NAMES: [&str; 3] = ["certificate", "clients", "authorities"];

/// One file of certificates, and where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCertificate {
    /// `None`: it is named by no channel, but by a rule of alerts.
    pub channel: Option<String>,
    pub destination: Option<String>,
    /// `certificate`, `clients` or `authorities`.
    pub setting: &'static str,
    /// As it is written, from the project's folder on.
    pub file: PathBuf,
}

impl Project {
    /// Every file of certificates that a channel or a rule names under `tls:`.
    pub fn certificates(&self) -> Vec<NamedCertificate> {
        let mut named = Vec::new();
        for channel in &self.channels {
            let Some(tree) = &channel.tree else { continue };
            let destination = |at: &Path| {
                let text = at.to_string();
                let place: usize = text.strip_prefix("destinations.")?.split('.').next()?.parse().ok()?;
                Some(channel.plan.as_ref()?.outlets.get(place)?.name.clone())
            };
            walk(tree, &Path::default(), &mut |at, setting, file| {
                let channel = Some(channel.name.clone());
                named.push(NamedCertificate { channel, destination: destination(at), setting, file });
            });
        }
        for tree in &self.rule_trees {
            walk(tree, &Path::default(), &mut |_, setting, file| {
                named.push(NamedCertificate { channel: None, destination: None, setting, file });
            });
        }
        named
    }
}

fn walk(node: &Node, at: &Path, found: &mut impl FnMut(&Path, &'static str, PathBuf)) {
    for (number, item) in node.items().iter().enumerate() {
        walk(item, &at.join(number), found);
    }
    for entry in node.entries() {
        let here = at.join(entry.key.as_str());
        if entry.key == "tls" {
            for setting in NAMES {
                let scalar = entry.value.get(setting).and_then(Node::scalar);
                if let Some(scalar) = scalar.filter(|scalar| !scalar.unknown && !scalar.text.is_empty()) {
                    found(&here, setting, PathBuf::from(&scalar.text));
                }
            }
        }
        walk(&entry.value, &here, found);
    }
}
