//! Instances that are ready at the same time, in one request: each delivery hears what the answer says of its own.

use engine::{Content, SendError};
use hyper::{HeaderMap, StatusCode, header::HeaderName};
use tokio::time::{Instant, timeout_at};

use super::send::Sender;
use crate::{
    dicomweb::answer::{self, Told},
    together::{Together, Turn},
    web::{
        Answer, AnswerBody,
        meaning::{self, Asked, Meaning},
    },
};

/// So many requests of several may be under way: while one is answered, the next gathers.
const AT_ONCE: usize = 2;

/// Which trace a request belongs to is no reason to send two.
const TRACE: HeaderName = HeaderName::from_static("traceparent");

/// What may go in one request, and what waits for it.
pub(super) struct Grouping {
    most: usize,
    most_bytes: usize,
    together: Together<Ready, Heard>,
}

/// An instance that is ready to be sent.
pub(super) struct Ready {
    pub(super) instance: String,
    pub(super) file: Content,
    pub(super) headers: HeaderMap,
}

/// What came back for one of a group.
enum Heard {
    Answer(Answer),
    /// The answer says nothing of it: whether the server cannot read it or lost its name, it may say of it alone.
    Nothing,
    Failed(SendError),
}

impl Grouping {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, together: Together::new(AT_ONCE) }
    }

    /// Whether one more may go with these: not two of one name, nor with other headers.
    fn fits(&self, group: &[Ready], one: &Ready) -> bool {
        let bytes: usize = group.iter().map(|ready| ready.file.len()).sum();
        group.len() < self.most
            && bytes.saturating_add(one.file.len()) <= self.most_bytes
            && group.iter().all(|ready| ready.instance != one.instance)
            && group.first().is_none_or(|first| are_alike(&first.headers, &one.headers))
    }
}

impl Sender {
    /// Sends with whatever else is ready. `None`: it is to be sent by itself.
    pub(super) async fn with_others(
        &self,
        grouping: &Grouping,
        ready: Ready,
    ) -> Result<Option<Answer>, SendError> {
        // Its turn comes at the latest when those before it have had theirs.
        let deadline = self.deadline();
        let deadline = deadline + deadline.duration_since(Instant::now());
        let turn = timeout_at(deadline, grouping.together.join(ready)).await;
        let heard = match turn.unwrap_or(Turn::Cut) {
            Turn::Told(heard) => heard,
            Turn::Cut => Heard::Failed(SendError::unknown("the request that it was to go with was cut")),
            Turn::Lead(mut lead) => {
                let group = lead.gather(|group, one| grouping.fits(group, one));
                let deadline = self.deadline();
                let answered = self.ask(&group, deadline).await;
                let is_alone = group.len() == 1;
                let heard = group.iter().map(|ready| heard(&answered, &ready.instance, is_alone));
                lead.tell(heard.collect::<Vec<_>>()).expect("the group has at least its own")
            }
        };
        match heard {
            Heard::Answer(answer) => Ok(Some(answer)),
            Heard::Nothing => Ok(None),
            Heard::Failed(error) => Err(error),
        }
    }
}

/// What an answer to several means for one of them. A request that was cut leaves each in doubt by itself.
fn heard(answered: &Result<Answer, SendError>, instance: &str, is_alone: bool) -> Heard {
    let answer = match answered {
        Ok(answer) => answer,
        Err(SendError::Refused { .. }) if !is_alone => return Heard::Nothing,
        Err(error) => return Heard::Failed(error.clone()),
    };
    let is_named = match &answer.body {
        AnswerBody::Whole(body) => answer::told_of(body, instance) != Told::Unnamed,
        AnswerBody::Long(_) | AnswerBody::Cut(_) => false,
    };
    if is_alone || is_named || is_of_all(answer.status) {
        return Heard::Answer(answer.clone());
    }
    Heard::Nothing
}

/// Whether a status has nothing to do with what was sent, or leaves all of it in doubt.
fn is_of_all(status: StatusCode) -> bool {
    !matches!(meaning::meaning(status, Asked::OfThisMessage), Meaning::Refused)
}

fn are_alike(one: &HeaderMap, other: &HeaderMap) -> bool {
    let of = |headers: &HeaderMap| {
        let mut headers = headers.clone();
        headers.remove(TRACE);
        headers
    };
    of(one) == of(other)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn ready(instance: &str, length: usize) -> Ready {
        let file = Bytes::from(vec![0; length]).into();
        Ready { instance: instance.to_owned(), file, headers: HeaderMap::new() }
    }

    fn answered(status: u16, body: &'static str) -> Answer {
        let body = AnswerBody::Whole(Bytes::from_static(body.as_bytes()));
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body }
    }

    #[test]
    fn a_group_has_bounds_and_one_of_each_name_and_one_kind_of_headers() {
        let grouping = Grouping::new(3, 100);
        let group = [ready("1", 40)];
        assert!(grouping.fits(&group, &ready("2", 60)));
        assert!(!grouping.fits(&group, &ready("2", 61)) && !grouping.fits(&group, &ready("1", 1)));
        let mut other = ready("2", 1);
        other.headers.insert(TRACE, "00-1".parse().unwrap());
        assert!(grouping.fits(&group, &other));
        other.headers.insert("x-ward", "7".parse().unwrap());
        assert!(!grouping.fits(&group, &other));
        assert!(!grouping.fits(&["1", "2", "3"].map(|name| ready(name, 1)), &ready("4", 1)));
    }

    #[test]
    fn each_of_a_group_hears_its_own() {
        let some = Ok(answered(202, r#"{"00081198":{"Value":[{"00081155":{"Value":["1"]}}]}}"#));
        assert!(matches!(heard(&some, "1", false), Heard::Answer(_)));
        assert!(matches!(heard(&some, "2", false), Heard::Nothing));
        let nameless = Ok(answered(409, r#"{"00081198":{"Value":[{"00081197":{"Value":[272]}}]}}"#));
        assert!(matches!(heard(&nameless, "1", false), Heard::Nothing), "it may be of any of them");
        assert!(matches!(heard(&nameless, "1", true), Heard::Answer(_)));
        for of_all in [503, 401, 500] {
            assert!(matches!(heard(&Ok(answered(of_all, "")), "1", false), Heard::Answer(_)), "{of_all}");
        }
        let cut = Err(SendError::unknown("cut"));
        assert!(matches!(heard(&cut, "1", false), Heard::Failed(SendError::Unknown { .. })));
    }
}
