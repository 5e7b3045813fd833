//! Every path under `/api/v1`: who may ask, what for, and with what. The router and the `OpenAPI` document are made of it.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::{
    ChannelStatus, Context, DeliveryStatus, Deployed, DestinationStatus, Go, MessageStatus, NewSync, Pending,
    Picked, Report, Retried, RuleStatus, ServerStatus, SyncStatus, Tried, Unanswered, UnmappedCode,
    accounts::{self, Linked, MadeToken, NewAccount, NewRole},
    alerts, audit, certificates, channels, connections,
    deliveries::{self, Wish},
    episodes, found, logs, many, messages, openapi,
    outline::{self, ChannelFile, Tested},
    overdue, pending, report, retry,
    rights::About,
    series::{self, Series},
    server, settings,
    sign_in::{self, Known},
    steps, stream, syncs, unmapped, versions,
};
use crate::{
    accounts::{
        AccountStatus,
        Right::{self, Administer, Content, Deploy, Look, Operate},
        TokenStatus, TokenWish,
    },
    attempts::AttemptStatus,
    audit::Entry,
    recent::Line,
};

type Shape = fn(&mut SchemaGenerator) -> Schema;
type Route = MethodRouter<Arc<Context>>;

/// One path with one method.
pub(super) struct Place {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// None: whoever is known.
    pub(super) rights: &'static [Right],
    pub(super) about: About,
    /// What it does, for people and for the audit log.
    pub(super) words: &'static str,
    /// What may stand behind the question mark.
    pub(super) query: &'static [&'static str],
    pub(super) takes: Option<Takes>,
    /// It says what it would do where its body has `plan`.
    pub(super) plans: bool,
    pub(super) gives: Gives,
    pub(super) route: Route,
}

/// The body of a request.
pub(super) struct Takes {
    pub(super) shape: Shape,
    pub(super) is_needed: bool,
}

/// What an answer is.
pub(super) enum Gives {
    Json(Shape),
    Made(Shape),
    Bytes,
    Events,
    Nothing,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Place {
    fn of(
        method: &'static str,
        path: &'static str,
        (rights, about): (&'static [Right], About),
        words: &'static str,
        route: Route,
    ) -> Self {
        let gives = if method == "delete" { Gives::Nothing } else { Gives::Json(shape::<Value>) };
        Self { method, path, rights, about, words, query: &[], takes: None, plans: false, gives, route }
    }

    fn asked(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    fn taking<T: JsonSchema>(self) -> Self {
        Self { takes: Some(Takes { shape: shape::<T>, is_needed: true }), ..self }
    }

    /// What is asked where nobody wishes anything special.
    fn maybe_taking<T: JsonSchema>(self) -> Self {
        Self { takes: Some(Takes { shape: shape::<T>, is_needed: false }), ..self }
    }

    fn planning(self) -> Self {
        Self { plans: true, ..self }
    }

    fn giving<T: JsonSchema>(self) -> Self {
        Self { gives: Gives::Json(shape::<T>), ..self }
    }

    fn making<T: JsonSchema>(self) -> Self {
        Self { gives: Gives::Made(shape::<T>), ..self }
    }

    fn answering(self, gives: Gives) -> Self {
        Self { gives, ..self }
    }
}

/// What somebody must have and see to be let at a path.
type Who = (&'static [Right], About);

const ANYBODY: Who = (&[], About::Caller);
const ADMINISTERS: Who = (&[Administer], About::Server);
const LOOKS: Who = (&[Look], About::Seen);
const LOOKS_AT_CHANNEL: Who = (&[Look], About::Channel("name"));
const RUNS_CHANNEL: Who = (&[Operate], About::Channel("name"));
const LOOKS_AT_MESSAGE: Who = (&[Look], About::Message);
const SEES_MESSAGE: Who = (&[Content], About::Message);
const SENDS_MESSAGE: Who = (&[Operate], About::Message);
const SENDS_DELIVERY: Who = (&[Operate], About::Delivery);
/// Names of files and numbers of orders are of messages too.
const SEES_NAMES: Who = (&[Content], About::Seen);
/// A log may name files.
const READS_LOG: Who = (&[Operate, Content], About::Seen);
const NAMES_AND_SENDS: Who = (&[Operate, Content], About::Channel("name"));
const MINDS_EPISODE: Who = (&[Operate], About::Episode);
const RUNS_SYNC: Who = (&[Operate], About::Channel("channel"));

/// All of them.
pub(super) fn all() -> Vec<Place> {
    let areas = [
        of_server(),
        of_channels(),
        of_files(),
        of_destinations(),
        of_messages(),
        of_many(),
        of_ways(),
        of_lists(),
        of_episodes(),
        of_alerts(),
        of_syncs(),
        of_accounts(),
    ];
    areas.into_iter().flatten().collect()
}

fn of_server() -> Vec<Place> {
    let deploys = (&[Deploy][..], About::Seen);
    vec![
        Place::of("get", "/server", LOOKS, "how the server stands", get(server::show))
            .giving::<ServerStatus>(),
        Place::of(
            "get",
            "/promises",
            (&[Look], About::Server),
            "what the channels promise",
            get(server::promises),
        ),
        Place::of("post", "/deploy", deploys, "bring edited files into force", post(server::deploy))
            .asked(&["channel"])
            .giving::<Deployed>(),
        Place::of("post", "/backup", ADMINISTERS, "back up the store", post(server::backup))
            .taking::<server::Into>(),
        Place::of("get", "/events", LOOKS, "what happens, as it happens", get(stream::listen))
            .asked(&["about", "message"])
            .answering(Gives::Events),
        Place::of("get", "/series", LOOKS, "what went through each channel within a day", get(series::show))
            .giving::<Series>(),
        Place::of("get", "/settings", (&[Look], About::Server), "the settings in force", get(settings::show))
            .giving::<settings::InForce>(),
        Place::of(
            "get",
            "/certificates",
            LOOKS,
            "the certificates that matter, and when they end",
            get(certificates::list),
        )
        .giving::<Vec<certificates::CertificateStatus>>(),
        Place::of("get", "/logs", READS_LOG, "the last lines of the log", get(logs::list))
            .asked(&["channel", "level", "limit"])
            .giving::<Vec<Line>>(),
        Place::of("get", "/logs/events", READS_LOG, "the lines of the log as they come", get(logs::listen))
            .asked(&["channel", "level"])
            .answering(Gives::Events),
        Place::of("get", "/openapi.json", ANYBODY, "this document", get(openapi::show)),
    ]
}

fn of_channels() -> Vec<Place> {
    let at = LOOKS_AT_CHANNEL;
    let run = RUNS_CHANNEL;
    vec![
        Place::of("get", "/channels", LOOKS, "every channel", get(channels::list))
            .giving::<Vec<ChannelStatus>>(),
        Place::of("get", "/channels/{name}", at, "one channel", get(channels::show))
            .giving::<ChannelStatus>(),
        Place::of("get", "/channels/{name}/report", at, "a channel's messages by day", get(report::show))
            .asked(&["from", "to"])
            .giving::<Report>(),
        Place::of(
            "get",
            "/channels/{name}/connections",
            at,
            "who is connected to a channel, and to whom it is",
            get(connections::list),
        )
        .giving::<connections::Open>(),
        Place::of("get", "/channels/{name}/rhythm", at, "a channel's usual week", get(episodes::rhythm)),
        Place::of("post", "/channels/{name}/start", run, "start a channel", post(channels::start))
            .giving::<ChannelStatus>(),
        Place::of("post", "/channels/{name}/stop", run, "stop a channel", post(channels::stop))
            .giving::<ChannelStatus>(),
        Place::of("post", "/channels/{name}/pause", run, "pause a channel", post(channels::pause))
            .giving::<ChannelStatus>(),
        Place::of(
            "post",
            "/channels/{name}/rerun",
            run,
            "make waiting deliveries again",
            post(channels::rerun),
        ),
        Place::of(
            "post",
            "/channels/{name}/retry",
            NAMES_AND_SENDS,
            "take up again what a channel did not get through",
            post(retry::retry),
        )
        .maybe_taking::<retry::Wish>()
        .planning()
        .giving::<Vec<Retried>>(),
        Place::of(
            "post",
            "/channels/{name}/overdue/settle",
            NAMES_AND_SENDS,
            "expect an answer no more",
            post(overdue::settle),
        )
        .taking::<overdue::Which>()
        .giving::<Unanswered>(),
    ]
}

/// What a channel's files say.
fn of_files() -> Vec<Place> {
    vec![
        Place::of(
            "get",
            "/channels/{name}/versions",
            LOOKS_AT_CHANNEL,
            "which versions of a channel came into force, and when",
            get(versions::list),
        )
        .giving::<Vec<versions::VersionStatus>>(),
        Place::of(
            "get",
            "/channels/{name}/versions/{version}",
            RUNS_CHANNEL,
            "what a version of a channel said",
            get(versions::show),
        )
        .giving::<versions::VersionText>(),
        Place::of(
            "get",
            "/channels/{name}/outline",
            LOOKS_AT_CHANNEL,
            "a channel's source, steps and destinations",
            get(outline::show),
        )
        .giving::<::channels::Outline>(),
        Place::of(
            "get",
            "/channels/{name}/file",
            RUNS_CHANNEL,
            "a channel's file, and what is wrong in it",
            get(outline::file),
        )
        .giving::<ChannelFile>(),
        Place::of(
            "post",
            "/channels/{name}/tests",
            RUNS_CHANNEL,
            "run a channel's tests",
            post(outline::test),
        )
        .giving::<Vec<Tested>>(),
    ]
}

fn of_destinations() -> Vec<Place> {
    let place = |path, words, route| {
        Place::of("post", path, RUNS_CHANNEL, words, route).giving::<DestinationStatus>()
    };
    vec![
        place("/channels/{name}/destinations/{destination}/hold", "hold a destination", post(channels::hold)),
        place(
            "/channels/{name}/destinations/{destination}/release",
            "release a destination",
            post(channels::release),
        ),
        place(
            "/channels/{name}/destinations/{destination}/park",
            "set the first of a queue aside",
            post(channels::park),
        ),
    ]
}

/// What a message went through, as it can be told afterwards.
fn of_ways() -> Vec<Place> {
    vec![
        Place::of(
            "get",
            "/messages/{id}/steps",
            SEES_MESSAGE,
            "what each step made of a message",
            get(steps::show),
        )
        .giving::<steps::Steps>(),
        Place::of(
            "get",
            "/messages/{id}/attempts",
            LOOKS_AT_MESSAGE,
            "the attempts at its deliveries, of those that did not arrive at once: the first five and the last fifteen of each",
            get(steps::attempts),
        )
        .giving::<Vec<AttemptStatus>>(),
    ]
}

/// What lists may be asked for; `q`, as `text` of what is found, needs the right to see content too.
const LISTED: &[&str] = &["channel", "destination", "state", "q", "since", "before", "limit"];

fn of_messages() -> Vec<Place> {
    let content = "one message, with its content for who may see it";
    vec![
        Place::of("get", "/messages", LOOKS, "find messages", get(messages::find))
            .asked(LISTED)
            .giving::<Vec<MessageStatus>>(),
        Place::of("get", "/messages/found", LOOKS, "find messages, as they are found", get(found::listen))
            .asked(&["channel", "destination", "state", "q", "text", "since", "before", "limit"])
            .answering(Gives::Events),
        Place::of("get", "/messages/{id}", LOOKS_AT_MESSAGE, content, get(messages::show))
            .asked(&["content"]),
        Place::of("get", "/messages/{id}/body", SEES_MESSAGE, "the bytes as they came", get(messages::body))
            .answering(Gives::Bytes),
        Place::of(
            "post",
            "/messages/{id}/resend",
            SENDS_MESSAGE,
            "send a message again",
            post(deliveries::resend_message),
        )
        .maybe_taking::<Wish>()
        .planning()
        .giving::<Vec<Picked>>(),
        Place::of(
            "post",
            "/messages/{id}/drop",
            SENDS_MESSAGE,
            "drop what waits of a message",
            post(deliveries::drop_message),
        )
        .maybe_taking::<Wish>()
        .planning()
        .giving::<Vec<Picked>>(),
        Place::of("get", "/deliveries", LOOKS, "find deliveries", get(deliveries::find))
            .asked(LISTED)
            .giving::<Vec<DeliveryStatus>>(),
        Place::of(
            "post",
            "/deliveries/{id}/resend",
            SENDS_DELIVERY,
            "send a delivery again",
            post(deliveries::resend),
        )
        .maybe_taking::<Wish>()
        .planning()
        .giving::<u64>(),
        Place::of("post", "/deliveries/{id}/drop", SENDS_DELIVERY, "drop a delivery", post(deliveries::drop))
            .giving::<u64>(),
    ]
}

/// Many messages at once.
fn of_many() -> Vec<Place> {
    let sends = (&[Operate][..], About::Seen);
    vec![
        Place::of("post", "/resends", sends, "send many messages again", post(many::resend))
            .taking::<many::Wish>()
            .planning()
            .giving::<many::Answer>(),
        Place::of("get", "/resends", sends, "what is sent again of many", get(many::list))
            .giving::<Vec<Go>>(),
        Place::of("post", "/resends/{id}/stop", sends, "stop sending many again", post(many::stop))
            .answering(Gives::Nothing),
    ]
}

/// Who is told, and whether that arrives.
fn of_alerts() -> Vec<Place> {
    let tries = (&[Operate][..], About::Server);
    vec![
        Place::of("get", "/alerts", (&[Look], About::Server), "the rules of alerts", get(alerts::list))
            .giving::<Vec<RuleStatus>>(),
        Place::of("post", "/alerts/{name}/test", tries, "try a rule of alerts", post(alerts::test))
            .giving::<Vec<Tried>>(),
    ]
}

fn of_lists() -> Vec<Place> {
    vec![
        Place::of("get", "/pending", LOOKS, "what waits, and where", get(pending::list))
            .asked(&["channel", "limit"])
            .giving::<Vec<Pending>>(),
        Place::of("get", "/overdue", SEES_NAMES, "answers that are overdue", get(overdue::list))
            .asked(&["channel", "limit"])
            .giving::<Vec<Unanswered>>(),
        Place::of("get", "/unmapped", SEES_NAMES, "codes that tables lack", get(unmapped::list))
            .asked(&["table", "channel"])
            .giving::<Vec<UnmappedCode>>(),
    ]
}

fn of_episodes() -> Vec<Place> {
    let minds = |path, words, route| Place::of("post", path, MINDS_EPISODE, words, route);
    vec![
        Place::of("get", "/episodes", LOOKS, "what needs a person", get(episodes::list))
            .asked(&["channel", "state"]),
        minds("/episodes/{id}/acknowledge", "acknowledge an episode", post(episodes::acknowledge))
            .taking::<episodes::Note>(),
        minds("/episodes/{id}/snooze", "put an episode off", post(episodes::snooze))
            .taking::<episodes::Later>(),
        minds("/episodes/{id}/wake", "put an episode off no more", post(episodes::wake)),
    ]
}

fn of_syncs() -> Vec<Place> {
    let asked: &[&str] = &["resource"];
    vec![
        Place::of("get", "/syncs", LOOKS, "every sync", get(syncs::list)).giving::<Vec<SyncStatus>>(),
        Place::of(
            "post",
            "/syncs",
            (&[Deploy], About::Server),
            "make a channel for a sync",
            post(syncs::create),
        )
        .taking::<NewSync>()
        .making::<Vec<SyncStatus>>(),
        Place::of(
            "get",
            "/syncs/{channel}",
            (&[Look], About::Channel("channel")),
            "the syncs of a channel",
            get(syncs::show),
        )
        .asked(asked)
        .giving::<Vec<SyncStatus>>(),
        Place::of(
            "delete",
            "/syncs/{channel}",
            (&[Deploy], About::Channel("channel")),
            "remove a sync's channel",
            delete(syncs::delete),
        )
        .asked(&["forget"]),
        Place::of(
            "post",
            "/syncs/{channel}/{act}",
            RUNS_SYNC,
            "start, stop or fully run a sync",
            post(syncs::act),
        )
        .asked(asked)
        .giving::<Vec<SyncStatus>>(),
    ]
}

fn of_accounts() -> Vec<Place> {
    let of = |method, path, words, route| Place::of(method, path, ADMINISTERS, words, route);
    vec![
        Place::of("get", "/session", ANYBODY, "who is signed in", get(sign_in::show)).giving::<Known>(),
        Place::of("delete", "/session", ANYBODY, "sign out", delete(sign_in::sign_out)),
        of("get", "/accounts", "every account", get(accounts::list)).giving::<Vec<AccountStatus>>(),
        of("post", "/accounts", "make an account", post(accounts::add))
            .taking::<NewAccount>()
            .making::<Linked>(),
        of("delete", "/accounts/{name}", "remove an account", delete(accounts::remove)),
        of("post", "/accounts/{name}/role", "change a role", post(accounts::role))
            .taking::<NewRole>()
            .answering(Gives::Nothing),
        of("post", "/accounts/{name}/link", "make a new link", post(accounts::link)).giving::<Linked>(),
        of("get", "/tokens", "every token", get(accounts::tokens)).giving::<Vec<TokenStatus>>(),
        of("post", "/tokens", "make a token", post(accounts::make_token))
            .taking::<TokenWish>()
            .making::<MadeToken>(),
        of("delete", "/tokens/{name}", "revoke a token", delete(accounts::revoke_token)),
        Place::of(
            "get",
            "/audit",
            ANYBODY,
            "the audit log: one's own lines, or all for who administers",
            get(audit::list),
        )
        .asked(&["who", "before", "limit"])
        .giving::<Vec<Entry>>(),
        of("get", "/audit/verified", "whether the audit log is as it was written", get(audit::verified))
            .giving::<audit::Verified>(),
        of("get", "/audit/export", "export the audit log", get(audit::export))
            .asked(&["form", "since"])
            .answering(Gives::Bytes),
    ]
}
