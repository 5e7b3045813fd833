//! One request of STOW-RS: its instances are taken as they come, kept, and answered one by one.

use std::{io::Cursor, sync::Arc};

use async_trait::async_trait;
use bytes::BytesMut;
use engine::{Answer, Content, Facts, Inbound};
use formats::dicom::Header;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use tokio::time::Instant;

use super::report::{Named, Report};
use crate::{
    dicomweb::multipart::{self, Found, Splitter},
    dimse,
    host::{Intake, LetIn, Refusal, words},
    part10::{self, Meta},
    room::{Room, Share},
};

/// So many instances of one request are kept in one write, or as many as have this length together.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: usize = 16 << 20;

/// Takes requests of STOW-RS.
pub(super) struct Stow {
    /// The longest instance.
    pub(super) most: usize,
    pub(super) room: Arc<Room>,
}

#[async_trait]
impl Intake for Stow {
    async fn take(&self, mut request: LetIn<'_>) -> Result<Response<words::Words>, Refusal> {
        let asked = asked(&request);
        let (study, boundary) = match asked {
            Ok(asked) => asked,
            Err(refusal) => {
                request.drain().await;
                return Err(refusal);
            }
        };
        let mut taking = Taking::new(self.most, study, self.room.share());
        let mut splitter = Splitter::new(&boundary);
        while let Some(chunk) = request.chunk(Instant::now() + request.host.body_within).await? {
            splitter.feed(&chunk);
            while let Some(found) =
                splitter.next().map_err(|why| words::refusal(StatusCode::BAD_REQUEST, why))?
            {
                match found {
                    Found::Over => break,
                    found => taking.found(found, &request).await,
                }
            }
        }
        if !splitter.is_over() {
            return Err(words::refusal(StatusCode::BAD_REQUEST, "the body ends before its last boundary"));
        }
        taking.hand_over(&request).await;
        if taking.report.is_empty() {
            return Err(words::refusal(StatusCode::BAD_REQUEST, "the body holds no instance"));
        }
        let Taking { report, answers, .. } = taking;
        Ok(words::several(report.status(), report.body(), answers, request.slips))
    }
}

/// What the head says: the study that all are of, where it names one, and what stands between the instances.
fn asked(request: &LetIn<'_>) -> Result<(Option<String>, String), Refusal> {
    let top = request.host.path.trim_end_matches('/');
    let beneath = request.head.uri.path().strip_prefix(top).unwrap_or_default();
    let study = match beneath.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["studies"] => None,
        ["studies", study] if part10::is_uid(study) => Some(study.to_owned()),
        _ => return Err(words::refusal(StatusCode::NOT_FOUND, "instances are posted to `studies`")),
    };
    let unsupported = |why| words::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    let is_packed = |encoding: &hyper::header::HeaderValue| encoding.as_bytes() != b"identity";
    if request.head.headers.get(CONTENT_ENCODING).is_some_and(is_packed) {
        return Err(unsupported("the content encoding is not known here"));
    }
    let kind = request.head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = kind.and_then(multipart::boundary);
    let boundary = boundary.ok_or_else(|| {
        unsupported("instances come as `multipart/related; type=\"application/dicom\"; boundary=…`")
    })?;
    Ok((study, boundary))
}

/// The instances of one request.
struct Taking {
    most: usize,
    study: Option<String>,
    /// The part that comes now; `None` where it is longer than is taken.
    part: Option<BytesMut>,
    kind: Option<String>,
    gathered: Vec<(Named, Inbound)>,
    length: usize,
    /// What all that is gathered has taken of the room there is.
    share: Share,
    report: Report,
    answers: Vec<Answer>,
}

impl Taking {
    fn new(most: usize, study: Option<String>, share: Share) -> Self {
        let (part, kind) = (Some(BytesMut::new()), None);
        Self {
            most,
            study,
            part,
            kind,
            gathered: Vec::new(),
            length: 0,
            share,
            report: Report::default(),
            answers: Vec::new(),
        }
    }

    async fn found(&mut self, found: Found, request: &LetIn<'_>) {
        match found {
            Found::Head(kind) => {
                self.kind = kind;
                self.part = Some(BytesMut::new());
            }
            Found::Piece(piece) => {
                let fits = |part: &BytesMut| part.len() + piece.len() <= self.most;
                self.part = self.part.take().filter(|part| fits(part) && self.share.take(piece.len()));
                if let Some(part) = &mut self.part {
                    part.extend_from_slice(&piece);
                }
            }
            Found::End => self.ended(request).await,
            Found::Over => {}
        }
    }

    /// A part has come whole.
    async fn ended(&mut self, request: &LetIn<'_>) {
        let Some(part) = self.part.take() else {
            // What was kept of it is gone: it is not known what it was.
            self.hand_over(request).await;
            self.report.add(Named::default(), dimse::OUT_OF_RESOURCES);
            return;
        };
        let part = part.freeze();
        let mut named = Named::of(&part);
        self.length += part.len();
        let (name, unreadable) = match self.name_of(&part, &mut named) {
            Ok(name) => (Some(name), None),
            Err(why) => (None, Some(why)),
        };
        let facts = facts_of(&request.facts, &named);
        self.gathered.push((named, Inbound { facts, name, unreadable, ..Inbound::new(Content::from(part)) }));
        if self.gathered.len() >= TOGETHER || self.length >= TOGETHER_BYTES {
            self.hand_over(request).await;
        }
    }

    /// The instance that a part is; else what is wrong with it, whatever the channel's format.
    fn name_of(&self, part: &[u8], named: &mut Named) -> Result<String, String> {
        if self
            .kind
            .as_deref()
            .is_some_and(|kind| !kind.to_ascii_lowercase().starts_with("application/dicom"))
        {
            return Err("the part is not `application/dicom`".to_owned());
        }
        let header = Header::read(Cursor::new(part)).map_err(|error| error.to_string())?;
        if self.study.is_some() && header.study != self.study {
            return Err("it is of another study than the one it was posted to".to_owned());
        }
        // Some files begin with the names of others: archives go by what the data set says.
        named.class = header.sop_class;
        named.instance.clone_from(&header.sop_instance);
        Ok(header.sop_instance)
    }

    /// Keeps what was gathered in one write, and hears what became of each.
    async fn hand_over(&mut self, request: &LetIn<'_>) {
        self.length = 0;
        let (named, inbounds): (Vec<Named>, Vec<Inbound>) = self.gathered.drain(..).unzip();
        if inbounds.is_empty() {
            self.share.clear();
            return;
        }
        let answers = if inbounds.len() == 1 {
            let one = inbounds.into_iter().next().expect("there is one");
            vec![request.host.inlet.receive(one).await]
        } else {
            request.host.inlet.receive_batch(inbounds).await
        };
        for (named, answer) in named.into_iter().zip(&answers) {
            self.report.add(named, dimse::status(&request.host.words, &answer.reply));
        }
        self.answers.extend(answers);
        self.share.clear();
    }
}

fn facts_of(of_request: &Facts, named: &Named) -> Arc<Facts> {
    let mut facts = of_request.clone();
    let all =
        [("sop_class", &named.class), ("sop_instance", &named.instance), ("transfer_syntax", &named.syntax)];
    for (name, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
        facts.insert(name.to_owned(), value.clone().into());
    }
    facts.into()
}

impl Named {
    /// What a file calls itself; nothing where it does not say.
    fn of(file: &[u8]) -> Self {
        let Ok(meta) = Meta::read(file) else { return Self::default() };
        Self { class: meta.sop_class, instance: meta.sop_instance, syntax: meta.transfer_syntax }
    }
}
