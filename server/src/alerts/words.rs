//! An episode in words, and the command that shows more of it.

use std::time::Duration;

use super::{
    cause::Cause,
    episode::{Episode, Key},
};
use crate::{
    terminal::{counted, lasting, sized},
    why::Why,
};

/// The whole of it in one sentence.
pub(crate) fn of(episode: &Episode) -> Why {
    what(episode).within(&format!("{}: ", place(episode)), "")
}

/// `lab → record`, `lab`, or the server.
pub(crate) fn place(episode: &Episode) -> String {
    match (&episode.channel, &episode.destination) {
        (Some(channel), Some(destination)) => format!("{channel} → {destination}"),
        (Some(channel), None) => channel.clone(),
        (None, _) => "server".to_owned(),
    }
}

fn what(episode: &Episode) -> Why {
    let count = episode.count;
    let time = |name: &str| lasting(seconds(episode.value(name).unwrap_or(0.0)));
    match episode.cause {
        Cause::StoreTrouble => with("the store cannot write", episode.detail.as_ref()),
        Cause::StoreRefuses => with("new messages are refused", episode.detail.as_ref()),
        Cause::ChannelBroken => with("its file has faults, and it does not run", episode.detail.as_ref()),
        Cause::SourceDown if episode.reason.as_deref() == Some(IN_PART) => {
            with(&format!("does not take everything since {}", time("down")), episode.detail.as_ref())
        }
        Cause::SourceDown => with(&format!("takes nothing since {}", time("down")), episode.detail.as_ref()),
        Cause::DestinationDown => {
            let attempts = counted(episode.value("attempts").unwrap_or(0.0) as u64, "attempt");
            let what = format!("nothing gets there since {}, {attempts}, {count} waiting", time("down"));
            with(&what, episode.detail.as_ref())
        }
        Cause::DestinationStopped => {
            let what = format!("stopped since {} until a person decides, {count} waiting", time("stopped"));
            with(&what, episode.detail.as_ref())
        }
        Cause::Silent => episode.detail.clone().unwrap_or_else(|| Why::ours("")),
        Cause::EditNotInForce => {
            let what = "its edited file has faults and is not in force; the version before goes on";
            with(what, episode.detail.as_ref())
        }
        _ => Why::ours(counts(episode)),
    }
}

/// Of what is counted alone.
fn counts(episode: &Episode) -> String {
    let count = episode.count;
    let messages = counted(count, "message");
    let time = |name: &str| lasting(seconds(episode.value(name).unwrap_or(0.0)));
    match episode.cause {
        Cause::Disk => {
            let free = sized(episode.value("free").unwrap_or(0.0) as u64);
            format!("full in {} at this pace, {free} free", days(episode.measure))
        }
        Cause::Certificate => certificate(episode),
        Cause::QueueOld => format!("the oldest of {count} waiting came {} ago", time("oldest")),
        Cause::ErrorShare => {
            let (share, all) = (episode.measure, episode.value("all").unwrap_or(0.0));
            format!("{count} of {all:.0} messages refused or failed within 15 min ({share:.0} %)")
        }
        Cause::GivenUp => format!("{} given up", counted(count, "delivery")),
        Cause::SetAside => format!("{} set aside for a person", counted(count, "delivery")),
        Cause::Unsure => format!("{} may have arrived or not", counted(count, "delivery")),
        Cause::Unmapped if count == 1 => format!("{messages} waits for a code that a table lacks"),
        Cause::Unmapped => format!("{messages} wait for a code that a table lacks"),
        Cause::Failed => format!("{messages} failed in a step within 24 h"),
        Cause::Overdue if count == 1 => "1 expected answer is overdue".to_owned(),
        Cause::Overdue => format!("{count} expected answers are overdue"),
        cause => cause.name().replace('_', " "),
    }
}

fn certificate(episode: &Episode) -> String {
    let file = episode.subject.as_deref().unwrap_or("its certificate");
    match episode.measure {
        left if left < 0.0 => format!("the certificate of `{file}` has expired"),
        left => format!("the certificate of `{file}` expires in {}", days(left)),
    }
}

fn days(days: f64) -> String {
    lasting(seconds(days * 86_400.0))
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0).round()).unwrap_or_default()
}

fn with(what: &str, why: Option<&Why>) -> Why {
    why.map_or_else(|| Why::ours(what), |why| why.within(&format!("{what}: "), ""))
}

/// What shows more of it.
pub(crate) fn command(key: &Key) -> String {
    let channel = key.channel.as_deref().unwrap_or_default();
    let to = key.destination.as_ref().map(|name| format!(" --to {name}")).unwrap_or_default();
    match key.cause {
        Cause::StoreTrouble | Cause::StoreRefuses | Cause::Disk => "relais status".to_owned(),
        Cause::ChannelBroken | Cause::EditNotInForce | Cause::Certificate => "relais check".to_owned(),
        Cause::SourceDown
        | Cause::DestinationDown
        | Cause::DestinationStopped
        | Cause::Silent
        | Cause::QueueOld => format!("relais status {channel}"),
        Cause::GivenUp | Cause::SetAside | Cause::Unsure => {
            format!("relais find --channel {channel} --state {}{to}", key.cause.name())
        }
        Cause::ErrorShare | Cause::Failed => format!("relais find --channel {channel} --state failed"),
        Cause::Unmapped => "relais unmapped".to_owned(),
        Cause::Overdue => format!("relais overdue {channel}"),
    }
}

/// The reason of a source that takes some of what is there and cannot take the rest.
pub(super) const IN_PART: &str = "in_part";

/// The reason of a source that tries again by itself at a time that it knows.
pub(super) const BY_ITSELF: &str = "by_itself";

/// What is asked of whoever reads of it.
pub(crate) fn call(episode: &Episode) -> &'static str {
    if episode.reason.as_deref() == Some(BY_ITSELF) { "is tried again by itself" } else { "needs a person" }
}
