//! One attempt at storing one instance.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Content, Destination, Outbound, Response, SendError};
use formats::dicom::Header;
use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use tokio::time::Instant;

use super::group::{Grouping, Ready};
use crate::{
    dicomweb::{
        answer::{self, Told},
        archive::{Archive, JSON, Place},
        fetched::Compared,
        multipart::Around,
    },
    dimse,
    part10::{self, Meta},
    web::{
        Answer, AnswerBody, Client, Draft, Payload,
        headers::{self, Text},
        meaning::{self, Asked, Statuses},
    },
};

/// Statuses by which either the study is wrong or there is no server at that place.
const NO_PATH: [u16; 2] = [404, 405];

/// What an answer with a list for each instance may come with: all stored, some, none.
const LISTED: [Statuses; 1] = [Statuses::SUCCESS];

/// Sends instances to one server.
pub(super) struct Sender {
    archive: Archive,
    headers: BTreeMap<String, Text>,
    /// Where several may go in one request.
    grouping: Option<Grouping>,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let file = &outbound.body;
        let meta = Meta::named_within(file).await?;
        let ready = self.ready(outbound, &meta)?;
        let deadline = self.deadline();
        let answer = match &self.grouping {
            Some(grouping) => match self.with_others(grouping, ready).await? {
                Some(answer) => answer,
                None => self.ask(&[self.ready(outbound, &meta)?], deadline).await?,
            },
            None => self.ask(&[ready], deadline).await?,
        };
        let deadline = self.deadline();
        let status = answer.status;
        if NO_PATH.contains(&status.as_u16())
            && let Err(why) = self.archive.look(deadline).await
        {
            let says = format!("the server answered {}", status.as_u16());
            return Err(SendError::not_delivered(format!("{says}, and is no DICOMweb server: {why}")));
        }
        let body = match &answer.body {
            AnswerBody::Whole(body) => body.clone(),
            AnswerBody::Long(_) | AnswerBody::Cut(_) => Bytes::new(),
        };
        let told = answer::told(&body, &meta.sop_instance);
        match told {
            Told::There => self.compared(file, &meta, answer, deadline).await,
            _ => judged(answer, &told, body),
        }
    }
}

impl Sender {
    pub(super) fn new(archive: Archive, headers: BTreeMap<String, Text>, grouping: Option<Grouping>) -> Self {
        Self { archive, headers, grouping }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.archive.client.deadline()
    }

    fn ready(&self, outbound: &Outbound, meta: &Meta) -> Result<Ready, SendError> {
        let mut headers = Client::headers(JSON);
        headers::add(&mut headers, &self.headers, outbound)?;
        Ok(Ready { instance: meta.sop_instance.clone(), file: outbound.body.clone(), headers })
    }

    /// Sends these in one request, whose headers are those of the first.
    pub(super) async fn ask(&self, all: &[Ready], deadline: Instant) -> Result<Answer, SendError> {
        let around = Around::new();
        let mut headers = all.first().map(|first| first.headers.clone()).unwrap_or_default();
        let kind = HeaderValue::from_str(&around.content_type()).expect("a boundary is hexadecimal");
        headers.insert(CONTENT_TYPE, kind);
        let target = self.archive.target("studies", "").map_err(SendError::refused)?;
        let body = Payload::of(around.pieces(all.iter().map(|ready| ready.file.clone())));
        let draft = Draft { method: Method::POST, target, headers, body };
        self.archive.client.ask(draft, &LISTED, deadline).await
    }

    /// The server has an instance of that name: with the bytes we sent it is ours, with others it is refused.
    async fn compared(
        &self,
        file: &Content,
        meta: &Meta,
        answer: Answer,
        deadline: Instant,
    ) -> Result<Response, SendError> {
        let Some(place) = part10::looked_into(file, place_of).await else {
            return Err(differs("and the file does not say in which study to look for it"));
        };
        let mut comparing = Compared::with(file, meta);
        let found = self.archive.retrieve(&place, &mut comparing, deadline).await;
        if let Some(how) = comparing.differs() {
            return Err(differs(how));
        }
        let unfetched = |why| {
            let says = "the server has an instance of that name; fetched to compare it";
            SendError::unknown(format!("{says}, {why}"))
        };
        if !found.map_err(unfetched)? {
            return Err(differs("and not in the study that it is of"));
        }
        if let Some(how) = comparing.end().await.map_err(unfetched)? {
            return Err(differs(&how));
        }
        is_there(answer)
    }
}

/// It is there as it was sent.
fn is_there(answer: Answer) -> Result<Response, SendError> {
    let Answer { headers, .. } = answer;
    let answer = Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(Bytes::new()) };
    meaning::judge(answer, &LISTED, Asked::OfThisMessage)
}

fn differs(why: &str) -> SendError {
    let code = Some(format!("{:04X}", dimse::DUPLICATE));
    let why = format!("the server has an instance of that name, {why}");
    SendError::Refused { why, code, response: None }
}

/// Where the instance lies by its own words.
fn place_of(file: &Content) -> Option<Place> {
    let header = Header::read(file.reader()).ok()?;
    Some(Place { study: header.study?, series: header.series?, instance: header.sop_instance })
}

/// By what the answer says of the instance, else by its status.
fn judged(answer: Answer, told: &Told, body: Bytes) -> Result<Response, SendError> {
    let status = answer.status;
    match told {
        Told::Failed(_) => Err(answer::failed(status, told, Some(body))),
        Told::Stored(warning) => {
            let answer = Answer { status: StatusCode::OK, ..answer };
            let mut response = meaning::judge(answer, &LISTED, Asked::OfThisMessage)?;
            response.facts.insert("status".to_owned(), status.as_u16().into());
            if let Some(warning) = warning {
                response.facts.insert("warning".to_owned(), dimse::words(*warning).into());
            }
            Ok(response)
        }
        // Of some that were not stored it says no names: that this one was is nobody's word.
        _ if status == StatusCode::ACCEPTED => {
            Err(SendError::unknown("the server answered 202, and does not say what became of the instance"))
        }
        _ => meaning::judge(answer, &LISTED, Asked::OfThisMessage),
    }
}
