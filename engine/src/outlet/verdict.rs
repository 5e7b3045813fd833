//! What the end of an attempt means for the next one.

use std::time::{Duration, SystemTime};

use super::Conduct;
use crate::{
    AttemptEnd, DeliveryOutcome, OnNack, QueueMode, Response, SendError, Tally, WhenUnsure, Why, WhyKind,
};

/// Why a delivery without a queue ends with its sender's wait.
pub(super) const TOO_LATE: &str = "it could not be delivered within the sender's wait";

/// So often in a row a delivery may end in doubt and be sent again; then a person decides.
pub(super) const DOUBTS: u32 = 5;

/// Marks a retry that `on_response` asked for; no receiver's code is spelled so.
pub(super) const RETRY: &str = "on_response: retry";

/// How one attempt ended.
pub(super) enum Verdict {
    Sent(Response),
    GivenUp { why: Why, code: Option<String>, response: Option<Response> },
    SetAside { why: Why },
    Waits { pause: Duration, doubt: bool },
    Stops { doubt: bool },
}

impl Verdict {
    /// The same end where nobody waits for another attempt any more.
    pub(super) fn without_another(self) -> Self {
        match self {
            Self::Waits { .. } | Self::Stops { .. } => {
                Self::GivenUp { why: Why::ours(TOO_LATE), code: None, response: None }
            }
            ended => ended,
        }
    }

    /// As it is counted.
    pub(super) fn outcome(&self) -> DeliveryOutcome {
        match self {
            Self::Sent(_) => DeliveryOutcome::Sent,
            Self::GivenUp { .. } => DeliveryOutcome::GivenUp,
            Self::SetAside { .. } => DeliveryOutcome::Unsure,
            Self::Waits { doubt, .. } | Self::Stops { doubt } if *doubt => DeliveryOutcome::Unsure,
            Self::Waits { .. } | Self::Stops { .. } => DeliveryOutcome::Retried,
        }
    }

    pub(super) fn end(&self) -> AttemptEnd {
        match self {
            Self::Sent(response) => AttemptEnd::Sent(response.clone()),
            Self::GivenUp { why, response, .. } => {
                AttemptEnd::GivenUp { why: why.clone(), response: response.clone() }
            }
            Self::SetAside { why } => AttemptEnd::SetAside { why: why.clone() },
            Self::Waits { doubt, .. } | Self::Stops { doubt } => AttemptEnd::Waits { doubt: *doubt },
        }
    }
}

/// Says what an attempt's end means, by what it permits.
pub(super) fn verdict(result: Result<Response, SendError>, tally: &mut Tally, conduct: &Conduct) -> Verdict {
    match result {
        Ok(response) => {
            tally.doubts = 0;
            Verdict::Sent(response)
        }
        Err(error) => failed(error.kind(), error, tally, conduct),
    }
}

fn failed(kind: WhyKind, error: SendError, tally: &mut Tally, conduct: &Conduct) -> Verdict {
    match error {
        SendError::NotDelivered { why, not_before, .. } => {
            tally.doubts = 0;
            if conduct.plan.queue == QueueMode::Never {
                return counted(Why::new(kind, why), None, tally, conduct);
            }
            waits(conduct.pause(tally.attempts, not_before), false, tally)
        }
        SendError::Unknown { why, .. } => in_doubt(Why::new(kind, why), tally, conduct),
        SendError::Refused { why, code, response } => {
            tally.doubts = 0;
            let response = response.map(|body| Response { body: Some(body), ..Response::default() });
            refused(Why::new(kind, why), code, response, (tally, conduct))
        }
    }
}

fn refused(
    why: Why,
    code: Option<String>,
    response: Option<Response>,
    (tally, conduct): (&mut Tally, &Conduct),
) -> Verdict {
    let meaning =
        if code.as_deref() == Some(RETRY) { OnNack::Retry } else { conduct.on_nack(code.as_deref()) };
    match meaning {
        OnNack::GiveUp => Verdict::GivenUp { why, code, response },
        OnNack::Retry => counted(why, response, tally, conduct),
        OnNack::Stop => {
            tally.stopped = true;
            Verdict::Stops { doubt: false }
        }
    }
}

fn in_doubt(why: Why, tally: &mut Tally, conduct: &Conduct) -> Verdict {
    tally.doubts += 1;
    match conduct.when_unsure() {
        WhenUnsure::Hold => Verdict::SetAside { why },
        WhenUnsure::Resend if tally.doubts < DOUBTS => match counted(why, None, tally, conduct) {
            // The first doubt is often a connection that went stale: the next attempt starts at once.
            Verdict::Waits { .. } if tally.doubts == 1 => {
                tally.not_before = None;
                Verdict::Waits { pause: Duration::ZERO, doubt: true }
            }
            Verdict::Waits { pause, .. } => Verdict::Waits { pause, doubt: true },
            ended => ended,
        },
        WhenUnsure::Resend | WhenUnsure::Stop => {
            tally.stopped = true;
            Verdict::Stops { doubt: true }
        }
    }
}

/// One more attempt that counts against the limits.
fn counted(why: Why, response: Option<Response>, tally: &mut Tally, conduct: &Conduct) -> Verdict {
    tally.counted += 1;
    let only_once = conduct.plan.queue == QueueMode::Never && conduct.plan.retry.attempts.is_none();
    if only_once || conduct.is_exhausted(tally) {
        return Verdict::GivenUp { why, code: None, response };
    }
    let pause = conduct.pause(tally.counted, None);
    tally.spent_ms += pause.as_millis() as u64;
    waits(pause, false, tally)
}

fn waits(pause: Duration, doubt: bool, tally: &mut Tally) -> Verdict {
    tally.not_before = Some(SystemTime::now() + pause);
    Verdict::Waits { pause, doubt }
}
