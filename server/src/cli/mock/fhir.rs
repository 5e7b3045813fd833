//! A FHIR server in memory, for a demonstration only.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    super::{Complaint, Ending, Exit, say},
    holdings::{Asked, Failure, Holdings, Told},
    search::{PARAMETERS, TYPES},
    transaction,
};

/// The longest body.
const LONGEST: usize = 64_000_000;

/// Play a FHIR R4 server in memory, under `/fhir`, until Ctrl-C: for a demonstration only.
///
/// It stores, updates, reads, deletes and searches resources (by identifier, code, status, subject and a few more, `_include` too), with conditions,
/// and carries out transactions and batches. It validates nothing and keeps nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen: HOST:PORT
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8601")]
    listen: SocketAddr,
}

type Shared = Arc<Mutex<Holdings>>;

pub(super) async fn run(arguments: Arguments) -> Ending {
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| Complaint::wrong(format!("cannot listen on {}: {error}", arguments.listen)))?;
    let address = listener.local_addr().map_err(|error| Complaint::wrong(error.to_string()))?;
    say(format_args!(
        "a FHIR server in memory, for a demonstration only, at http://{address}/fhir; Ctrl-C stops it\n"
    ));
    let router =
        Router::new().fallback(answer).layer(DefaultBodyLimit::max(LONGEST)).with_state(Shared::default());
    let serving = axum::serve(listener, router);
    tokio::select! {
        served = serving => served.map_err(|error| Complaint::wrong(format!("cannot serve: {error}")))?,
        stopped = tokio::signal::ctrl_c() => {
            stopped.map_err(|error| Complaint::wrong(format!("cannot wait for Ctrl-C: {error}")))?;
        }
    }
    Ok(Exit::Done)
}

async fn answer(
    State(shared): State<Shared>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    body: Bytes,
) -> Response {
    let mut holdings = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let told = carried_out(&mut holdings, (&method, &uri), &headers, &body);
    drop(holdings);
    match told {
        Ok(told) => respond(told),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            resource(status, &failure.outcome())
        }
    }
}

fn carried_out(
    holdings: &mut Holdings,
    (method, uri): (&Method, &Uri),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Told, Failure> {
    let path = uri.path().strip_prefix("/fhir").ok_or(Failure::new(404, "not-found"))?.trim_matches('/');
    if path == "metadata" {
        return Ok(Told { status: 200, resource: Some(statement()), location: None });
    }
    let payload = if body.is_empty() {
        None
    } else {
        Some(serde_json::from_slice(body).map_err(|_| Failure::new(400, "structure"))?)
    };
    if path.is_empty() && *method == Method::POST {
        return transaction::bundle(holdings, payload.as_ref().ok_or(Failure::new(400, "required"))?);
    }
    let unless = headers.get("if-none-exist").and_then(|value| value.to_str().ok());
    holdings.carry_out(Asked {
        method: method.as_str(),
        path,
        query: uri.query().unwrap_or_default(),
        unless,
        resource: payload,
    })
}

fn respond(told: Told) -> Response {
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::OK);
    let mut response = resource(status, &told.resource.unwrap_or_default());
    if let Some(location) = told.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn resource(status: StatusCode, resource: &Value) -> Response {
    let text = if resource.is_null() { String::new() } else { resource.to_string() };
    let date =
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&jiff::Timestamp::now());
    let headers = [("content-type", "application/fhir+json".to_owned()), ("date", date.unwrap_or_default())];
    (status, headers, text).into_response()
}

/// What this server says it can do.
fn statement() -> Value {
    let parameters: Vec<Value> =
        PARAMETERS.iter().map(|name| json!({ "name": name, "type": "token" })).collect();
    let codes = |codes: &[&str]| codes.iter().map(|code| json!({ "code": code })).collect::<Vec<Value>>();
    let resources: Vec<Value> = TYPES
        .iter()
        .map(|name| {
            json!({
                "type": name, "conditionalCreate": true, "conditionalUpdate": true, "updateCreate": true,
                "interaction": codes(&["read", "create", "update", "delete", "search-type"]), "searchParam": parameters,
            })
        })
        .collect();
    json!({
        "resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"], "software": { "name": "relais mock fhir, for a demonstration only" },
        "rest": [{ "mode": "server", "interaction": codes(&["transaction", "batch"]), "resource": resources }],
    })
}
