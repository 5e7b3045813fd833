//! How the body of an answer is taken: gathered up to a length, or piece by piece as it comes.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{HeaderMap, StatusCode, body::Incoming, header::CONTENT_ENCODING, http::response};
use tokio::time::{Instant, timeout_at};

use super::link::{AnswerBody, gather, unpacked};

/// Takes what a server answers with success, piece by piece.
#[async_trait]
pub(crate) trait Sink: Send {
    /// An answer begins: it is the only one that is taken.
    fn begin(&mut self, headers: &HeaderMap);

    /// Takes a piece; the words say why no more is wanted.
    async fn take(&mut self, piece: Bytes) -> Result<(), String>;
}

/// What becomes of the body of an answer.
pub(crate) struct Taking<'t> {
    most: usize,
    sink: Option<&'t mut dyn Sink>,
}

impl<'t> Taking<'t> {
    /// Gathers so many bytes at most.
    pub(crate) fn most(most: usize) -> Self {
        Self { most, sink: None }
    }

    /// Passes on what comes with success and is not packed; of all else gathers so many bytes at most.
    pub(crate) fn into(sink: &'t mut dyn Sink, most: usize) -> Self {
        Self { most, sink: Some(sink) }
    }

    pub(super) async fn take(
        &mut self,
        head: &response::Parts,
        body: Incoming,
        deadline: Instant,
    ) -> AnswerBody {
        let is_plain = head.headers.get(CONTENT_ENCODING).is_none_or(|packed| packed == "identity");
        if head.status == StatusCode::OK
            && is_plain
            && let Some(sink) = &mut self.sink
        {
            sink.begin(&head.headers);
            return pass_on(body, *sink, deadline).await;
        }
        match gather(body, self.most, deadline).await {
            AnswerBody::Whole(body) => unpacked(&head.headers, body, self.most),
            not_whole => not_whole,
        }
    }
}

async fn pass_on(mut body: Incoming, sink: &mut dyn Sink, deadline: Instant) -> AnswerBody {
    loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => return AnswerBody::Whole(Bytes::new()),
            Ok(Some(Ok(frame))) => {
                let Ok(piece) = frame.into_data() else { continue };
                if let Err(why) = sink.take(piece).await {
                    return AnswerBody::Cut(why);
                }
            }
            Ok(Some(Err(_))) => return AnswerBody::Cut("the server hung up within its answer".to_owned()),
            Err(_) => return AnswerBody::Cut("the answer did not come to its end in time".to_owned()),
        }
    }
}
