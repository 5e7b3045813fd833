//! Whether a sender may come in, and what it may send, in which syntax: agreed once, when an association begins.

use std::collections::HashMap;

use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceUserReason, AssociationRJSource,
    AssociationRQ, PresentationContextProposed, PresentationContextResult, PresentationContextResultReason,
};

use super::{Called, Settings};
use crate::dicom::{ae::Title, command::VERIFICATION, pdu};

/// The only application that DICOM knows.
const APPLICATION: &str = "1.2.840.10008.3.1.1.1";

/// UIDs of the standard begin so; others are private.
const STANDARD: &str = "1.2.840.10008.";

/// Classes of the standard whose instances are stored.
const STORAGE: [&str; 5] = [
    "1.2.840.10008.5.1.4.1.1.",
    "1.2.840.10008.5.1.4.34.",
    "1.2.840.10008.5.1.4.43.",
    "1.2.840.10008.5.1.4.44.",
    "1.2.840.10008.5.1.4.45.",
];

/// Transfer syntaxes of the standard: they are written as they are agreed on, and kept as they come.
const SYNTAXES: &str = "1.2.840.10008.1.2";

const IMPLICIT: &str = "1.2.840.10008.1.2";

/// What was agreed on under one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) class: String,
    pub(super) syntax: String,
}

/// What was agreed on.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) answer: AssociationAC,
    pub(super) contexts: HashMap<u8, Context>,
    /// The longest data unit that the sender takes.
    pub(super) most: usize,
}

impl Settings {
    /// What is agreed on with a sender, or why it is turned away: to tell it, and in words.
    pub(super) fn greet(&self, asked: &AssociationRQ) -> Result<Agreed, (AssociationRJ, String)> {
        use AssociationRJServiceUserReason as Reason;
        if asked.application_context_name != APPLICATION {
            let why = "it asks for an application that is not DICOM's".to_owned();
            return Err((declined(Reason::ApplicationContextNameNotSupported), why));
        }
        if self.called == Called::Own && asked.called_ae_title != self.ae.as_str() {
            let why = format!("it calls `{}`, and we are `{}`", shown(&asked.called_ae_title), self.ae);
            return Err((declined(Reason::CalledAETitleNotRecognized), why));
        }
        let may_send = |title: &Title| title.as_str() == asked.calling_ae_title;
        if !self.senders.is_empty() && !self.senders.iter().any(may_send) {
            let why = format!("`{}` is not among `senders`", shown(&asked.calling_ae_title));
            return Err((declined(Reason::CallingAETitleNotRecognized), why));
        }
        let mut contexts = HashMap::new();
        let results = asked.presentation_contexts.iter().map(|proposed| {
            let agreed = self.agree(proposed);
            if let Ok(context) = &agreed {
                contexts.insert(proposed.id, context.clone());
            }
            result(proposed.id, agreed)
        });
        let presentation_contexts = results.collect();
        let answer = AssociationAC {
            protocol_version: 1,
            calling_ae_title: asked.calling_ae_title.clone(),
            called_ae_title: asked.called_ae_title.clone(),
            application_context_name: APPLICATION.to_owned(),
            presentation_contexts,
            user_variables: pdu::about_us(self.max_pdu.0),
        };
        Ok(Agreed { answer, contexts, most: pdu::allowed(&asked.user_variables) })
    }

    fn agree(
        &self,
        proposed: &PresentationContextProposed,
    ) -> Result<Context, PresentationContextResultReason> {
        let class = proposed.abstract_syntax.trim_end_matches(['\0', ' ']);
        let is_echo = class == VERIFICATION;
        if !is_echo && !self.takes_class(class) {
            return Err(PresentationContextResultReason::AbstractSyntaxNotSupported);
        }
        let mut syntaxes =
            proposed.transfer_syntaxes.iter().map(|syntax| syntax.trim_end_matches(['\0', ' ']));
        let syntax =
            syntaxes.find(|syntax| if is_echo { is_of(syntax, SYNTAXES) } else { self.takes_syntax(syntax) });
        match syntax {
            Some(syntax) => Ok(Context { class: class.to_owned(), syntax: syntax.to_owned() }),
            None => Err(PresentationContextResultReason::TransferSyntaxesNotSupported),
        }
    }

    fn takes_class(&self, class: &str) -> bool {
        if !self.sop_classes.is_empty() {
            return self.sop_classes.iter().any(|taken| taken == class);
        }
        crate::part10::is_uid(class)
            && (!class.starts_with(STANDARD) || STORAGE.iter().any(|beginning| class.starts_with(beginning)))
    }

    fn takes_syntax(&self, syntax: &str) -> bool {
        if self.transfer_syntaxes.is_empty() {
            return is_of(syntax, SYNTAXES);
        }
        self.transfer_syntaxes.iter().any(|taken| taken == syntax)
    }
}

/// Whether this is such a UID, or one beneath it.
fn is_of(uid: &str, top: &str) -> bool {
    uid.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn result(id: u8, agreed: Result<Context, PresentationContextResultReason>) -> PresentationContextResult {
    match agreed {
        Ok(context) => PresentationContextResult {
            id,
            reason: PresentationContextResultReason::Acceptance,
            transfer_syntax: context.syntax,
        },
        // One must stand there, and means nothing.
        Err(reason) => PresentationContextResult { id, reason, transfer_syntax: IMPLICIT.to_owned() },
    }
}

fn declined(reason: AssociationRJServiceUserReason) -> AssociationRJ {
    AssociationRJ { result: AssociationRJResult::Permanent, source: AssociationRJSource::ServiceUser(reason) }
}

/// A title as a log can hold it.
pub(super) fn shown(title: &str) -> String {
    title.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(16).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(more: &serde_json::Value) -> Settings {
        let mut settings = json!({ "listen": "127.0.0.1:0", "ae": "RELAIS" });
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        serde_json::from_value(settings).unwrap()
    }

    fn asked(called: &str, contexts: &[(&str, &[&str])]) -> AssociationRQ {
        let contexts =
            contexts.iter().zip(0_u8..).map(|((class, syntaxes), place)| PresentationContextProposed {
                id: 2 * place + 1,
                abstract_syntax: (*class).to_owned(),
                transfer_syntaxes: syntaxes.iter().map(|syntax| (*syntax).to_owned()).collect(),
            });
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CT".to_owned(),
            called_ae_title: called.to_owned(),
            application_context_name: APPLICATION.to_owned(),
            presentation_contexts: contexts.collect(),
            user_variables: Vec::new(),
        }
    }

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const EXPLICIT: &str = "1.2.840.10008.1.2.1";
    const JPEG: &str = "1.2.840.10008.1.2.4.70";

    #[test]
    fn of_each_class_the_first_syntax_is_agreed_on_that_both_know() {
        let proposed = asked(
            "RELAIS",
            &[
                (VERIFICATION, &[IMPLICIT]),
                (CT, &[JPEG, EXPLICIT]),
                ("1.2.840.10008.5.1.4.1.2.2.1", &[IMPLICIT]),
                (CT, &["1.2.3"]),
            ],
        );
        let agreed = settings(&json!({})).greet(&proposed).unwrap();
        assert_eq!(agreed.contexts.len(), 2);
        assert_eq!(agreed.contexts[&3], Context { class: CT.to_owned(), syntax: JPEG.to_owned() });
        let reasons: Vec<u8> =
            agreed.answer.presentation_contexts.iter().map(|context| context.reason.clone() as u8).collect();
        assert_eq!(reasons, [0, 0, 3, 4]);
        let plain = settings(&json!({ "transfer_syntaxes": [EXPLICIT] })).greet(&proposed).unwrap();
        assert_eq!(plain.contexts[&3].syntax, EXPLICIT);
        let other = settings(&json!({ "sop_classes": ["1.2.3"] })).greet(&proposed).unwrap();
        assert!(!other.contexts.contains_key(&3) && other.contexts.contains_key(&1));
    }

    #[test]
    fn who_is_not_known_or_calls_another_is_turned_away() {
        fn turned_away(more: &serde_json::Value, called: &str) -> Option<String> {
            settings(more).greet(&asked(called, &[])).err().map(|(_, why)| why)
        }
        assert_eq!(turned_away(&json!({}), "RELAIS"), None);
        assert_eq!(turned_away(&json!({}), "PACS").unwrap(), "it calls `PACS`, and we are `RELAIS`");
        assert_eq!(turned_away(&json!({ "called": "any" }), "PACS"), None);
        assert_eq!(
            turned_away(&json!({ "senders": ["MR"] }), "RELAIS").unwrap(),
            "`CT` is not among `senders`"
        );
        assert_eq!(turned_away(&json!({ "senders": ["MR", "CT"] }), "RELAIS"), None);
    }
}
