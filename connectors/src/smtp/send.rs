//! One attempt at one letter, on a connection of its own, and what the server's word at each stage means.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use engine::{Connections, Destination, Facts, Hindered, Hindrance, Outbound, Response, SendError};
use serde_json::json;
use tokio::time::{Duration, timeout};

use super::{
    dialogue::{Dialogue, Reply, stuffed},
    letter::{Letter, letter},
    settings::{Account, Encryption, Settings},
};
use crate::{
    tls::Connector,
    watched::watched,
    wire::{self, Wire},
};

/// How long a server that is only tried may take.
const TRY: Duration = Duration::from_secs(5);

/// A connection is quiet for no longer than an attempt lasts.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Hands letters to one mail server.
pub(super) struct Sender {
    pub(super) settings: Settings,
    pub(super) tls: Option<Connector>,
    /// Where its connections are shown.
    pub(super) shown: Connections,
}

/// Why a server did not take a letter.
enum Stopped {
    /// The way to it, or the server as a whole.
    Way(Hindered),
    /// Its word about this letter.
    Word(&'static str, Reply),
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let letter = letter(&self.settings, outbound)?;
        // A sender or a receiver that stands in the file is the same for every message: then it is no fault of this one.
        let names = ["from", "to.", "cc."];
        let is_own = outbound.texts.keys().any(|at| names.iter().any(|name| at.starts_with(name)));
        let limit = self.settings.timeout.0;
        let offered = timeout(limit, self.offer(&letter)).await;
        let mut dialogue = match offered
            .unwrap_or_else(|_| Err(Stopped::Way(late(format!("no answer within {limit:?}")))))
        {
            Ok(dialogue) => dialogue,
            Err(stopped) => return Err(meaning(stopped, is_own)),
        };
        // From here on the server may have it, whatever we hear.
        let taken = timeout(limit, dialogue.say(".")).await;
        let reply = match taken {
            Err(_) => {
                let why = format!("no answer within {limit:?} after the letter");
                return Err(SendError::unknown(late(why)));
            }
            Ok(Err(why)) => return Err(SendError::unknown(format!("after the letter {why}"))),
            Ok(Ok(reply)) => reply,
        };
        if !reply.is_positive() {
            return Err(meaning(Stopped::Word("the letter", reply), true));
        }
        // It has the letter: how it says goodbye changes nothing.
        let _ = timeout(Duration::from_secs(1), dialogue.say("QUIT")).await;
        let facts = Facts::from_iter([("status".to_owned(), json!(reply.code))]);
        Ok(Response { body: Some(Bytes::from(reply.text())), facts })
    }
}

impl Sender {
    /// Tries whether the server is there and lets us in.
    pub(super) async fn reach(&self) -> Result<(), String> {
        let server = &self.settings.server;
        let tried = async {
            let mut dialogue = self.call().await?;
            let _ = dialogue.say("QUIT").await;
            Ok::<(), String>(())
        };
        let tried = timeout(TRY, tried).await;
        tried.unwrap_or_else(|_| Err(format!("cannot connect to {server}: no answer within {TRY:?}")))
    }

    /// Says everything but the dot that ends the letter: until then the server has nothing.
    async fn offer(&self, letter: &Letter) -> Result<Dialogue<Wire>, Stopped> {
        let mut dialogue = self.call().await.map_err(Stopped::Way)?;
        let from = format!("MAIL FROM:<{}>", letter.from);
        expect(&mut dialogue, "the sender", &from).await?;
        for address in &letter.to {
            expect(&mut dialogue, "a receiver", &format!("RCPT TO:<{address}>")).await?;
        }
        expect(&mut dialogue, "the letter", "DATA").await?;
        dialogue.write(&stuffed(&letter.bytes)).await.map_err(|why| Stopped::Way(why.into()))?;
        Ok(dialogue)
    }

    /// Connects, greets, and shows who we are.
    async fn call(&self) -> Result<Dialogue<Wire>, Hindered> {
        let server = &self.settings.server;
        let failed = |why: String| wire::cannot_connect(server, why);
        let unreached = |why: Hindered| wire::cannot_connect(server, why);
        let stream = wire::connect(server, KEEP_ALIVE).await.map_err(unreached)?;
        let name = self.settings.hello.clone().unwrap_or_else(|| match stream.local_addr() {
            Ok(address) if address.is_ipv6() => format!("[IPv6:{}]", address.ip()),
            Ok(address) => format!("[{}]", address.ip()),
            Err(_) => "localhost".to_owned(),
        });
        let wire: Wire = match (&self.tls, self.settings.encryption) {
            (Some(tls), Encryption::Tls) => {
                Box::new(tls.connect(stream, &server.host).await.map_err(unreached)?)
            }
            (Some(tls), _) => {
                let mut plain = Dialogue::new(stream);
                accepted("its greeting", plain.reply().await.map_err(failed)?)?;
                let hello =
                    accepted("our greeting", plain.say(&format!("EHLO {name}")).await.map_err(failed)?)?;
                if hello.offers("STARTTLS").is_none() {
                    return Err(Hindered::by(Hindrance::Tls, format!("{server} offers no TLS (STARTTLS)")));
                }
                accepted("STARTTLS", plain.say("STARTTLS").await.map_err(failed)?)?;
                let stream = plain.into_stream().map_err(failed)?;
                Box::new(tls.connect(stream, &server.host).await.map_err(unreached)?)
            }
            (None, _) => Box::new(stream),
        };
        let mut dialogue = Dialogue::new(watched(wire, &self.shown));
        if self.tls.is_none() || self.settings.encryption == Encryption::Tls {
            accepted("its greeting", dialogue.reply().await.map_err(failed)?)?;
        }
        let hello = accepted("our greeting", dialogue.say(&format!("EHLO {name}")).await.map_err(failed)?)?;
        if let Some(account) = &self.settings.auth {
            sign_in(&mut dialogue, account, &hello).await?;
        }
        Ok(dialogue)
    }
}

async fn expect(dialogue: &mut Dialogue<Wire>, what: &'static str, line: &str) -> Result<(), Stopped> {
    let reply = dialogue.say(line).await.map_err(|why| Stopped::Way(why.into()))?;
    if reply.is_positive() { Ok(()) } else { Err(Stopped::Word(what, reply)) }
}

fn accepted(what: &str, reply: Reply) -> Result<Reply, Hindered> {
    if reply.is_positive() {
        Ok(reply)
    } else {
        let by = hindrance(reply.code);
        Err(Hindered { words: format!("the mail server refused {what}: {}", reply.short()), by })
    }
}

fn late(why: String) -> Hindered {
    Hindered::by(Hindrance::NoAnswer, why)
}

/// What a mail server says by a code that keeps it from taking any letter.
fn hindrance(code: u16) -> Option<Hindrance> {
    match code {
        530 | 534 | 535 | 538 => Some(Hindrance::SignedOut),
        452 | 552 => Some(Hindrance::NoRoom),
        421 | 450 | 451 => Some(Hindrance::Busy),
        _ => None,
    }
}

async fn sign_in(dialogue: &mut Dialogue<Wire>, account: &Account, hello: &Reply) -> Result<(), Hindered> {
    let ways = hello.offers("AUTH").unwrap_or_default();
    let offers = |way: &str| ways.iter().any(|offered| offered == way);
    let (user, password) = (account.user.as_str(), account.password.reveal());
    let reply = if offers("PLAIN") {
        let said = STANDARD.encode(format!("\0{user}\0{password}"));
        dialogue.say(&format!("AUTH PLAIN {said}")).await?
    } else if offers("LOGIN") {
        accepted("the login", dialogue.say("AUTH LOGIN").await?)?;
        accepted("the login", dialogue.say(&STANDARD.encode(user)).await?)?;
        dialogue.say(&STANDARD.encode(password)).await?
    } else {
        let why = "the mail server offers no login that is known here (PLAIN, LOGIN)";
        return Err(Hindered::by(Hindrance::SignedOut, why));
    };
    accepted("the login", reply).map(drop).map_err(|why| why.or_by(Hindrance::SignedOut))
}

/// What it permits. `is_own`: what was refused is of this message alone.
fn meaning(stopped: Stopped, is_own: bool) -> SendError {
    match stopped {
        Stopped::Way(why) => SendError::not_delivered(why),
        Stopped::Word(what, reply) => {
            let why = format!("the mail server refused {what}: {}", reply.short());
            // Who must sign in first, or is not let in, is that for every letter.
            let is_of_all = reply.is_for_now() || matches!(reply.code, 421 | 530 | 535 | 538);
            let is_of_file = !is_own && what != "the letter" && reply.code != 552;
            if is_of_all || is_of_file {
                return SendError::not_delivered(Hindered { words: why, by: hindrance(reply.code) });
            }
            let response = Some(Bytes::from(reply.text()));
            SendError::Refused { why, code: Some(reply.code.to_string()), response }
        }
    }
}
