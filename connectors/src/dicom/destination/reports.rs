//! Where an archive's reports come in: over an association that it opens to us, for whoever waits for one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceUserReason, AssociationRJSource,
    AssociationRQ, Pdu, PresentationContextResult, PresentationContextResultReason, UserVariableItem,
};
use tokio::{sync::oneshot, time::Instant};
use tracing::warn;

use crate::{
    dicom::{
        ae::Title,
        asked::{Asked, Asking, NotAsked},
        command::{ECHO, REPORT, VERIFICATION},
        commitment::{self, Report},
        pdu::{self, Came, Kind, Line},
    },
    dimse,
    door::{GREETING, Guest},
};

/// The longest data unit that archives are asked to send.
const MOST: usize = 128 * 1024;

/// An archive that opened an association and says nothing over it.
const IDLE: Duration = Duration::from_mins(1);

/// How long the last words may take.
const PARTING: Duration = Duration::from_secs(2);

const APPLICATION: &str = "1.2.840.10008.3.1.1.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
/// How a report may be written.
const SYNTAXES: [&str; 2] = [IMPLICIT, "1.2.840.10008.1.2.1"];

/// Reports that somebody waits for, by their transactions.
#[derive(Default)]
pub(super) struct Reports(Mutex<HashMap<String, oneshot::Sender<Report>>>);

/// One report that is waited for, until it is dropped.
pub(super) struct Expected {
    among: Arc<Reports>,
    transaction: String,
    pub(super) report: oneshot::Receiver<Report>,
}

impl Reports {
    pub(super) fn expect(self: &Arc<Self>, transaction: &str) -> Expected {
        let (tell, report) = oneshot::channel();
        self.lock().insert(transaction.to_owned(), tell);
        Expected { among: Arc::clone(self), transaction: transaction.to_owned(), report }
    }

    /// Takes what an archive asks: the status that answers it.
    pub(super) fn take(&self, asked: Asked, syntax: &str) -> u16 {
        match asked.command.field() {
            REPORT => match commitment::report(asked.data_set, syntax) {
                Ok(report) => {
                    if let Some(tell) = self.lock().remove(&report.transaction) {
                        // Who has given up waiting asks again.
                        let _ = tell.send(report);
                    }
                    dimse::SUCCESS
                }
                Err(_) => dimse::PROCESSING_FAILURE,
            },
            ECHO => dimse::SUCCESS,
            _ => dimse::UNRECOGNIZED,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Report>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.among.lock().remove(&self.transaction);
    }
}

/// Serves an archive that reports.
pub(super) async fn serve(reports: Arc<Reports>, ours: Title, channel: Arc<str>, guest: Guest) {
    let Guest { wire, peer, seat } = guest;
    let mut line = Line::new(wire, MOST);
    let served = async {
        let asked = match line.next(Instant::now() + GREETING).await {
            Ok(Came::Asked(asked)) => asked,
            Ok(_) => return Err("it did not begin with a greeting".to_owned()),
            // Somebody looked whether the port is open.
            Err(pdu::Broken::Closed) => return Ok(()),
            Err(broken) => return Err(broken.words()),
        };
        seat.busy();
        take_reports(&reports, &ours, &mut line, &asked).await
    };
    if let Err(why) = served.await {
        warn!(%channel, %peer, why, "an association for reports was ended");
        line.abort(Instant::now() + PARTING).await;
    }
}

async fn take_reports(
    reports: &Reports,
    ours: &Title,
    line: &mut Line,
    asked: &AssociationRQ,
) -> Result<(), String> {
    let (answer, syntaxes) = match greet(ours, asked) {
        Ok(agreed) => agreed,
        Err((declined, why)) => {
            let _ = line.send(&Pdu::AssociationRJ(declined), Instant::now() + PARTING).await;
            return Err(why);
        }
    };
    let most = pdu::allowed(&asked.user_variables);
    let words = |broken: pdu::Broken| broken.words();
    line.send(&Pdu::AssociationAC(answer), Instant::now() + GREETING).await.map_err(words)?;
    let mut asking = Asking::default();
    loop {
        let asked = match asking.next(line, Instant::now() + IDLE).await {
            Ok(asked) => asked,
            Err(NotAsked::Release) => {
                let _ = line.send(&Pdu::ReleaseRP, Instant::now() + PARTING).await;
                let _ = line.next(Instant::now() + PARTING).await;
                return Ok(());
            }
            Err(NotAsked::Broken(pdu::Broken::Closed)) => return Ok(()),
            Err(NotAsked::Broken(broken)) => return Err(broken.words()),
        };
        let context = asked.context;
        let Some(syntax) = syntaxes.get(&context) else {
            return Err("it asks under a number that was not agreed on".to_owned());
        };
        let command = asked.command.clone();
        let answer = command.answer(reports.take(asked, syntax), None).written();
        let deadline = Instant::now() + IDLE;
        line.send_values((context, Kind::Command), &answer, most, deadline).await.map_err(words)?;
    }
}

type Agreed = (AssociationAC, HashMap<u8, String>);

/// What is agreed on with who reports: reports, and looking whether we are there.
fn greet(ours: &Title, asked: &AssociationRQ) -> Result<Agreed, (AssociationRJ, String)> {
    use AssociationRJServiceUserReason as Reason;
    let declined = |reason| AssociationRJ {
        result: AssociationRJResult::Permanent,
        source: AssociationRJSource::ServiceUser(reason),
    };
    if asked.called_ae_title.trim() != ours.as_str() {
        let why = format!("it reports to another AE title than `{ours}`");
        return Err((declined(Reason::CalledAETitleNotRecognized), why));
    }
    let mut syntaxes = HashMap::new();
    let results = asked.presentation_contexts.iter().map(|proposed| {
        let class = proposed.abstract_syntax.trim_end_matches(['\0', ' ']);
        let known =
            proposed.transfer_syntaxes.iter().map(|syntax| syntax.trim_end_matches(['\0', ' ']).to_owned());
        let syntax = known.into_iter().find(|syntax| SYNTAXES.contains(&syntax.as_str()));
        let (reason, syntax) = match syntax {
            _ if class != commitment::CLASS && class != VERIFICATION => {
                (PresentationContextResultReason::AbstractSyntaxNotSupported, None)
            }
            None => (PresentationContextResultReason::TransferSyntaxesNotSupported, None),
            agreed => (PresentationContextResultReason::Acceptance, agreed),
        };
        if let Some(syntax) = &syntax {
            syntaxes.insert(proposed.id, syntax.clone());
        }
        let transfer_syntax = syntax.unwrap_or_else(|| IMPLICIT.to_owned());
        PresentationContextResult { id: proposed.id, reason, transfer_syntax }
    });
    let presentation_contexts = results.collect();
    // Who reports is the one that serves, though it opens the association: the roles are as it says.
    let roles = asked.user_variables.iter().filter(|variable| {
        matches!(variable, UserVariableItem::ScuScpRoleSelectionSubItem(class, _) if class.trim_end_matches('\0') == commitment::CLASS)
    });
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: asked.calling_ae_title.clone(),
        called_ae_title: asked.called_ae_title.clone(),
        application_context_name: APPLICATION.to_owned(),
        presentation_contexts,
        user_variables: pdu::about_us(MOST).into_iter().chain(roles.cloned()).collect(),
    };
    Ok((answer, syntaxes))
}
