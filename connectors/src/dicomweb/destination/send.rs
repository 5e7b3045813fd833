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

use crate::{
    dicomweb::{
        answer::{self, Told},
        archive::{Archive, JSON, Place},
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

/// What the server has already is fetched and compared up to this length.
const LONGEST_COMPARED: usize = 64 << 20;

/// What an answer with a list for each instance may come with: all stored, some, none.
const LISTED: [Statuses; 1] = [Statuses::SUCCESS];

/// Sends instances to one server.
pub(super) struct Sender {
    archive: Archive,
    headers: BTreeMap<String, Text>,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let file = &outbound.body;
        let meta = Meta::named_within(file).await?;
        let deadline = self.archive.client.deadline();
        let draft = self.draft(outbound, file)?;
        let answer = self.archive.client.ask(draft, &LISTED, deadline).await?;
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
            Told::There if file.len() > LONGEST_COMPARED => too_long_to_compare(outbound, answer),
            Told::There => self.compared(file, &meta, answer, deadline).await,
            _ => judged(answer, &told, body),
        }
    }
}

impl Sender {
    pub(super) fn new(archive: Archive, headers: BTreeMap<String, Text>) -> Self {
        Self { archive, headers }
    }

    fn draft(&self, outbound: &Outbound, file: &Content) -> Result<Draft, SendError> {
        let around = Around::new();
        let mut headers = Client::headers(JSON);
        let kind = HeaderValue::from_str(&around.content_type()).expect("a boundary is hexadecimal");
        headers.insert(CONTENT_TYPE, kind);
        headers::add(&mut headers, &self.headers, outbound)?;
        let target = self.archive.target("studies", "").map_err(SendError::refused)?;
        Ok(Draft { method: Method::POST, target, headers, body: Payload::of(around.pieces(file.clone())) })
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
        // What a few words of another meta information may add.
        let most = file.len() + 64 * 1024;
        let found = self.archive.retrieve(&place, most, deadline).await;
        let found = found.map_err(|why| {
            SendError::unknown(format!(
                "the server has an instance of that name; fetched to compare it, {why}"
            ))
        })?;
        let Some(found) = found else { return Err(differs("and not in the study that it is of")) };
        let theirs = Meta::read(&found).map_err(|why| differs(&format!("which cannot be read: {why}")))?;
        if theirs.transfer_syntax != meta.transfer_syntax {
            return Err(differs("in another transfer syntax"));
        }
        if found[theirs.data_set..] != file.whole()?[meta.data_set..] {
            return Err(differs("with other bytes"));
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

/// What is in doubt was sent before: that the server has it is what we wanted to know.
fn too_long_to_compare(outbound: &Outbound, answer: Answer) -> Result<Response, SendError> {
    if outbound.doubts > 0 {
        return is_there(answer);
    }
    Err(differs(&format!("and one of more than {LONGEST_COMPARED} bytes is not fetched to be compared")))
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
