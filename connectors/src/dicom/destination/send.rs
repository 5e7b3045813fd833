//! One attempt at sending one instance.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dicom_ul::pdu::PresentationContextResultReason;
use engine::{Content, Destination, Facts, Hindered, NotWhole, Outbound, Response, SendError};
use tokio::time::Instant;

use super::{
    OutOfResources, Settings,
    commit::{Committing, unspoken},
};
use crate::{
    dicom::{
        association::{Association, Calling, Sort, Unanswered},
        command::Command,
        commitment::{self, Stored},
    },
    dimse::{self, Verdict},
    part10::{self, Meta},
};

/// So many sorts can be proposed for one association.
const MOST_SORTS: usize = 127;

/// So many associations are kept for the next instances.
const MOST_KEPT: usize = 16;

/// How long the end of an association may take.
const PARTING: Duration = Duration::from_secs(1);

/// Sends instances to one archive.
pub(super) struct Sender {
    calling: Calling,
    full: OutOfResources,
    timeout: Duration,
    idle: Duration,
    /// Associations that nobody uses now, the one used last at the end.
    kept: Mutex<Vec<Association>>,
    /// The sorts that were sent lately, the last one at the end: a new association is for all of them.
    sorts: Mutex<Vec<Sort>>,
    /// Where the archive is to say that it keeps what it took.
    committing: Option<Committing>,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let deadline = Instant::now() + self.timeout;
        let file = &outbound.body;
        let meta = Meta::named_within(file).await?;
        if !part10::is_uid(&meta.sop_class) || !part10::is_uid(&meta.sop_instance) {
            let why = "its meta information names no SOP class (0002,0002) or no instance (0002,0003)";
            return Err(SendError::refused(why));
        }
        let sort = Sort::of(&meta);
        let mut data_set = file.slice(meta.data_set as u64..file.len() as u64);
        if data_set.len() % 2 == 1 {
            // What goes over an association has an even length.
            let even = Content::of([data_set, Bytes::from_static(&[0]).into()]);
            data_set = even.map_err(NotWhole::from)?;
        }
        let (association, answered) = self.store(&sort, &meta, &data_set, deadline).await?;
        let judged = judge(&answered, self.full, outbound.doubts);
        self.keep(association);
        let (Some(committing), Ok(mut response)) = (&self.committing, judged.clone()) else { return judged };
        let stored = Stored { class: meta.sop_class, instance: meta.sop_instance };
        let transaction = self.committed(committing, stored, outbound.doubts).await?;
        response.facts.insert("committed".to_owned(), transaction.into());
        Ok(response)
    }
}

impl Sender {
    pub(super) fn new(calling: Calling, settings: &Settings, committing: Option<Committing>) -> Self {
        let Settings { timeout, idle, out_of_resources: full, .. } = *settings;
        let (timeout, idle) = (timeout.0, idle.0);
        let (kept, sorts) = (Mutex::default(), Mutex::default());
        Self { calling, full, timeout, idle, kept, sorts, committing }
    }

    /// Asks over a kept association, else over a new one. A kept one that took nothing is replaced.
    async fn store(
        &self,
        sort: &Sort,
        meta: &Meta,
        data_set: &Content,
        deadline: Instant,
    ) -> Result<(Association, Command), SendError> {
        while let Some(mut association) = self.take(sort).await {
            let context = match self.agreed(&association, sort) {
                Ok(context) => context,
                Err(error) => {
                    self.keep(association);
                    return Err(error);
                }
            };
            match association.store(context, meta, data_set, deadline).await {
                Ok(answer) => return Ok((association, answer)),
                Err(Unanswered::Touched(why)) => return Err(SendError::unknown(why)),
                Err(Unanswered::Untouched(_)) => {}
            }
        }
        let opened = self.calling.open(&self.proposed(sort), deadline).await;
        let mut association = opened.map_err(SendError::not_delivered)?;
        let context = match self.agreed(&association, sort) {
            Ok(context) => context,
            Err(error) => {
                self.keep(association);
                return Err(error);
            }
        };
        match association.store(context, meta, data_set, deadline).await {
            Ok(answer) => Ok((association, answer)),
            Err(Unanswered::Touched(why)) => Err(SendError::unknown(why)),
            Err(Unanswered::Untouched(why)) => Err(SendError::not_delivered(why)),
        }
    }

    /// Under which number instances of this sort go. An archive that is to commit itself and does not speak of it gets none.
    fn agreed(&self, association: &Association, sort: &Sort) -> Result<u8, SendError> {
        if self.committing.is_some() && association.context(&commitment::sort()).is_err() {
            return Err(SendError::not_delivered(unspoken()));
        }
        association.context(sort).map_err(|reason| not_agreed(sort, &reason))
    }

    /// An association on which this may be asked: a kept one, else a new one.
    pub(super) async fn any_for(&self, sort: &Sort, deadline: Instant) -> Result<Association, Hindered> {
        match self.take(sort).await {
            Some(association) => Ok(association),
            None => self.calling.open(&self.proposed(sort), deadline).await,
        }
    }

    /// A kept association that was asked for this sort. Those that are old are ended.
    async fn take(&self, sort: &Sort) -> Option<Association> {
        let (found, old) = {
            let mut kept = self.lock();
            let all = std::mem::take(&mut *kept);
            let (usable, old): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|association| association.is_usable(self.idle));
            *kept = usable;
            let place = kept.iter().rposition(|association| association.knows(sort));
            (place.map(|place| kept.remove(place)), old)
        };
        for association in old {
            association.release(Instant::now() + PARTING).await;
        }
        found
    }

    pub(super) fn keep(&self, association: Association) {
        let mut kept = self.lock();
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(association);
    }

    /// What a new association is for: this sort, and those that were sent lately.
    fn proposed(&self, sort: &Sort) -> Vec<Sort> {
        let mut sorts = self.sorts.lock().unwrap_or_else(PoisonError::into_inner);
        sorts.retain(|known| known != sort);
        if sorts.len() >= MOST_SORTS {
            sorts.remove(0);
        }
        sorts.push(sort.clone());
        let mut proposed = sorts.clone();
        if self.committing.is_some() && *sort != commitment::sort() {
            proposed.retain(|known| *known != commitment::sort());
            proposed.push(commitment::sort());
        }
        proposed
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Association>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other side does not take instances of this sort.
fn not_agreed(sort: &Sort, reason: &PresentationContextResultReason) -> SendError {
    let (code, why) = match reason {
        PresentationContextResultReason::TransferSyntaxesNotSupported => (
            "C122",
            format!("the archive does not take SOP class {} in transfer syntax {}", sort.class, sort.syntax),
        ),
        PresentationContextResultReason::AbstractSyntaxNotSupported => {
            ("0122", format!("the archive does not take SOP class {}", sort.class))
        }
        other => ("0122", format!("the archive does not take SOP class {} ({other})", sort.class)),
    };
    SendError::Refused { why, code: Some(code.to_owned()), response: None }
}

/// What a status permits.
fn judge(answer: &Command, full: OutOfResources, doubts: u32) -> Result<Response, SendError> {
    let Some(status) = answer.status() else {
        return Err(SendError::unknown("the archive answered without a status"));
    };
    let said = dimse::words(status);
    match dimse::verdict(status) {
        // What is in doubt was sent before: that the archive has it is what we wanted to know.
        _ if status == dimse::DUPLICATE && doubts > 0 => Ok(response(&said)),
        Verdict::Stored => Ok(response(&said)),
        Verdict::NotNow if full == OutOfResources::Wait => {
            Err(SendError::not_delivered(format!("the archive answered {said}")))
        }
        Verdict::NotNow | Verdict::Refused => Err(SendError::Refused {
            why: format!("the archive answered {said}"),
            code: Some(format!("{status:04X}")),
            response: None,
        }),
    }
}

fn response(status: &str) -> Response {
    let mut facts = Facts::new();
    facts.insert("status".to_owned(), status.into());
    Response { body: None, facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, doubts: u32) -> Result<Response, SendError> {
        judge(&Command::store(1, "1.2", "1.3").answer(status, None), OutOfResources::Wait, doubts)
    }

    #[test]
    fn each_status_permits_what_its_group_says() {
        assert!(judged(0x0000, 0).is_ok() && judged(0xB007, 0).is_ok());
        assert!(matches!(judged(0xA700, 0), Err(SendError::NotDelivered { .. })));
        assert!(
            matches!(judged(0xA900, 0), Err(SendError::Refused { code: Some(code), .. }) if code == "A900")
        );
        assert!(matches!(judged(0x0111, 0), Err(SendError::Refused { .. })));
        let full = Command::store(1, "1.2", "1.3").answer(0xA700, None);
        assert!(matches!(judge(&full, OutOfResources::Refuse, 0), Err(SendError::Refused { .. })));
        assert!(judged(0x0111, 1).is_ok(), "it came in the attempt before");
    }
}
