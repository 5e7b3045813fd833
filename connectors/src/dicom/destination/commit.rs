//! Has the archive say that it keeps what it took (storage commitment), for all that is stored at the same time.

use std::{sync::Arc, time::Duration};

use engine::{Checks, Hindered, Hindrance, OpenError, Opening, SendError};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::{task::JoinSet, time::Instant};

use super::{
    reports::{Expected, Reports, serve},
    send::Sender,
};
use crate::{
    crowd::Crowd,
    dicom::{
        ae::Title,
        asked::{Asking, NotAsked},
        association::{Association, Unanswered},
        commitment::{self, Report, Stored},
        pdu::Broken,
    },
    dimse::{self, Verdict},
    door::Door,
    setting::{Listen, Period},
    tls::{self, Side, Tls},
    together::{Together, Turn},
};

/// So many instances are asked for in one transaction.
const MOST_TOGETHER: usize = 200;

/// So many transactions may be under way.
const AT_ONCE: usize = 2;

/// So many associations for reports may be open.
const MOST_REPORTING: usize = 16;

/// Storage commitment: what the archive took counts as sent only when it has said that it keeps it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Commitment {
    /// How long the archive may take to say so. Then the instance is sent again.
    #[serde(default = "within")]
    pub(super) within: Period,

    /// Where the archive may connect to report, as most do: it must know our AE title at this address. Without it only a
    /// report over the association that asked is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Listen")]
    pub(super) listen: Option<Listen>,

    /// TLS where the archive connects: `certificate`, `key` and, to ask it for its own, `clients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub(super) tls: Option<Tls>,
}

fn within() -> Period {
    Period::seconds(300)
}

impl Commitment {
    pub(super) fn check(&self, checks: &mut Checks<'_>) {
        if self.within.0.is_zero() {
            checks.error("period-too-short", "commitment.within", "no archive could say it");
        }
        if let Some(tls) = &self.tls {
            tls.check(Side::Listens, "commitment.tls", checks);
            if self.listen.is_none() {
                let why = "is for archives that connect: nothing listens without `listen`";
                checks.error("missing-field", "commitment.tls", why);
            }
        }
    }
}

/// What waits for an archive to commit itself.
pub(super) struct Committing {
    within: Duration,
    together: Together<Stored, Told>,
    reports: Arc<Reports>,
    /// Whether reports may come over other associations than the one that asked.
    listens: bool,
    /// Ends when nobody sends here any more.
    _door: JoinSet<()>,
}

/// The transaction in which an instance was committed, or why it was not.
type Told = Result<String, Uncommitted>;

#[derive(Debug, Clone)]
pub(super) enum Uncommitted {
    /// The archive cannot be asked now.
    NotNow(Hindered),
    /// It was asked, and there is no saying.
    Unsaid(Hindered),
    /// It says that it does not keep the instance, for this reason.
    Failed(u16),
}

impl Committing {
    pub(super) async fn open(
        settings: &Commitment,
        ours: &Title,
        keep_alive: Duration,
        opening: &Opening,
    ) -> Result<Self, OpenError> {
        let mut door = JoinSet::new();
        let mut reports = Arc::default();
        if let Some(listen) = settings.listen {
            let failed = |why: String| OpenError::new(format!("cannot listen on {listen}: {why}"));
            let tls = settings.tls.as_ref().map(|tls| tls::Acceptor::new(tls, &opening.root)).transpose();
            let tls = tls.map_err(failed)?;
            let listener = opening.ports.listen(listen.0).await;
            let listener =
                listener.map_err(|error| OpenError::io(format!("cannot listen on {listen}"), error))?;
            // After a reload two hear at the same port for a while: whoever hears a report, it is for whom it may concern.
            let identity = engine::Hash::of(&[b"dicom reports", listen.to_string().as_bytes()]);
            reports = opening.shares.of(identity, Reports::default);
            let crowd = Crowd::new(MOST_REPORTING, MOST_REPORTING, opening.connections.clone());
            let open = Door { listener, tls, crowd, keep_alive };
            let (heard, ours, channel) = (Arc::clone(&reports), ours.clone(), Arc::clone(&opening.channel));
            door.spawn(async move {
                let named = Arc::clone(&channel);
                let serve = move |guest| serve(Arc::clone(&heard), ours.clone(), Arc::clone(&named), guest);
                open.receive(&channel, &engine::Stop::default(), serve).await;
            });
        }
        let (within, listens) = (settings.within.0, settings.listen.is_some());
        Ok(Self { within, together: Together::new(AT_ONCE), reports, listens, _door: door })
    }
}

impl Sender {
    /// Waits until the archive has said that it keeps this instance; gives the name of the transaction.
    pub(super) async fn committed(
        &self,
        committing: &Committing,
        stored: Stored,
        doubts: u32,
    ) -> Result<String, SendError> {
        let name = stored.instance.clone();
        let told = match committing.together.join(stored).await {
            Turn::Told(told) => told,
            Turn::Cut => Err(Uncommitted::Unsaid("asking was cut".into())),
            Turn::Lead(mut lead) => {
                let group = lead.gather(|group, one| group.len() < MOST_TOGETHER && !group.contains(one));
                let answered = self.ask_for(committing, &group).await;
                let told = group.iter().map(|stored| said_of(&stored.instance, &answered));
                lead.tell(told.collect::<Vec<_>>()).unwrap_or_else(|| said_of(&name, &answered))
            }
        };
        told.map_err(|uncommitted| uncommitted.permits(doubts))
    }

    async fn ask_for(&self, committing: &Committing, group: &[Stored]) -> Result<Report, Uncommitted> {
        let deadline = Instant::now() + committing.within;
        let transaction = commitment::transaction();
        let request =
            commitment::request(&transaction, group).map_err(|why| Uncommitted::Unsaid(why.into()))?;
        let expected = committing.reports.expect(&transaction);
        let mut association =
            self.any_for(&commitment::sort(), deadline).await.map_err(Uncommitted::NotNow)?;
        let context =
            association.context(&commitment::sort()).map_err(|_| Uncommitted::NotNow(unspoken().into()))?;
        let named = (commitment::CLASS, commitment::OBJECT);
        let answer =
            association.act(context, named, &request, deadline).await.map_err(|broken| match broken {
                Unanswered::Untouched(why) => Uncommitted::NotNow(why),
                Unanswered::Touched(why) => Uncommitted::Unsaid(why),
            })?;
        let status = answer.status().unwrap_or(dimse::PROCESSING_FAILURE);
        if status != dimse::SUCCESS {
            let why = format!("it answered the request to keep them with {}", dimse::words(status));
            self.keep(association);
            return Err(match dimse::verdict(status) {
                Verdict::NotNow => Uncommitted::NotNow(why.into()),
                _ if is_of_the_archive(status) => Uncommitted::NotNow(why.into()),
                _ => Uncommitted::Unsaid(why.into()),
            });
        }
        self.heard(committing, association, expected, deadline).await
    }

    /// The report, over the association that asked or over another one.
    async fn heard(
        &self,
        committing: &Committing,
        mut association: Association,
        mut expected: Expected,
        deadline: Instant,
    ) -> Result<Report, Uncommitted> {
        let late = || {
            let why = format!("it has not said so within {:?}", committing.within);
            Uncommitted::Unsaid(Hindered::by(Hindrance::NoAnswer, why))
        };
        let (mut asking, mut is_open) = (Asking::default(), true);
        loop {
            tokio::select! {
                biased;
                report = &mut expected.report => {
                    // What came by another one says nothing of this one: half a request may have come over it.
                    if is_open && !asking.has_begun() {
                        self.keep(association);
                    }
                    return report.map_err(|_| late());
                }
                () = tokio::time::sleep_until(deadline) => return Err(late()),
                asked = association.asked(&mut asking, deadline), if is_open => match asked {
                    Ok(asked) => {
                        let (context, command) = (asked.context, asked.command.clone());
                        let status = committing.reports.take(asked, &commitment::sort().syntax);
                        is_open = association.answer_back(context, &command, status, deadline).await.is_ok();
                    }
                    Err(NotAsked::Release | NotAsked::Broken(Broken::Closed)) if committing.listens => is_open = false,
                    Err(NotAsked::Release | NotAsked::Broken(Broken::Closed)) => {
                        let why = "it ended the association before it said so: should it report to `listen`?";
                        return Err(Uncommitted::Unsaid(why.into()));
                    }
                    Err(NotAsked::Broken(Broken::Late)) => return Err(late()),
                    Err(NotAsked::Broken(broken)) => return Err(Uncommitted::Unsaid(broken.into())),
                },
            }
        }
    }
}

/// What a request for commitment may be answered with that has nothing to do with what is asked for.
fn is_of_the_archive(status: u16) -> bool {
    matches!(status, 0x0118 | 0x0122 | 0x0123 | 0x0211 | 0x0213)
}

/// Why the archive cannot be asked at all.
pub(super) fn unspoken() -> String {
    "it does not speak storage commitment: take `commitment` away, or have the archive offer it".to_owned()
}

fn said_of(instance: &str, answered: &Result<Report, Uncommitted>) -> Told {
    let report = answered.as_ref().map_err(Clone::clone)?;
    match report.of.get(instance) {
        Some(Ok(())) => Ok(report.transaction.clone()),
        Some(Err(reason)) => Err(Uncommitted::Failed(*reason)),
        None => Err(Uncommitted::Unsaid("its report does not name the instance".into())),
    }
}

impl Uncommitted {
    /// What it permits. What the archive has lost is sent again, once; one that it loses again it does not want.
    fn permits(self, doubts: u32) -> SendError {
        let of = |why: &str| format!("the archive has taken it, and not said that it keeps it: {why}");
        let reason = match self {
            Self::NotNow(why) => return SendError::not_delivered(why.worded(of)),
            Self::Unsaid(why) => return SendError::unknown(why.worded(of)),
            Self::Failed(reason) => reason,
        };
        let why = format!("the archive has taken it, and does not keep it: {}", dimse::words(reason));
        match reason {
            // No room: another instance fares no better.
            0x0213 => SendError::not_delivered(why),
            dimse::DUPLICATE_TRANSACTION => SendError::unknown(why),
            dimse::PROCESSING_FAILURE | dimse::NO_SUCH_INSTANCE if doubts == 0 => SendError::unknown(why),
            _ => SendError::Refused { why, code: Some(format!("{reason:04X}")), response: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_permits_one_thing() {
        let of = |reason, doubts| Uncommitted::Failed(reason).permits(doubts);
        assert!(matches!(of(0x0213, 0), SendError::NotDelivered { .. }));
        for lost in [0x0110, 0x0112] {
            assert!(matches!(of(lost, 0), SendError::Unknown { .. }));
            assert!(matches!(of(lost, 1), SendError::Refused { code: Some(_), .. }));
        }
        assert!(matches!(of(0x0119, 0), SendError::Refused { code: Some(code), .. } if code == "0119"));
        assert!(matches!(Uncommitted::NotNow(unspoken().into()).permits(3), SendError::NotDelivered { .. }));
    }
}
