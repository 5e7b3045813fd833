//! A DICOMweb server: what lies beneath its root, and what it answers about one instance.

use bytes::Bytes;
use hyper::{Method, StatusCode, header, http::uri::PathAndQuery};
use tokio::time::Instant;

use crate::web::{
    Answer, AnswerBody, Client, Draft, Payload, Sink, Taking, meaning, meaning::Statuses, place,
};

/// What lists of studies and instances are written in.
pub(super) const JSON: &str = "application/dicom+json";

/// The longest answer to a search of one.
const LONGEST_LOOK: usize = 1_000_000;

/// Asks one server.
pub(super) struct Archive {
    pub(super) client: Client,
    root: String,
}

/// An object by the names of all that it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) study: String,
    pub(super) series: String,
    pub(super) instance: String,
}

impl Archive {
    pub(super) fn new(client: Client, root: &str) -> Self {
        Self { client, root: root.trim_end_matches('/').to_owned() }
    }

    /// A path beneath the root, and a query that is encoded.
    pub(super) fn target(&self, path: &str, query: &str) -> Result<PathAndQuery, String> {
        let mark = if query.is_empty() { "" } else { "?" };
        let whole = format!("{}/{path}{mark}{query}", self.root);
        let target = place::target(&whole, self.client.parameter().into_iter())?;
        target.parse().map_err(|_| "it has no place beneath `url`".to_owned())
    }

    /// Reads something beneath the root, of which `most` bytes are taken.
    pub(super) async fn get(
        &self,
        (path, query): (&str, &str),
        accept: &'static str,
        most: usize,
        deadline: Instant,
    ) -> Result<Answer, String> {
        self.get_into((path, query), accept, Taking::most(most), deadline).await
    }

    async fn get_into(
        &self,
        (path, query): (&str, &str),
        accept: &'static str,
        taking: Taking<'_>,
        deadline: Instant,
    ) -> Result<Answer, String> {
        let target = self.target(path, query)?;
        let mut headers = Client::headers(accept);
        if accept != JSON {
            // Pixels are packed already, or not worth it: what comes is what is kept.
            headers.remove(header::ACCEPT_ENCODING);
        }
        let draft = Draft { method: Method::GET, target, headers, body: Payload::default() };
        let asked = self.client.ask_for(draft, &[Statuses::SUCCESS], taking, deadline).await;
        asked.map_err(|error| meaning::plain(&error))
    }

    /// Whether there is a DICOMweb server at all: it answers a search of one.
    pub(super) async fn look(&self, deadline: Instant) -> Result<(), String> {
        let answer = self.get(("studies", "limit=1"), JSON, LONGEST_LOOK, deadline).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => {
                Err("it answered 404 to a search of one study: is `url` right?".to_owned())
            }
            status => Err(format!("it answered {} to a search of one study", status.as_u16())),
        }
    }

    /// The attributes of an instance, without its pixels, as DICOM JSON.
    pub(super) async fn metadata(
        &self,
        place: &Place,
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Bytes>, String> {
        let path = format!("{}/metadata", place.path());
        let answer = self.get((&path, ""), JSON, most, deadline).await?;
        if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&answer.status) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(format!("it answered {} for the metadata of an instance", answer.status.as_u16()));
        }
        match answer.body {
            AnswerBody::Whole(body) => Ok(Some(body)),
            AnswerBody::Long(_) => {
                Err(format!("the metadata of an instance is longer than {most} bytes (`max_size`)"))
            }
            AnswerBody::Cut(why) => Err(why),
        }
    }

    /// Has the whole instance as a file, in the syntax in which it lies there, come to whoever takes it; false where there is
    /// none.
    pub(super) async fn retrieve(
        &self,
        place: &Place,
        sink: &mut dyn Sink,
        deadline: Instant,
    ) -> Result<bool, String> {
        const FILE: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
        let taking = Taking::into(sink, LONGEST_LOOK);
        let answer = self.get_into((&place.path(), ""), FILE, taking, deadline).await?;
        if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&answer.status) {
            return Ok(false);
        }
        if answer.status != StatusCode::OK {
            return Err(format!("it answered {} for an instance", answer.status.as_u16()));
        }
        match answer.body {
            AnswerBody::Whole(body) if body.is_empty() => Ok(true),
            AnswerBody::Cut(why) => Err(why),
            AnswerBody::Whole(_) | AnswerBody::Long(_) => Err("it packs its instances".to_owned()),
        }
    }
}

impl Place {
    pub(super) fn path(&self) -> String {
        format!("studies/{}/series/{}/instances/{}", self.study, self.series, self.instance)
    }
}
