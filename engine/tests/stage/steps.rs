//! A channel's steps in words: the message itself says what is done with it.
//!
//! `ID WORD…`: the first word is the control id (`-`: none), the others are
//! `unreadable`, `filter`, `refuse`, `break`, `panic`, `die`, `key:K` (several: several keys), `to:NAME` (several; none: all),
//! `filter-at:NAME`, `break-at:NAME`, `left-later` (an `after:` destination filters it),
//! `hold:CODE` (a table lacks it, unless these steps know it; of a server's table is `served…`, which has it unless it is away), `hold-at:NAME=CODE` (the same at a destination),
//! `ask` (what it asks may be away: see [`Steps::asking`]), `ask-later` (the same of an `after:` destination),
//! `then:refuse`, `then:filter`, `then:break` (once nothing is lacking),
//! `keyless` (no key can be worked out where it is held),
//! `asks:KEY`, `answers:KEY` (several),
//! `in:KEY`, `of:N` (which group it is a member of, and how many there are; a run is `RUN KEY A+B`),
//! `split:N` with `bad:N` (a part that fails), `skip:N` (a part that is filtered) and `each`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use engine::{
    Bond, CameBack, Content, Context, Ended, Halt, Held, Inbound, Joins, Judged, Leaving, Message, Missing,
    OutletPlan, Piece, Reading, Route, Script, Unreadable,
};

use super::{News, peer::text};

pub struct Steps {
    /// Each outlet's name, and whether it waits for another.
    outlets: Vec<(String, bool)>,
    /// Put behind each body, so that a test sees which version made it.
    mark: &'static str,
    /// Codes that tables have.
    known: Vec<&'static str>,
    /// The process that a message with the word `die` ends.
    dying: Option<News>,
    /// Whether the server that they ask is away.
    away: Arc<AtomicBool>,
}

impl Steps {
    pub fn new(outlets: &[OutletPlan]) -> Self {
        let outlets = outlets.iter().map(|outlet| (outlet.name.clone(), outlet.after.is_some())).collect();
        Self { outlets, mark: "", known: Vec::new(), dying: None, away: Arc::default() }
    }

    /// The same, with a mark behind each body.
    pub fn marked(self, mark: &'static str) -> Self {
        Self { mark, ..self }
    }

    /// The same, with these codes in its tables.
    pub fn knowing(self, known: &[&'static str]) -> Self {
        Self { known: known.to_vec(), ..self }
    }

    fn knows(&self, code: &str) -> bool {
        let has_server = code.starts_with("served") && !self.away.load(Ordering::SeqCst);
        has_server || self.known.contains(&code)
    }

    /// What the tables lack of these codes.
    fn lacks(&self, codes: &[String]) -> Option<Held> {
        let missing = codes.iter().filter(|code| !self.knows(code)).map(|code| Missing {
            table: "tests".to_owned(),
            asked: vec![("code".to_owned(), code.clone())],
            sender: None,
            wanted: "name".to_owned(),
            server: code.starts_with("served").then(|| "db".to_owned()),
        });
        let missing: Vec<Missing> = missing.collect();
        (!missing.is_empty()).then(|| Held { missing, ..Held::default() })
    }

    /// The same; now a message can end the process.
    pub fn dying(self, news: &News) -> Self {
        Self { dying: Some(news.clone()), ..self }
    }

    /// The same; while this is true, nobody answers what they ask.
    pub fn asking(self, away: &Arc<AtomicBool>) -> Self {
        Self { away: Arc::clone(away), ..self }
    }

    fn ask(&self, piece: &Piece, word: &str) -> Result<(), Halt> {
        if has(piece, word) && self.away.load(Ordering::SeqCst) {
            return Err(Halt::Unavailable { why: "the table `tests`: cannot connect".to_owned() });
        }
        Ok(())
    }

    fn leaving(&self, piece: &Piece) -> Leaving {
        let body = (!self.mark.is_empty())
            .then(|| Content::from(format!("{}{}", text(&piece.body), self.mark).into_bytes()));
        Leaving { body, keys: values(piece, "key:"), ..Leaving::default() }
    }
}

impl Script for Steps {
    fn read(&self, inbound: &Inbound) -> Result<Reading, Unreadable> {
        if engine::is_run(&inbound.facts) {
            return Ok(Reading::default());
        }
        let text = text(&inbound.body);
        let mut words = text.split(' ');
        let study = text.split(' ').find_map(|word| word.strip_prefix("study:")?.split_once('/'));
        let study =
            study.map(|(uid, patient)| engine::Study { uid: uid.to_owned(), patient: patient.to_owned() });
        let id = words.next().unwrap_or_default();
        if words.any(|word| word == "unreadable") {
            return Err(Unreadable { why: "no MSH at byte 0".to_owned() });
        }
        let control_id = (id != "-").then(|| id.to_owned());
        Ok(Reading { sender: "LAB".to_owned(), control_id, study, ..Reading::default() })
    }

    fn transform(&self, message: &Message, _context: &Context) -> Result<Vec<Piece>, Halt> {
        if engine::is_run(&message.facts) {
            return Ok(vec![run(message)]);
        }
        let piece = Piece::whole(message);
        if has(&piece, "die")
            && let Some(process) = &self.dying
        {
            process.kill();
        }
        assert!(!has(&piece, "panic"), "told to panic");
        if has(&piece, "filter") {
            return Err(Halt::Filtered { why: "not wanted".to_owned() });
        }
        if has(&piece, "refuse") {
            return Err(Halt::Refused { why: "no patient".to_owned(), at: Some("PID-3".to_owned()) });
        }
        if has(&piece, "break") {
            return Err(broken());
        }
        if let Some(held) = self.lacks(&values(&piece, "hold:")) {
            let known = (!has(&piece, "keyless")).then(|| values(&piece, "key:"));
            let keys = self.outlets.iter().map(|(name, _)| (name.clone(), known.clone())).collect();
            return Err(Halt::Held(Held { keys, ..held }));
        }
        self.ask(&piece, "ask")?;
        match values(&piece, "then:").first().map(String::as_str) {
            Some("refuse") => return Err(Halt::Refused { why: "no patient".to_owned(), at: None }),
            Some("filter") => return Err(Halt::Filtered { why: "not wanted".to_owned() }),
            Some(_) => return Err(broken()),
            None => {}
        }
        match values(&piece, "split:").first() {
            Some(parts) => split(&piece, parts.parse().unwrap()),
            None => Ok(vec![piece]),
        }
    }

    fn route(&self, piece: &Piece, outlet: usize, _context: &Context) -> Result<Route, Halt> {
        let (name, waits) = &self.outlets[outlet];
        let chosen = values(piece, "to:");
        if !chosen.is_empty() && !chosen.contains(name) {
            return Ok(Route::Left);
        }
        if values(piece, "filter-at:").contains(name) {
            return Ok(Route::Filtered);
        }
        if values(piece, "break-at:").contains(name) {
            return Err(broken());
        }
        let mine = |code: &String| code.strip_prefix(&format!("{name}=")).map(str::to_owned);
        let codes: Vec<String> = values(piece, "hold-at:").iter().filter_map(mine).collect();
        if let Some(held) = self.lacks(&codes) {
            return Err(Halt::Held(held));
        }
        let leaving = self.leaving(piece);
        Ok(if *waits { Route::Later(leaving.keys) } else { Route::Goes(leaving) })
    }

    fn keys(&self, piece: &Piece, _outlet: usize, _context: &Context) -> Result<Vec<String>, Halt> {
        if has(piece, "keyless") { Err(broken()) } else { Ok(values(piece, "key:")) }
    }

    fn asks(&self, piece: &Piece, _context: &Context) -> Result<Vec<String>, Halt> {
        if has(piece, "break-asks") { Err(broken()) } else { Ok(values(piece, "asks:")) }
    }

    fn answers(&self, piece: &Piece, _place: usize, _context: &Context) -> Result<Vec<String>, Halt> {
        if has(piece, "break-answers") { Err(broken()) } else { Ok(values(piece, "answers:")) }
    }

    fn joins(&self, message: &Message, _context: &Context) -> Result<Joins, Halt> {
        let piece = Piece::whole(message);
        let Some(key) = values(&piece, "in:").pop() else {
            return Err(Halt::Refused { why: "no group".to_owned(), at: None });
        };
        let expected = values(&piece, "of:").first().and_then(|count| count.parse().ok());
        let brings = format!("\"{}\"", message.control_id.clone().unwrap_or_default());
        Ok(Joins { key, brings, expected })
    }

    fn complete(&self, piece: &Piece, _outlet: usize, context: &Context) -> Result<Route, Halt> {
        if has(piece, "left-later") {
            return Ok(Route::Filtered);
        }
        if has(piece, "break-later") {
            return Err(broken());
        }
        self.ask(piece, "ask-later")?;
        let mut leaving = self.leaving(piece);
        let answers: Vec<String> =
            context.responses.values().filter_map(|answered| answered.body.clone()).collect();
        let body = format!("{} after [{}]", text(&piece.body), answers.join(","));
        leaving.body = Some(Content::from(body.into_bytes()));
        Ok(Route::Goes(leaving))
    }

    fn judge(
        &self,
        came_back: &CameBack<'_>,
        _outlet: usize,
        _context: &Context,
    ) -> Result<Option<Judged>, Halt> {
        let payload = text(came_back.payload);
        Ok(match payload.split(' ').find_map(|word| word.strip_prefix("judge:")) {
            Some("sent") => Some(Judged::Sent),
            Some("retry") => Some(Judged::Retry("not yet".to_owned())),
            Some("refused") => Some(Judged::Refused("not this one".to_owned())),
            Some(_) => return Err(broken()),
            None => None,
        })
    }

    fn reply(&self, _message: &Message, ended: &[Ended], _context: &Context) -> Result<Bytes, Halt> {
        let states: Vec<String> =
            ended.iter().map(|ended| format!("{} {}", ended.destination, ended.state)).collect();
        Ok(Bytes::from(states.join(", ").into_bytes()))
    }
}

/// What the run of a group leaves with.
fn run(message: &Message) -> Piece {
    let body: serde_json::Value = serde_json::from_slice(message.body.bytes().unwrap()).unwrap();
    let members = body["members"].as_array().unwrap().iter();
    let members: Vec<_> = members.map(|member| member["msg"].as_str().unwrap()).collect();
    let text = format!("RUN {} {}", body["group"].as_str().unwrap(), members.join("+"));
    Piece { body: Content::from(text.into_bytes()), ..Piece::whole(message) }
}

fn split(piece: &Piece, parts: u32) -> Result<Vec<Piece>, Halt> {
    let each = has(piece, "each");
    let bad = values(piece, "bad:");
    let skip = values(piece, "skip:");
    let whole = text(&piece.body);
    let rest: Vec<&str> = whole.split(' ').skip(1).collect();
    let control_id = piece.control_id.clone().unwrap_or_default();
    let part = |place: u32| {
        let id = format!("{control_id}.{place}");
        let halt = if bad.contains(&place.to_string()) {
            Some(broken())
        } else if skip.contains(&place.to_string()) {
            Some(Halt::Filtered { why: "not this part".to_owned() })
        } else {
            None
        };
        match halt {
            Some(Halt::Failed { .. }) if !each => Err(broken()),
            halt => Ok(Piece {
                body: Content::from(format!("{id} {}", rest.join(" ")).into_bytes()),
                place: Some(place),
                control_id: Some(id),
                halt,
                bond: if each { Bond::Apart } else { Bond::Together },
                view: None,
            }),
        }
    };
    (1..=parts).map(part).collect()
}

fn broken() -> Halt {
    Halt::Failed { step: "step 1".to_owned(), why: "divided by zero".to_owned(), place: None }
}

fn has(piece: &Piece, word: &str) -> bool {
    text(&piece.body).split(' ').any(|found| found == word)
}

fn values(piece: &Piece, name: &str) -> Vec<String> {
    text(&piece.body).split(' ').filter_map(|word| word.strip_prefix(name)).map(str::to_owned).collect()
}
