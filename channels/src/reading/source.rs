//! The source of a channel: its protocol's settings, or a file of `sources/` that several channels share.

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use engine::{Checks, Claim, Diagnostic, Hash, Path, ReplyWords, SourceSettings};

use super::reader::Reader;
use crate::{
    near::nearest,
    yaml::{Entry, Kind, Node},
};

/// A source that can be opened.
pub(crate) struct SourceRead {
    pub(crate) settings: Arc<dyn SourceSettings>,
    pub(crate) version: Hash,
    pub(crate) claims: Vec<(Claim, Path)>,
}

/// Every file of `sources/` that is YAML, by its name.
pub(crate) type Shared = BTreeMap<String, (PathBuf, Node)>;

/// The protocol that stands under `source:` or `to:`, known or not.
pub(crate) fn protocol(tree: &Node, side: &Path) -> Option<String> {
    Some(tree.at(side)?.entries().first()?.key.clone())
}

/// Puts the shared source that `use:` names in its place. Says which file that was.
pub(crate) fn take_shared(tree: &mut Node, shared: &Shared) -> Result<Option<PathBuf>, Diagnostic> {
    let Kind::Map(entries) = &mut tree.kind else { return Ok(None) };
    let Some(place) = entries.iter().position(|entry| entry.key == "source") else { return Ok(None) };
    let Some(name) = entries[place].value.get("use").and_then(Node::scalar) else { return Ok(None) };
    let Some((file, declared)) = shared.get(&name.text) else {
        let name = name.text.clone();
        entries[place].value.kind = Kind::Map(Vec::new());
        return Err(unknown(&name, shared));
    };
    let own = entries[place].value.entries().iter().filter(|entry| entry.key != "use").cloned();
    let merged = merge(declared.clone(), own.collect());
    entries[place].value = Node { span: entries[place].value.span, ..merged };
    Ok(Some(file.clone()))
}

fn unknown(name: &str, shared: &Shared) -> Diagnostic {
    let message = format!("there is no `sources/{name}.yaml`");
    let fault = Diagnostic::error("unknown-source", Path::parse("source.use"), message);
    match nearest(name, shared.keys().map(String::as_str)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

/// What a channel says itself goes before what the shared source says.
fn merge(mut declared: Node, own: Vec<Entry>) -> Node {
    if let Kind::Map(protocols) = &mut declared.kind
        && let Some(Entry { value: Node { kind: Kind::Map(settings), .. }, .. }) = protocols.first_mut()
    {
        for entry in own {
            match settings.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => *known = entry,
                None => settings.push(entry),
            }
        }
    }
    declared
}

/// Parses and checks the source.
pub(crate) fn source(reader: &mut Reader<'_>, root: &FilePath, words: &ReplyWords) -> Option<SourceRead> {
    let side = Path::parse("source");
    let name = protocol(reader.tree, &side)?;
    let kind = connectors::find(&name)?.source.as_ref()?;
    let at = side.join(&name);
    let value = reader.value(&at)?;
    let opened_with = format!("{name} {value} {words:?}");
    match (kind.parse)(value.clone()) {
        Ok(settings) => {
            let mut found = Vec::new();
            settings.check(&mut Checks::new(at.clone(), &mut found));
            (kind.examine)(value, root, &mut Checks::new(at.clone(), &mut found));
            reader.take_checks(&at, found);
            let claims = claims(settings.claims(), reader.tree, &at);
            let version = Hash::of(&[opened_with.as_bytes()]);
            Some(SourceRead { settings: settings.into(), version, claims })
        }
        Err(misfit) => {
            reader.misfit(&at, &plain(&misfit.at), &misfit.message);
            None
        }
    }
}

/// Each claim at the setting that makes it.
pub(crate) fn claims(claims: Vec<Claim>, tree: &Node, at: &Path) -> Vec<(Claim, Path)> {
    let place = |claim: &Claim| {
        let field = match claim {
            Claim::Port(_) | Claim::Path { .. } => "listen",
            Claim::Folder { .. } => "dir",
        };
        let beneath = at.join(field);
        if tree.at(&beneath).is_some() { beneath } else { at.clone() }
    };
    claims.into_iter().map(|claim| (claim.clone(), place(&claim))).collect()
}

/// A path into a list is written `keys[0]` by those who report it.
pub(crate) fn plain(path: &Path) -> Path {
    Path::parse(&path.to_string().replace('[', ".").replace(']', ""))
}
