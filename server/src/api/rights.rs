//! What a path asks of its caller: rights, and that he sees the channel it is about. What was changed is written down.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{RawPathParams, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use engine::{DeliveryId, History as _, MessageId, Store as _};
use serde::Deserialize;

use super::{Context, problem::Problem};
use crate::{
    accounts::{Caller, Right},
    audit::Deed,
    why::{Reader, Shown},
};

/// What a path is about: who sees some channels only is let at those alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// One channel, named by this part of the path.
    Channel(&'static str),
    /// One message, by the `id` in the path.
    Message,
    /// One delivery, by the `id` in the path.
    Delivery,
    /// One episode, by the `id` in the path.
    Episode,
    /// Some channels: whoever answers leaves out those that the caller does not see.
    Seen,
    /// The server as a whole.
    Server,
    /// The caller himself, or nothing in particular.
    Caller,
}

impl About {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Channel(_) => "channel",
            Self::Message => "message",
            Self::Delivery => "delivery",
            Self::Episode => "episode",
            Self::Seen => "seen",
            Self::Server => "server",
            Self::Caller => "caller",
        }
    }
}

/// What a path asks of its caller, and how it is called in the audit log.
#[derive(Clone)]
pub(super) struct Asks {
    pub(super) context: Arc<Context>,
    pub(super) rights: &'static [Right],
    pub(super) about: About,
    pub(super) deed: &'static str,
    pub(super) changes: bool,
    /// It may be asked for what it would do, with `plan`.
    pub(super) plans: bool,
}

/// Put beside an answer that changed nothing: it is not in the audit log.
#[derive(Clone)]
pub(super) struct Nothing;

/// Put beside an answer to say in the audit log what it was about, where the path does not.
#[derive(Clone)]
pub(super) struct Subject(pub(super) String);

/// The status of a change that begins; another line says how it ended.
const BEGUN: u16 = 102;

#[derive(Deserialize)]
struct Planned {
    #[serde(default)]
    plan: bool,
}

/// Lets a caller through who has the rights, and writes down what was changed, and what was refused.
pub(super) async fn allowed(
    State(asks): State<Asks>,
    caller: Caller,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    if let Err(problem) = asks.require(&caller, &parameters).await {
        let deed = Deed { status: problem.status().as_u16(), ..Deed::of(&caller, asks.deed, &path) };
        asks.note(deed).await;
        return problem.into_response();
    }
    let (request, is_plan) = asks.planned(request).await;
    if asks.changes && !is_plan {
        // On disk before it is done: nothing is changed of which the log knows nothing.
        let deed = Deed { status: BEGUN, ..Deed::of(&caller, asks.deed, &path) };
        if let Err(error) = asks.context.audit.write(deed).await {
            return Problem::no_audit(&error).into_response();
        }
    }
    let response = asks.answered(&caller, request, next).await;
    if asks.changes && response.extensions().get::<Nothing>().is_none() {
        let subject = response.extensions().get().map_or(path, |Subject(subject)| subject.clone());
        let status = response.status().as_u16();
        asks.note(Deed { status, ..Deed::of(&caller, asks.deed, &subject) }).await;
    }
    response
}

impl Asks {
    /// Whether a request only asks what would be done. Its body was read whole before.
    async fn planned(&self, request: Request) -> (Request, bool) {
        if !self.plans {
            return (request, false);
        }
        let (head, body) = request.into_parts();
        let bytes = to_bytes(body, super::LARGEST).await.unwrap_or_default();
        let is_plan = serde_json::from_slice(&bytes).is_ok_and(|Planned { plan }| plan);
        (Request::from_parts(head, Body::from(bytes)), is_plan)
    }

    /// Lets the answer be made. Where it shows words of steps or receivers, that look is on disk before the answer goes out; where it
    /// cannot be, the same is answered with kinds and codes: a full disk is when somebody must see how things stand.
    async fn answered(&self, caller: &Caller, request: Request, next: Next) -> Response {
        if self.changes {
            // Who changes something is in the log by that.
            return Reader::of(caller).answered(next.run(request)).await.0;
        }
        let (head, body) = request.into_parts();
        let again = (next.clone(), head.clone());
        let request = Request::from_parts(head, body);
        let (response, shown) = Reader::of(caller).answered(next.run(request)).await;
        if shown != Shown::Words || self.context.audit.notes_look(caller, again.1.uri.path()).await {
            return response;
        }
        let request = Request::from_parts(again.1, Body::empty());
        Reader::OfKinds.answered(again.0.run(request)).await.0
    }

    async fn require(&self, caller: &Caller, parameters: &RawPathParams) -> Result<(), Problem> {
        if let Some(right) = self.rights.iter().find(|right| !caller.may(**right)) {
            return Err(Problem::forbidden(*right));
        }
        if caller.sees_everything() {
            return Ok(());
        }
        let part = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let (channel, named) = match self.about {
            About::Seen | About::Caller => return Ok(()),
            About::Server => return Err(Problem::not_seen()),
            About::Channel(name) => (Some(part(name)), format!("channel `{}`", part(name))),
            About::Message => (self.of_message(&part("id")).await?, format!("message {}", part("id"))),
            About::Episode => (self.of_episode(&part("id")), format!("episode {}", part("id"))),
            About::Delivery => (self.of_delivery(&part("id")).await?, format!("delivery {}", part("id"))),
        };
        if channel.is_some_and(|channel| self.context.fleet.is_seen(&channel, &caller.sees)) {
            return Ok(());
        }
        // The same as for one that is not there.
        Err(Problem::missing(format!("there is no {named}")))
    }

    async fn of_message(&self, id: &str) -> Result<Option<String>, Problem> {
        let Ok(id) = id.parse() else { return Ok(None) };
        let found = self.context.fleet.store.show(MessageId(id)).await?;
        Ok(found.map(|shown| shown.row.channel))
    }

    async fn of_delivery(&self, id: &str) -> Result<Option<String>, Problem> {
        let Ok(id) = id.parse() else { return Ok(None) };
        let Some(found) = self.context.fleet.store.delivery(DeliveryId(id)).await? else { return Ok(None) };
        self.of_message(&found.message.id.0.to_string()).await
    }

    fn of_episode(&self, id: &str) -> Option<String> {
        let id: u64 = id.parse().ok()?;
        self.context.alerts.list(None).into_iter().find(|one| one.id == id)?.channel
    }

    async fn note(&self, deed: Deed) {
        if deed.status == StatusCode::NOT_FOUND.as_u16() && !self.changes {
            return;
        }
        if let Err(error) = self.context.audit.write(deed).await {
            tracing::error!(%error, "cannot write how it ended into the audit log; that it began is there");
        }
    }
}

/// Whether the caller may be told of a channel that he named himself.
pub(super) fn require_seen(context: &Context, caller: &Caller, channel: &str) -> Result<(), Problem> {
    if context.fleet.is_seen(channel, &caller.sees) {
        return Ok(());
    }
    Err(super::channels::unknown(channel))
}
