//! The letter that is made of a message: its head, its text, the message beside it.

use engine::{Outbound, SendError};
use lettre::{
    Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::settings::Settings;
use crate::web::{content::usual_type, headers::Text};

/// A letter as it goes on the wire, and between whom.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) bytes: Vec<u8>,
}

/// Reads an address: `a@b`, or `"A B" <a@b>`. Mail servers are only sure to take those in ASCII.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, ()> {
    let mailbox: Mailbox = text.trim().parse().map_err(drop)?;
    if mailbox.email.to_string().is_ascii() { Ok(mailbox) } else { Err(()) }
}

/// Makes the letter, the same at each attempt but for its date.
pub(super) fn letter(settings: &Settings, outbound: &Outbound) -> Result<Letter, SendError> {
    let from = address("from", &settings.from, outbound)?;
    let to = addresses("to", &settings.to, outbound)?;
    let cc = addresses("cc", &settings.cc, outbound)?;
    let subject = one_line(outbound.text("subject", &settings.subject.0));
    let identity = format!("<{}@{}>", outbound.effect, from.email.domain());
    let mut head = Message::builder().from(from.clone()).subject(subject).message_id(Some(identity));
    head = to.iter().cloned().fold(head, lettre::message::MessageBuilder::to);
    head = cc.iter().cloned().fold(head, lettre::message::MessageBuilder::cc);
    let text = text(settings, outbound)?;
    let made = match &settings.attach {
        None => head.singlepart(SinglePart::plain(text)),
        Some(name) => {
            let name = one_line(outbound.text("attach", &name.0));
            let body = outbound.body.whole()?.to_vec();
            let kind = ContentType::parse(usual_type(&body)).unwrap_or(ContentType::TEXT_PLAIN);
            let file = Attachment::new(name).body(body, kind);
            head.multipart(MultiPart::mixed().singlepart(SinglePart::plain(text)).singlepart(file))
        }
    };
    let mut made = made.map_err(|_| SendError::refused("no letter can be made of it"))?;
    // Nobody's holiday notice is to answer a machine.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    made.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
    Ok(Letter {
        from: from.email.to_string(),
        to: to.iter().chain(&cc).map(|mailbox| mailbox.email.to_string()).collect(),
        bytes: made.formatted(),
    })
}

fn text(settings: &Settings, outbound: &Outbound) -> Result<String, SendError> {
    match (&settings.body, &settings.attach) {
        (Some(text), _) => Ok(outbound.text("body", &text.0).to_owned()),
        (None, Some(_)) => Ok(String::new()),
        (None, None) => {
            let body = outbound.body.whole()?;
            let text = std::str::from_utf8(&body);
            // HL7 ends its lines as no mail program does.
            text.map(|text| text.replace("\r\n", "\n").replace('\r', "\n")).map_err(|_| {
                SendError::refused("the message is no UTF-8, and cannot be the text of a letter; `attach` it")
            })
        }
    }
}

fn addresses(list: &str, texts: &[Text], outbound: &Outbound) -> Result<Vec<Mailbox>, SendError> {
    let each = texts.iter().enumerate();
    each.map(|(number, text)| address(&format!("{list}.{number}"), text, outbound)).collect()
}

fn address(at: &str, text: &Text, outbound: &Outbound) -> Result<Mailbox, SendError> {
    mailbox(outbound.text(at, &text.0))
        .map_err(|()| SendError::refused(format!("`{at}` became no address of mail")))
}

/// A head has one line for each thing: what a message brings cannot begin another.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!(
            mailbox("\"Labo, de garde\" <labo@example.org>").unwrap().email.to_string(),
            "labo@example.org"
        );
        for wrong in ["", "labo", "labo@", "a@b\r\nRCPT TO:<c@d>", "é@example.org"] {
            assert!(mailbox(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_a_message_brings_begins_no_line_of_the_head() {
        assert_eq!(one_line("a\r\nBcc: x@example.org"), "a  Bcc: x@example.org");
    }
}
