//! The audit log: its newest lines, whether the whole of it is as it was written, and all of it for others.

use std::{io, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    asked::{Query, limit},
    problem::Problem,
};
use crate::{
    accounts::{Caller, Right},
    audit::{Break, Deed, Entry, Export, Form, Sound, verify},
};

type Shared = State<Arc<Context>>;

/// As many lines of the audit log as come at once.
const USUAL: usize = 100;
const MOST: usize = 1000;

#[derive(Deserialize)]
pub(super) struct Wanted {
    who: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// The newest lines: of everybody for who may administer, else one's own.
pub(super) async fn list(
    State(context): Shared,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Entry>>, Problem> {
    let who = if caller.may(Right::Administer) { wanted.who } else { Some(caller.name.clone()) };
    let limit = limit(wanted.limit, USUAL, MOST)?;
    let lines = context.audit.latest(who, wanted.before, limit).await;
    Ok(Json(lines.map_err(|error| Problem::no_audit(&error))?))
}

/// What a whole log comes to: sound, or where it breaks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verified {
    /// Each line follows the one before.
    Sound {
        lines: u64,
        /// The hash of the last line: noted elsewhere, it proves later that nothing was cut off.
        hash: String,
        /// Behind it stands a line that is being written, or that a crash cut.
        is_cut: bool,
    },
    Broken(Break),
}

/// Follows the hash of each line.
pub(super) async fn verified(State(context): Shared) -> Result<Json<Verified>, Problem> {
    let folder = context.audit.folder();
    let read = tokio::task::spawn_blocking(move || verify(&folder, None)).await;
    Ok(Json(match read.map_err(|error| Problem::no_audit(&io::Error::other(error)))? {
        Ok(Sound { lines, hash, is_cut, .. }) => Verified::Sound { lines, hash, is_cut },
        Err(broken) => Verified::Broken(broken),
    }))
}

#[derive(Deserialize)]
pub(super) struct Taken {
    #[serde(default)]
    form: Form,
    since: Option<Timestamp>,
}

/// All of it, as a file. Where the chain breaks, so does the answer: half a log is not to be taken for a whole one.
pub(super) async fn export(
    State(context): Shared,
    caller: Caller,
    Query(Taken { form, since }): Query<Taken>,
) -> Result<Response, Problem> {
    let deed = Deed::of(&caller, "export the audit log", &form.to_string());
    context.audit.write(deed).await.map_err(|error| Problem::no_audit(&error))?;
    let export = Export::of(&context.audit.folder(), form, since);
    let export = export.map_err(|broken| Problem::no_audit(&io::Error::other(broken.words)))?;
    let name = match form {
        Form::Jsonl => "attachment; filename=\"audit.jsonl\"",
        Form::Fhir => "attachment; filename=\"audit.json\"",
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, name),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let pieces = stream::try_unfold(export, |mut export| async {
        let read = tokio::task::spawn_blocking(move || (export.next(), export)).await;
        let (piece, export) = read.map_err(io::Error::other)?;
        let piece = piece.transpose().map_err(|broken| io::Error::other(broken.words))?;
        Ok::<_, io::Error>(piece.map(|piece| (piece, export)))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}
