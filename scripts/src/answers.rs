//! Code that looks at what came back: `on_response` and `reply: { script: … }`.

use bytes::Bytes;
use engine::{Answered, Ended, Facts, Halt, Judged, Response, SendError};
use rhai::{Blob, Dynamic, Map};

use crate::{
    code::Code,
    ending::Stopped,
    given::{Given, answer},
    part,
    step::{self, Action, Step},
};

/// `response`: `outcome`, `body`, `facts`, and `why` and `code` where it did not work.
pub(crate) fn response(result: Result<&Response, &SendError>) -> Dynamic {
    let mut map = match result {
        Ok(response) => of_response(response),
        Err(SendError::Refused { response, .. }) => answered(response.as_ref(), &Facts::new()),
        Err(_) => answered(None, &Facts::new()),
    };
    let (outcome, why, code) = match result {
        Ok(_) => ("sent", None, None),
        Err(SendError::NotDelivered { why, .. }) => ("not_delivered", Some(why), None),
        Err(SendError::Unknown { why, .. }) => ("unknown", Some(why), None),
        Err(SendError::Refused { why, code, .. }) => ("refused", Some(why), code.as_ref()),
    };
    let text = |text: Option<&String>| text.map_or(Dynamic::UNIT, |text| text.as_str().into());
    map.insert("outcome".into(), outcome.into());
    map.insert("why".into(), text(why));
    map.insert("code".into(), text(code));
    Dynamic::from_map(map)
}

/// `ended`: for each delivery its `destination`, `state` and `response`.
pub(crate) fn ended(ended: &[Ended]) -> Dynamic {
    let delivery = |one: &Ended| {
        let response = one.response.as_ref().map_or(Dynamic::UNIT, |response| of_response(response).into());
        Dynamic::from_map(Map::from([
            ("destination".into(), one.destination.as_str().into()),
            ("state".into(), one.state.into()),
            ("response".into(), response),
        ]))
    };
    Dynamic::from_array(ended.iter().map(delivery).collect())
}

fn of_response(response: &Response) -> Map {
    answered(response.body.as_ref(), &response.facts)
}

fn answered(body: Option<&Bytes>, facts: &Facts) -> Map {
    let body = body.and_then(|body| std::str::from_utf8(body).ok()).map(str::to_owned);
    answer(&Answered { body, facts: facts.clone() })
}

/// Runs the steps on a response until one has an opinion.
pub(crate) fn judge(steps: &[Step], given: &Given<'_>) -> Result<Option<Judged>, Halt> {
    for step in steps {
        let Action::Script { code, .. } = &step.action else { continue };
        let scope = given.scope(code.reads);
        match scope.and_then(|mut scope| code.run(given.engine, &mut scope)) {
            Ok(_) => {}
            Err(Stopped::Sent) => return Ok(Some(Judged::Sent)),
            Err(Stopped::Retry(why)) => return Ok(Some(Judged::Retry(why))),
            Err(Stopped::Refuse(why, _)) => return Ok(Some(Judged::Refused(why))),
            Err(stopped) => return Err(step.halt(stopped)),
        }
    }
    Ok(None)
}

/// Runs the script that words the answer to a sender: a message, JSON, text or bytes.
pub(crate) fn reply(code: &Code, given: &Given<'_>) -> Result<Bytes, Halt> {
    let scope = given.scope(code.reads);
    let worded = scope.and_then(|mut scope| code.run(given.engine, &mut scope)).and_then(|value| {
        let value = match value.try_cast_result::<Blob>() {
            Ok(bytes) => return Ok(bytes.into()),
            Err(value) => value,
        };
        let text = part::for_text(&value).map_err(|why| code.misfit(why))?;
        given.msg.charset.encode(&text).map_err(|lacks| code.misfit(lacks.to_string()))
    });
    worded.map_err(|stopped| step::halt("the reply's script", stopped))
}
