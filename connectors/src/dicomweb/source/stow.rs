//! One request of STOW-RS: its instances are taken as they come, kept, and answered one by one.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Answer, Content, Facts, Inbound, Spool};
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
        let mut taking = Taking::new(self.most, study, Arc::clone(&self.room));
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
    part: Option<Part>,
    kind: Option<String>,
    room: Arc<Room>,
    /// With what each has taken of the room there is.
    gathered: Vec<(Named, Inbound, Share)>,
    length: usize,
    report: Report,
    answers: Vec<Answer>,
}

impl Taking {
    fn new(most: usize, study: Option<String>, room: Arc<Room>) -> Self {
        let (report, answers) = (Report::default(), Vec::new());
        Self { most, study, part: None, kind: None, room, gathered: Vec::new(), length: 0, report, answers }
    }

    async fn found(&mut self, found: Found, request: &LetIn<'_>) {
        match found {
            Found::Head(kind) => {
                self.kind = kind;
                self.part = Some(Part { spool: request.host.inlet.spool(), share: self.room.share() });
            }
            Found::Piece(piece) => {
                if let Some(part) = self.part.take() {
                    self.part = part.and(&piece, self.most).await;
                }
            }
            Found::End => self.ended(request).await,
            Found::Over => {}
        }
    }

    /// A part has come whole.
    async fn ended(&mut self, request: &LetIn<'_>) {
        let whole = match self.part.take() {
            Some(part) => part.spool.end().await.ok().map(|content| (content, part.share)),
            None => None,
        };
        let Some((part, share)) = whole else {
            // What was kept of it is gone: it is not known what it was.
            self.hand_over(request).await;
            self.report.add(Named::default(), dimse::OUT_OF_RESOURCES);
            return;
        };
        self.length += part.len();
        let (study, kind) = (self.study.clone(), self.kind.take());
        let (named, name) =
            part10::looked_into(&part, move |part| Named::of(part, study.as_ref(), kind.as_deref())).await;
        let (name, unreadable) = match name {
            Ok(name) => (Some(name), None),
            Err(why) => (None, Some(why)),
        };
        let facts = facts_of(&request.facts, &named);
        self.gathered.push((named, Inbound { facts, name, unreadable, ..Inbound::new(part) }, share));
        if self.gathered.len() >= TOGETHER || self.length >= TOGETHER_BYTES {
            self.hand_over(request).await;
        }
    }

    /// Keeps what was gathered in one write, and hears what became of each.
    async fn hand_over(&mut self, request: &LetIn<'_>) {
        self.length = 0;
        let (mut named, mut inbounds, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for (name, inbound, share) in self.gathered.drain(..) {
            named.push(name);
            inbounds.push(inbound);
            shares.push(share);
        }
        if inbounds.is_empty() {
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

/// A part as far as it has come.
struct Part {
    spool: Spool,
    /// Of the memory that there is for what comes, until it is kept, refused, or goes to the disk.
    share: Share,
}

impl Part {
    /// With one more piece; nothing where it is too long, or there is no room for it.
    async fn and(mut self, piece: &[u8], most: usize) -> Option<Self> {
        let fits = self.spool.len() + piece.len() as u64 <= most as u64;
        if !fits || (!self.spool.is_apart() && !self.share.take(piece.len())) {
            return None;
        }
        self.spool.write(piece).await.ok()?;
        if self.spool.is_apart() {
            self.share.clear();
        }
        Some(self)
    }
}

impl Named {
    /// What a file calls itself, and the instance that it is; else what is wrong with it, whatever the channel's format.
    fn of(file: &Content, study: Option<&String>, kind: Option<&str>) -> (Self, Result<String, String>) {
        let named = Meta::of(file).map_or_else(
            |_| Self::default(),
            |meta| Self { class: meta.sop_class, instance: meta.sop_instance, syntax: meta.transfer_syntax },
        );
        if kind.is_some_and(|kind| !kind.to_ascii_lowercase().starts_with("application/dicom")) {
            return (named, Err("the part is not `application/dicom`".to_owned()));
        }
        match Header::read(file.reader()) {
            Err(error) => (named, Err(error.to_string())),
            Ok(header) if study.is_some() && header.study.as_ref() != study => {
                (named, Err("it is of another study than the one it was posted to".to_owned()))
            }
            // Some files begin with the names of others: archives go by what the data set says.
            Ok(Header { sop_class, sop_instance, .. }) => {
                let named = Self { class: sop_class, instance: sop_instance.clone(), ..named };
                (named, Ok(sop_instance))
            }
        }
    }
}
