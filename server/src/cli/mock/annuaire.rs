//! The French Annuaire Santé, played: a server of made-up people for tests, and for anyone without a key.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use connectors::{
    annuaire::mock::{Annuaire, Event, Fault, PATH, Reply, Request, Scenario, Settings},
    setting::Period,
};
use futures_util::stream;
use jiff::Timestamp;

use super::super::{Complaint, Ending, Exit, say};

/// The longest body.
const LONGEST: usize = 1_000_000;

/// Play the French Annuaire Santé, under `/fhir/v2`, until Ctrl-C.
///
/// It serves exactly so many practitioners, all made up, with their roles, organizations, services and devices, and takes any key.
/// Nothing changes and nothing fails unless it is told: here, or while it runs by `POST /mock` with an event of a scenario.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many practitioners there are
    #[arg(long, value_name = "N", default_value_t = 1000)]
    practitioners: u64,
    /// Where to listen: HOST:PORT
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8602")]
    listen: SocketAddr,
    /// What goes wrong, and when: `502,truncated:1/50,429:3,401:60s,link_too_old:page3`
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Another seed makes other people
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What changes over time: a JSON file with `events`
    #[arg(long, value_name = "FILE", conflicts_with = "changes")]
    scenario: Option<PathBuf>,
    /// So many practitioners change in so long, again and again: `50/10m`
    #[arg(long, value_name = "N/PERIOD", value_parser = changes)]
    changes: Option<(u64, Period)>,
    /// The most calls that are let in: `17/s`; no limit without it
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<(u32, Duration)>,
    /// The only key that is taken; any without it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

type Shared = Arc<Mutex<Annuaire>>;

pub(super) async fn run(arguments: Arguments) -> Ending {
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| Complaint::wrong(format!("cannot listen on {}: {error}", arguments.listen)))?;
    let address = listener.local_addr().map_err(|error| Complaint::wrong(error.to_string()))?;
    let scenario = scenario(&arguments)?;
    let practitioners = arguments.practitioners;
    let settings = Settings {
        practitioners,
        seed: arguments.seed,
        rate: arguments.rate,
        key: arguments.key,
        faults: arguments.faults,
        scenario,
    };
    say(format_args!(
        "an Annuaire of {practitioners} made-up practitioners at http://{address}{PATH}; Ctrl-C stops it\n"
    ));
    let annuaire: Shared = Arc::new(Mutex::new(Annuaire::new(settings, now())));
    let router = Router::new()
        .route("/mock", axum::routing::post(happen))
        .fallback(answer)
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(annuaire);
    let serving = axum::serve(listener, router);
    tokio::select! {
        served = serving => served.map_err(|error| Complaint::wrong(format!("cannot serve: {error}")))?,
        stopped = tokio::signal::ctrl_c() => {
            stopped.map_err(|error| Complaint::wrong(format!("cannot wait for Ctrl-C: {error}")))?;
        }
    }
    Ok(Exit::Done)
}

fn scenario(arguments: &Arguments) -> Result<Scenario, Complaint> {
    if let Some((count, every)) = arguments.changes {
        return Ok(Scenario::steady(count, every));
    }
    let Some(file) = &arguments.scenario else { return Ok(Scenario::default()) };
    let wrong = |why: String| Complaint::misused(format!("cannot play {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    Scenario::read(&text).map_err(wrong)
}

async fn answer(
    State(annuaire): State<Shared>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    body: Bytes,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = format!("http://{}", text("host").unwrap_or("localhost"));
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        host: &host,
        key: text("esante-api-key"),
        content_type: text("content-type"),
        body: &body,
    };
    let reply = annuaire.lock().unwrap_or_else(PoisonError::into_inner).answer(&request, now());
    respond(reply)
}

/// Lets something happen at once: an event as a scenario has them, without its `after`.
async fn happen(State(annuaire): State<Shared>, body: Bytes) -> Response {
    let event = serde_json::from_slice::<Event>(&body).map_err(|error| error.to_string());
    match event.and_then(|event| event.check().map(|()| event)) {
        Ok(event) => {
            annuaire.lock().unwrap_or_else(PoisonError::into_inner).happen(&event, now());
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

fn respond(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = if reply.is_cut {
        let cut: Result<Bytes, _> = Err(std::io::Error::other("cut, as it was told"));
        Body::from_stream(stream::iter([Ok(Bytes::from(reply.body)), cut]))
    } else {
        Body::from(reply.body)
    };
    let mut response = (status, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in reply.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

fn changes(text: &str) -> Result<(u64, Period), String> {
    let wrong = || format!("`{text}` is not a number and a time such as `50/10m`");
    let (count, period) = text.split_once('/').ok_or_else(wrong)?;
    let period: Period = period.parse().map_err(|_| wrong())?;
    if period.0.is_zero() {
        return Err(wrong());
    }
    Ok((count.parse().map_err(|_| wrong())?, period))
}

fn rate(text: &str) -> Result<(u32, Duration), String> {
    let wrong = || format!("`{text}` is not a rate such as `17/s` or `1000/m`");
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let period: Period = format!("1{unit}").parse().map_err(|_| wrong())?;
    Ok((count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?, period.0))
}
