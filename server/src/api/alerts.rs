//! The rules of alerts in force, and a trial of each way by which they tell.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, asked::Path, problem::Problem};
use crate::{accounts::Caller, alerts};

type Shared = State<Arc<Context>>;

/// A rule of `alerts/`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RuleStatus {
    /// As its file is called.
    pub(crate) name: String,
    /// The states that it is about; none: all.
    pub(crate) states: Option<Vec<String>>,
    pub(crate) channels: Vec<String>,
    pub(crate) tags: Vec<String>,
    /// The ways by which it tells: `smtp`, `http`, `channel`.
    pub(crate) tell: Vec<String>,
}

/// How a trial of one way went.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Tried {
    /// Its place under `tell`, counted from 1.
    pub(crate) number: usize,
    pub(crate) way: String,
    /// Why it could not be told.
    pub(crate) problem: Option<String>,
    pub(crate) seconds: f64,
}

pub(super) async fn list(State(context): Shared) -> Json<Vec<RuleStatus>> {
    let rules = context.fleet.alerts();
    Json(rules.iter().map(RuleStatus::of).collect())
}

/// Sends what is marked as a trial by each way of a rule, and waits for what becomes of it.
pub(super) async fn test(
    State(context): Shared,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<Vec<Tried>>, Problem> {
    let rules = context.fleet.alerts();
    let rule = rules.iter().find(|rule| rule.name == name).ok_or_else(|| {
        let words =
            format!("there is no rule `{name}` in force; `relais check` says what is wrong in a file");
        Problem::missing(words)
    })?;
    if rule.tell.is_empty() {
        return Err(Problem::conflict(format!("alerts/{name}.yaml tells nobody: `tell` is empty")));
    }
    let told = alerts::trial(&context.fleet, rule, &caller.name).await;
    let tried = told.into_iter().enumerate().map(|(place, (way, problem, took))| Tried {
        number: place + 1,
        way,
        problem,
        seconds: took.as_secs_f64(),
    });
    Ok(Json(tried.collect()))
}

impl RuleStatus {
    fn of(rule: &channels::Rule) -> Self {
        let names = |states: &Vec<(&'static str, channels::Limit)>| {
            states.iter().map(|(name, _)| (*name).to_owned()).collect()
        };
        Self {
            name: rule.name.clone(),
            states: rule.states.as_ref().map(names),
            channels: rule.channels.clone(),
            tags: rule.tags.clone(),
            tell: rule.tell.iter().map(|route| route.protocol.clone()).collect(),
        }
    }
}
