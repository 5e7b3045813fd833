//! Messages as they are found, newest first: by their keys, or by words in what they hold.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use engine::{MessageId, StoreError};
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Look;

use super::{
    Context, MessageStatus, asked::Query, messages::Wanted, problem::Problem, rights::require_seen,
    words::Words,
};
use crate::{
    accounts::{Caller, Right},
    audit::Deed,
    why::{Reader, Shown},
};

/// Nobody looks for more characters: they fit where two stretches of a long body meet.
const LONGEST: usize = 200;

/// What is looked for: as in a list, or by words in contents.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    channel: Option<String>,
    destination: Option<String>,
    state: Option<String>,
    q: Option<String>,
    text: Option<String>,
    since: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// One event: what was found since the one before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) messages: Vec<FoundMessage>,
    /// How far a look into contents is.
    pub(crate) looked: Option<Looked>,
    /// Nothing more comes.
    pub(crate) is_end: bool,
    /// What is older than this message was not looked at; none where all was. Of a search by keys it is said at the end.
    pub(crate) before: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FoundMessage {
    /// Where the words stand first: `received`, `sent`, `answered` or `reason`; none of what has them as a key.
    pub(crate) place: Option<String>,
    pub(crate) message: MessageStatus,
}

/// How far a look into contents is, counted from its beginning.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Looked {
    pub(crate) messages: u64,
    /// Of these, how many hold nothing any more.
    pub(crate) forgotten: u64,
    /// Bodies that cannot be read.
    pub(crate) unread: u64,
    /// When the last that was looked at was received.
    pub(crate) until: Option<String>,
}

/// Somebody who looks, and what is left of it.
struct Searching {
    context: Arc<Context>,
    caller: Caller,
    search: Search,
    left: usize,
}

enum Search {
    /// Behind which file of the store it goes on.
    Keys {
        queries: Vec<engine::Query>,
        behind: Option<u64>,
    },
    Contents {
        look: Box<Look>,
        looked: Looked,
    },
}

/// Events `found`, until one says that it is the end; `problem` where something went wrong before it.
pub(super) async fn listen(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let stop = context.stop.clone();
    let searching = asked.searching(context, caller).await?;
    let told = stream::unfold(Some(searching), |searching| async {
        let mut searching = searching?;
        if !searching.context.accounts.still(&searching.caller) {
            return None;
        }
        match searching.next().await {
            Ok(found) => {
                let event = searching.told(&found).await?;
                Some((Ok(event), Some(searching).filter(|_| !found.is_end)))
            }
            Err(error) => {
                let detail = json!({ "code": "unavailable", "detail": error.to_string() }).to_string();
                Some((Ok(sse::Event::default().event("problem").data(detail)), None))
            }
        }
    });
    let ended = async move { stop.requested().await };
    Ok(Sse::new(told.take_until(Box::pin(ended))).keep_alive(KeepAlive::default()))
}

impl Asked {
    async fn searching(self, context: Arc<Context>, caller: Caller) -> Result<Searching, Problem> {
        let is_blank = |words: &String| words.trim().is_empty();
        let (q, text) = (self.q.filter(|words| !is_blank(words)), self.text);
        if text.as_ref().is_some_and(is_blank) {
            return Err(Problem::wrong("`text` is empty: say which words to look for"));
        }
        if q.is_some() && text.is_some() {
            return Err(Problem::wrong("`q` looks for keys and `text` into contents: ask for one of them"));
        }
        let wanted = Wanted {
            channel: self.channel,
            destination: self.destination,
            state: self.state,
            q,
            since: self.since,
            before: self.before,
            limit: self.limit,
        };
        let left = wanted.limit()?;
        let search = match text {
            None => Search::Keys { queries: wanted.queries(&context, &caller).await?, behind: None },
            Some(text) => {
                let look = into_contents(wanted, &text, (&context, &caller)).await?;
                Search::Contents { look: Box::new(look), looked: Looked::default() }
            }
        };
        Ok(Searching { context, caller, search, left })
    }
}

/// For who may see content alone, and written down, without the words, before anything is read.
async fn into_contents(
    wanted: Wanted,
    text: &str,
    (context, caller): (&Context, &Caller),
) -> Result<Look, Problem> {
    if !caller.may(Right::Content) {
        return Err(Problem::forbidden(Right::Content));
    }
    if text.chars().count() > LONGEST {
        return Err(Problem::wrong(format!("`text` has more than {LONGEST} characters")));
    }
    let query = wanted.query(caller)?;
    let of = query.channel.as_ref().map(|channel| format!("channel {channel}")).unwrap_or_default();
    let channels = match &query.channel {
        _ if caller.sees_everything() => None,
        None => Some(context.fleet.seen(&caller.sees)),
        Some(channel) => {
            require_seen(context, caller, channel)?;
            None
        }
    };
    let written = context.audit.write(Deed::of(caller, "search in contents", &of)).await;
    written.map_err(|error| Problem::no_audit(&error))?;
    let words = Words::of(text);
    Ok(Look::new(query, channels, Arc::new(move |bytes: &[u8]| words.stand_in(bytes))))
}

impl Searching {
    /// Goes on until there is something to tell.
    async fn next(&mut self) -> Result<Found, StoreError> {
        let store = &self.context.fleet.store;
        match &mut self.search {
            Search::Keys { queries, behind } => loop {
                let (rows, goes_on) = store.find_on(queries, *behind).await?;
                *behind = goes_on;
                self.left -= rows.len();
                for query in queries.iter_mut() {
                    query.limit = self.left;
                }
                let is_full = self.left == 0;
                if rows.is_empty() && goes_on.is_some() {
                    continue;
                }
                let before = rows.last().filter(|_| is_full).map(|row| row.id.0);
                let plain = |row| FoundMessage { place: None, message: MessageStatus::of(row) };
                let messages = rows.into_iter().map(plain).collect();
                return Ok(Found { messages, looked: None, is_end: is_full || goes_on.is_none(), before });
            },
            Search::Contents { look, looked } => {
                let seen = store.look_on(look).await?;
                self.left -= seen.found.len();
                looked.messages += seen.messages;
                looked.forgotten += seen.forgotten;
                looked.unread += seen.unread;
                looked.until = seen.until.or(looked.until.take());
                let placed = |(row, place): (_, store::Place)| FoundMessage {
                    place: Some(place.name().to_owned()),
                    message: MessageStatus::of(row),
                };
                let messages = seen.found.into_iter().map(placed).collect();
                let before = seen.before.map(|MessageId(before)| before);
                let is_end = self.left == 0 || before.is_none();
                Ok(Found { messages, looked: Some(looked.clone()), is_end, before })
            }
        }
    }

    /// Words of steps and receivers only once the look is on disk, as in an answer (`rights.rs`); a look into contents is.
    async fn told(&self, found: &Found) -> Option<sse::Event> {
        let written = || serde_json::to_string(found).ok();
        let (whole, shown) = Reader::of(&self.caller).told(written);
        let is_noted = shown != Shown::Words || matches!(self.search, Search::Contents { .. });
        let data = if is_noted || self.context.audit.notes_look(&self.caller, "/messages/found").await {
            whole
        } else {
            Reader::OfKinds.written(written)
        };
        Some(sse::Event::default().event("found").data(data?))
    }
}
