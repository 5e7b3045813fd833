//! Accounts and tokens.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    asked::{Body, Path},
    problem::Problem,
    rights::Subject,
};
use crate::accounts::{AccountStatus, Caller, Position, Role, TokenStatus, TokenWish};

type Shared = State<Arc<Context>>;
type Made<T> = Result<(StatusCode, Extension<Subject>, Json<T>), Problem>;

/// Who is to have an account.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Limits it to channels with one of these tags.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
}

/// Another role, for these channels.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    pub(crate) role: Role,
    /// Limits it to channels with one of these tags; none: it sees all.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
}

/// By which its owner chooses a password, once, within a day.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Linked {
    pub(crate) name: String,
    /// The secret behind `/#/welcome/`.
    pub(crate) link: String,
}

/// A token that was made.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct MadeToken {
    pub(crate) name: String,
    /// Its secret, told this once.
    pub(crate) token: String,
}

pub(super) async fn list(State(context): Shared) -> Json<Vec<AccountStatus>> {
    Json(context.accounts.list())
}

pub(super) async fn add(State(context): Shared, Body(wanted): Body<NewAccount>) -> Made<Linked> {
    let NewAccount { name, role, tags } = wanted;
    let position = Position { role, tags };
    let subject = Extension(Subject(subject("account", &name, &position)));
    let link = context.accounts.add(&name, position)?;
    Ok((StatusCode::CREATED, subject, Json(Linked { name, link })))
}

pub(super) async fn remove(State(context): Shared, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    context.accounts.remove(&name)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn link(State(context): Shared, Path(name): Path<String>) -> Result<Json<Linked>, Problem> {
    let link = context.accounts.new_link(&name)?;
    Ok(Json(Linked { name, link }))
}

pub(super) async fn role(
    State(context): Shared,
    Path(name): Path<String>,
    Body(NewRole { role, tags }): Body<NewRole>,
) -> Result<(StatusCode, Extension<Subject>), Problem> {
    let position = Position { role, tags };
    let subject = Extension(Subject(subject("account", &name, &position)));
    context.accounts.change_position(&name, position)?;
    Ok((StatusCode::NO_CONTENT, subject))
}

pub(super) async fn tokens(State(context): Shared) -> Json<Vec<TokenStatus>> {
    Json(context.accounts.tokens())
}

pub(super) async fn make_token(
    State(context): Shared,
    caller: Caller,
    Body(wish): Body<TokenWish>,
) -> Made<MadeToken> {
    let token = context.accounts.make_token(&wish, &caller)?;
    let rights: Vec<_> = wish.rights.iter().map(|right| right.name()).collect();
    let subject = Extension(Subject(format!("token {}: {}{}", wish.name, rights.join(", "), of(&wish.tags))));
    Ok((StatusCode::CREATED, subject, Json(MadeToken { name: wish.name, token })))
}

pub(super) async fn revoke_token(
    State(context): Shared,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    context.accounts.revoke_token(&name)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the audit log says of it: `account ada: operator, of lab`.
pub(super) fn subject(kind: &str, name: &str, position: &Position) -> String {
    format!("{kind} {name}: {}{}", position.role.name(), of(&position.tags))
}

fn of(tags: &[String]) -> String {
    if tags.is_empty() { String::new() } else { format!(", of {}", tags.join(", ")) }
}
