//! The destinations of a channel: their settings, and how deliveries are queued, ordered and tried again.

use std::{collections::BTreeMap, path::Path as FilePath, sync::Arc, time::Duration};

use engine::{
    Checks, Claim, DestinationSettings, Hash, Jitter, OnNack, OnResponse, Order, OutletPlan, Path, QueueMode,
    Retry, WhenUnsure,
};
use jiff::tz::TimeZone;
use scripts::{At, OutletFile};

use super::{
    hours::hours,
    reader::Reader,
    source::{claims, plain, protocol},
    steps::{Parts, judges, steps},
};
use crate::{
    destination_file::{
        Attempts, Lasting, NackFile, OnNackFile, OrderFile, OrderWord, QueueFile, RetryFile, WhenUnsureFile,
    },
    shape::{Shape, Template},
    values::{PartOfDay, PerTime},
    variables,
    yaml::{Kind, Node},
};

/// A destination as far as it could be read.
pub(crate) struct DestinationRead {
    pub(crate) path: Path,
    pub(crate) name: String,
    /// Its code.
    pub(crate) outlet: OutletFile,
    /// `None` where its settings do not parse.
    pub(crate) plan: Option<OutletPlan>,
    pub(crate) claims: Vec<(Claim, Path)>,
}

pub(crate) fn destination(
    reader: &mut Reader<'_>,
    path: Path,
    around: (&FilePath, &TimeZone),
) -> DestinationRead {
    let name: String = reader.read_or_default(&path.join("name"));
    let order = order(reader, &path);
    let after: Option<String> = reader.read(&path.join("after"));
    let outlet = OutletFile {
        name: name.clone(),
        path: path.clone(),
        when: code(reader, &path.join("when")),
        steps: steps(reader, &path.join("steps"), Parts::Together),
        texts: texts(reader, &path.join("to")),
        key: order.key,
        on_response: judges(reader, &path.join("on_response")),
        after: after.clone(),
    };
    let on_response = if outlet.on_response.is_empty() { OnResponse::Nothing } else { OnResponse::Judges };
    let settings = settings(reader, &path.join("to"), around.0);
    let workers = workers(reader, &path, order.order);
    let queue = queue(reader.read_or_default(&path.join("queue")));
    let retry = retry(reader, &path.join("retry"));
    let when_unsure = reader.read::<WhenUnsureFile>(&path.join("when_unsure")).map(when_unsure);
    let nack = nack(reader.read_or_default(&path.join("nack")));
    let rate = reader.read::<PerTime>(&path.join("rate")).map(|rate| rate.0);
    let part = reader.read::<PartOfDay>(&path.join("hours"));
    let hours = part.map(|part| hours(part, around.1.clone()));
    let (claims, settings) = settings.map_or((Vec::new(), None), |read| (read.claims, Some(read.opened)));
    let plan = settings.map(|(settings, version)| OutletPlan {
        name: name.clone(),
        settings,
        version,
        queue,
        retry,
        order: order.order,
        workers,
        when_unsure,
        nack,
        after,
        on_response,
        rate,
        hours,
    });
    DestinationRead { path, name, outlet, plan, claims }
}

fn code(reader: &mut Reader<'_>, at: &Path) -> Option<At<String>> {
    Some(At::new(at.clone(), reader.read(at)?))
}

struct SettingsRead {
    opened: (Arc<dyn DestinationSettings>, Hash),
    claims: Vec<(Claim, Path)>,
}

fn settings(reader: &mut Reader<'_>, side: &Path, root: &FilePath) -> Option<SettingsRead> {
    let name = protocol(reader.tree, side)?;
    let kind = connectors::find(&name)?.destination.as_ref()?;
    let at = side.join(&name);
    let value = reader.value(&at)?;
    let version = Hash::of(&[name.as_bytes(), value.to_string().as_bytes()]);
    match (kind.parse)(value.clone()) {
        Ok(settings) => {
            let mut found = Vec::new();
            settings.check(&mut Checks::new(at.clone(), &mut found));
            (kind.examine)(value, root, &mut Checks::new(at.clone(), &mut found));
            reader.take_checks(&at, found);
            let claims = claims(settings.claims(), reader.tree, &at);
            Some(SettingsRead { opened: (settings.into(), version), claims })
        }
        Err(misfit) => {
            reader.misfit(&at, &plain(&misfit.at), &misfit.message);
            None
        }
    }
}

/// The settings of a destination that no channel has, and its protocol.
pub(crate) fn destination_at(
    reader: &mut Reader<'_>,
    side: &Path,
    root: &FilePath,
) -> Option<(String, Arc<dyn DestinationSettings>)> {
    let name = protocol(reader.tree, side)?;
    Some((name, settings(reader, side, root)?.opened.0))
}

/// The settings that are made of the message.
pub(crate) fn texts(reader: &Reader<'_>, side: &Path) -> Vec<(String, At<String>)> {
    let mut texts = Vec::new();
    if let Some(name) = protocol(reader.tree, side)
        && let Some((node, shape)) = reader.at(&side.join(&name))
    {
        gather(node, shape, (&side.join(&name), &Path::default()), &mut texts);
    }
    texts
}

fn gather(
    node: &Node,
    shape: Shape<'_>,
    (base, within): (&Path, &Path),
    texts: &mut Vec<(String, At<String>)>,
) {
    let meant = shape.meant(node).unwrap_or(shape);
    match &node.kind {
        Kind::Scalar(scalar) => {
            if shape.template() == Template::Setting && variables::has_expression(&scalar.text) {
                texts.push((within.to_string(), At::new(base.under(within), scalar.text.clone())));
            }
        }
        Kind::List(items) => {
            let Some(of) = meant.items() else { return };
            for (place, item) in items.iter().enumerate() {
                gather(item, of, (base, &within.join(place)), texts);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                if let Some(of) = meant.field(&entry.key) {
                    gather(&entry.value, of, (base, &within.join(&entry.key)), texts);
                }
            }
        }
    }
}

struct OrderRead {
    order: Order,
    key: Vec<At<String>>,
}

fn order(reader: &mut Reader<'_>, path: &Path) -> OrderRead {
    let at = path.join("order");
    let key_at = at.join("key");
    match reader.read(&at) {
        None | Some(OrderFile::Short(OrderWord::Arrival)) => {
            OrderRead { order: Order::Arrival, key: Vec::new() }
        }
        Some(OrderFile::Short(OrderWord::None)) => OrderRead { order: Order::None, key: Vec::new() },
        Some(OrderFile::Long(long)) => {
            let key = long.key.at(&key_at);
            OrderRead { order: Order::Key, key }
        }
    }
}

fn workers(reader: &mut Reader<'_>, path: &Path, order: Order) -> usize {
    let at = path.join("workers");
    let workers: u32 = reader.read(&at).unwrap_or(1);
    if workers > 1 && order == Order::Arrival {
        let message =
            format!("{workers} workers have one lane: in the order of arrival one waits for the other");
        reader.error("idle-workers", &at, message).help =
            Some("say what may overtake what: `order: { key: PID-3.1 }` or `order: none`".into());
    }
    workers as usize
}

fn queue(queue: QueueFile) -> QueueMode {
    match queue {
        QueueFile::OnFailure => QueueMode::OnFailure,
        QueueFile::Always => QueueMode::Always,
        QueueFile::Never => QueueMode::Never,
    }
}

fn retry(reader: &mut Reader<'_>, at: &Path) -> Retry {
    let file: RetryFile = reader.read_or_default(at);
    let usual = Retry::default();
    let first = file.first.map_or(usual.first, |first| first.0);
    if first.is_zero() {
        reader.error("wrong-value", &at.join("first"), "a pause of no time would try again without end");
    }
    let longest = file.longest.map_or(usual.longest.max(first), |longest| longest.0);
    if longest < first {
        let message = "the longest pause is shorter than the first";
        reader.error("conflicting-fields", &at.join("longest"), message);
    }
    Retry {
        first: first.max(Duration::from_millis(1)),
        longest,
        factor: file.factor.unwrap_or(usual.factor),
        jitter: if file.jitter.unwrap_or(true) { Jitter::Some } else { Jitter::None },
        attempts: match file.attempts {
            Some(Attempts::Number(attempts)) => Some(attempts),
            Some(Attempts::Unlimited(_)) | None => None,
        },
        lasting: match file.lasting {
            Some(Lasting::Period(period)) => Some(period.0),
            Some(Lasting::Unlimited(_)) | None => None,
        },
    }
}

fn when_unsure(file: WhenUnsureFile) -> WhenUnsure {
    match file {
        WhenUnsureFile::Resend => WhenUnsure::Resend,
        WhenUnsureFile::Hold => WhenUnsure::Hold,
        WhenUnsureFile::Stop => WhenUnsure::Stop,
    }
}

fn nack(file: NackFile) -> BTreeMap<String, OnNack> {
    let codes =
        [("AE", file.error), ("AR", file.reject), ("CE", file.commit_error), ("CR", file.commit_reject)];
    let meaning = |meant| match meant {
        OnNackFile::GiveUp => OnNack::GiveUp,
        OnNackFile::Retry => OnNack::Retry,
        OnNackFile::Stop => OnNack::Stop,
    };
    codes.into_iter().filter_map(|(code, meant)| Some((code.to_owned(), meaning(meant?)))).collect()
}
