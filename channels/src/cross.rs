//! What is wrong between the channels of a project: names, ports and folders, channels that feed one another.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
};

use engine::{Claim, Diagnostic, Path, glob::may_meet};

use crate::{near::nearest, reading::Draft, variables};

/// A complaint about one of the drafts.
pub(crate) type About = (usize, Diagnostic);

/// Looks at all channels together. `listen` is the server's own address.
pub(crate) fn check(drafts: &[Draft], listen: SocketAddr) -> Vec<About> {
    let mut found = Vec::new();
    names(drafts, &mut found);
    claims(drafts, listen, &mut found);
    feeds(drafts, &mut found);
    named(drafts, &mut found);
    found
}

fn names(drafts: &[Draft], found: &mut Vec<About>) {
    let mut taken = HashSet::new();
    for (place, draft) in drafts.iter().enumerate() {
        if !taken.insert(&draft.name) {
            let message = format!("another channel is called `{}` too", draft.name);
            found.push((place, Diagnostic::error("name-taken", Path::parse("name"), message)));
        }
    }
}

/// Of two that claim the same, the second hears it. What is not enabled claims nothing.
fn claims(drafts: &[Draft], listen: SocketAddr, found: &mut Vec<About>) {
    let server = Claim::Port(listen);
    let mut taken: Vec<(&Claim, Option<usize>)> = vec![(&server, None)];
    for (place, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.enabled) {
        for (claim, at) in &draft.claims {
            match taken.iter().find(|(other, _)| collide(claim, other)) {
                Some((other, owner)) => {
                    let owner = match owner {
                        None => "the server itself (`listen` of `relais.yaml`)".to_owned(),
                        Some(owner) if *owner == place => "this channel already".to_owned(),
                        Some(owner) => format!("the channel `{}`", drafts[*owner].name),
                    };
                    found.push((place, taken_by(claim, other, &owner, at)));
                }
                None => taken.push((claim, Some(place))),
            }
        }
    }
}

fn collide(one: &Claim, other: &Claim) -> bool {
    match (one, other) {
        (
            Claim::Path { port, path, manner },
            Claim::Path { port: other_port, path: other_path, manner: other_manner },
        ) => meet(*port, *other_port) && (port != other_port || path == other_path || manner != other_manner),
        (
            Claim::Port(one) | Claim::Path { port: one, .. },
            Claim::Port(other) | Claim::Path { port: other, .. },
        ) => meet(*one, *other),
        (Claim::Folder { path, names }, Claim::Folder { path: other, names: others }) => {
            let meets = |one: &String| others.iter().any(|name| may_meet(one, name));
            path.components().eq(other.components()) && names.iter().any(meets)
        }
        _ => false,
    }
}

/// Whether two cannot both listen so.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified() || one.ip() == other.ip();
    any && one.port() == other.port() && one.port() != 0
}

fn taken_by(claim: &Claim, other: &Claim, owner: &str, at: &Path) -> Diagnostic {
    match (claim, other) {
        (Claim::Path { port, path, manner }, Claim::Path { port: shared, path: taken, manner: theirs })
            if port == shared =>
        {
            let number = port.port();
            if path == taken {
                let message = format!("the path `{path}` of port {number} is taken by {owner}");
                return Diagnostic::error("path-taken", at.clone(), message);
            }
            debug_assert!(manner != theirs, "two that share a port in the same manner do not collide");
            let message = format!("port {number} is shared with {owner}, whose `tls` is another");
            Diagnostic::error("port-taken", at.clone(), message)
                .help("who connects is greeted before it says which path it wants: give both the same `tls`")
        }
        (Claim::Port(address) | Claim::Path { port: address, .. }, _) => {
            let message = format!("port {} is taken by {owner}", address.port());
            Diagnostic::error("port-taken", at.clone(), message)
        }
        (Claim::Folder { path, .. }, _) => {
            let message = format!("files of the folder `{}` are taken by {owner} too", path.display());
            Diagnostic::error("folder-taken", at.clone(), message)
                .help("two may share a folder where no name fits the `pattern` of both, such as `*.hl7` and `*.csv`")
        }
    }
}

/// A destination that feeds another channel, and where it names it.
struct Feed<'d> {
    place: usize,
    from: &'d str,
    to: &'d str,
    at: Path,
}

/// Channels feed channels that are there and that take it, and never themselves by a way around.
fn feeds(drafts: &[Draft], found: &mut Vec<About>) {
    let feeds: Vec<Feed<'_>> =
        drafts.iter().enumerate().flat_map(|(place, draft)| fed_by(place, draft)).collect();
    for feed in &feeds {
        if let Some(fault) = unfit(drafts, feed) {
            found.push((feed.place, fault));
        }
    }
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for feed in &feeds {
        next.entry(feed.from).or_default().push(feed.to);
    }
    for feed in feeds.iter().filter(|feed| reaches(&next, feed.to, feed.from)) {
        let message = format!(
            "messages from `{}` come back to `{}`: they would go round for ever",
            feed.from, feed.from
        );
        found.push((feed.place, Diagnostic::error("feed-circle", feed.at.clone(), message)));
    }
}

fn fed_by(place: usize, draft: &Draft) -> Vec<Feed<'_>> {
    let count = draft.tree.get("destinations").map_or(0, |list| list.items().len());
    let feed = |n: usize| {
        let at = Path::parse(&format!("destinations.{n}.to.channel.name"));
        let to = draft.tree.at(&at)?.scalar().filter(|scalar| !scalar.unknown)?;
        (!variables::has_expression(&to.text)).then(|| Feed { place, from: &draft.name, to: &to.text, at })
    };
    (0..count).filter_map(feed).collect()
}

fn unfit(drafts: &[Draft], feed: &Feed<'_>) -> Option<Diagnostic> {
    let Some(target) = drafts.iter().find(|draft| draft.name == feed.to) else {
        return Some(no_channel(drafts, feed.to, &feed.at));
    };
    let takes = target.tree.at(&Path::parse("source.channel")).is_some();
    (!takes).then(|| {
        let message = format!("the channel `{}` has another source and takes nothing from channels", feed.to);
        Diagnostic::error("unknown-channel", feed.at.clone(), message)
            .help("a channel that others feed has `source: { channel: {} }`")
    })
}

/// Nobody answers for a channel that is not there, and no test sends to one.
fn named(drafts: &[Draft], found: &mut Vec<About>) {
    for (place, draft) in drafts.iter().enumerate() {
        for (name, at) in &draft.names {
            if !drafts.iter().any(|other| other.name == *name) {
                found.push((place, no_channel(drafts, name, at)));
            }
        }
    }
}

fn no_channel(drafts: &[Draft], name: &str, at: &Path) -> Diagnostic {
    let message = format!("there is no channel `{name}`");
    let fault = Diagnostic::error("unknown-channel", at.clone(), message);
    match nearest(name, drafts.iter().map(|draft| draft.name.as_str())) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

fn reaches<'d>(next: &BTreeMap<&'d str, Vec<&'d str>>, from: &'d str, to: &str) -> bool {
    let mut seen = vec![from];
    let mut at = 0;
    while let Some(name) = seen.get(at).copied() {
        if name == to {
            return true;
        }
        for step in next.get(name).into_iter().flatten() {
            if !seen.contains(step) {
                seen.push(step);
            }
        }
        at += 1;
    }
    false
}
