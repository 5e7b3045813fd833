//! The sentences and blocks that a case is made of. `cases/README.md` explains them to the people who write them.

use crate::markdown::{Kind, Node};

/// One thing that a case does or demands, and the line where it stands.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) deed: Deed,
}

#[derive(Clone)]
pub(crate) enum Deed {
    /// The sender sends this.
    Send(Vec<u8>),
    /// The sender sends the page's message under each of these control ids.
    SendIds(Vec<String>),
    /// The sender posts the page's message by HTTP under each of these control ids.
    PostIds(Vec<String>),
    /// The sender writes bytes that are no whole frame.
    Write(Vec<u8>),
    /// The sender hears these codes, one for each message that was not answered yet.
    Hears(Vec<String>),
    HearsText(String, String),
    /// The sender hears exactly this; `*` stands for any field.
    HearsAnswer(String),
    HearsNothing,
    HasHeardNothing,
    HangsUp,
    /// The sender acknowledges the answer that it heard last.
    Acknowledges,
    /// A receiver's answers, in turn.
    Answers(String, Vec<String>),
    IsDown(String),
    IsUp(String),
    /// A receiver gets exactly this next.
    Arrives(String, Vec<u8>),
    /// A receiver gets what was sent last, byte for byte.
    ArrivesAsSent(String),
    /// A receiver gets these control ids next, in order.
    Receives(String, Vec<String>),
    ReceivesSomehow(String, Vec<String>),
    NothingArrives(String),
    WasConnected(String, String),
    /// A message stands so, and why it does.
    MessageIs(String, String, Option<String>),
    Flagged(String, String),
    DeliveryIs(Delivery, String, Option<String>),
    DestinationIs(String, String),
    /// How often a delivery to this destination has had this outcome, at least.
    Counted(String, String, String),
    /// How many messages the channel has received.
    Received(String),
    /// A file of the project holds exactly this.
    FileHolds(String, String),
    /// A file of the project is written.
    Writes(String, String),
    /// The channel's file is replaced, and brought into force.
    Redeploys(String),
    /// The channel's file is replaced, and that is all.
    Edits(String),
    /// Commands, each with the lines it must print.
    Commands(String),
    /// The server's settings, beside where it listens.
    Settings(String),
    LogSays(String),
    Killed,
    Stopped,
    Started,
}

/// A delivery, by the control id of its message and its destination.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) message: String,
    pub(crate) destination: String,
}

/// What a page or a section says.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// The lines of the channel's file, without those that every case has.
    pub(crate) channel: Option<String>,
    /// The message of `The sender sends …`.
    pub(crate) message: Option<String>,
    pub(crate) steps: Vec<Step>,
}

impl Script {
    pub(crate) fn read(nodes: &[Node]) -> Result<Self, String> {
        let mut script = Self::default();
        for node in nodes {
            let deed = match &node.kind {
                Kind::Table(_) => continue,
                Kind::Item(text) => sentence(text).map(Some),
                Kind::Block { words, text } => script.block(words, text),
            };
            let deed = deed.map_err(|why| format!("{}: {why}", node.line))?;
            script.steps.extend(deed.map(|deed| Step { line: node.line, deed }));
        }
        Ok(script)
    }

    fn block(&mut self, words: &str, text: &str) -> Result<Option<Deed>, String> {
        let words: Vec<&str> = words.split(' ').collect();
        let deed = match words[..] {
            ["yaml", "channel"] => {
                self.channel = Some(text.to_owned());
                return Ok(None);
            }
            ["hl7", "message"] => {
                self.message = Some(text.to_owned());
                return Ok(None);
            }
            ["yaml", "channel", "from", "now", "on"] => Deed::Redeploys(text.to_owned()),
            ["yaml", "relais"] => Deed::Settings(text.to_owned()),
            ["yaml", "channel", "as", "edited"] => Deed::Edits(text.to_owned()),
            ["hl7", "send"] => Deed::Send(hl7(text)),
            ["hl7", "send", "in", charset] => Deed::Send(encoded(&hl7(text), charset)?),
            ["text", "send"] => Deed::Send(text.trim_end().as_bytes().to_vec()),
            ["bytes", "send"] => Deed::Write(hl7(text.trim_end_matches('\n'))),
            ["hl7", "answer"] => Deed::HearsAnswer(text.to_owned()),
            ["hl7", "arrives", "at", name] => Deed::Arrives(name.to_owned(), hl7(text)),
            ["hl7", "arrives", "at", name, "in", charset] => {
                Deed::Arrives(name.to_owned(), encoded(&hl7(text), charset)?)
            }
            ["rhai" | "csv", file] => Deed::Writes(file.to_owned(), text.to_owned()),
            ["text", "in", file] => Deed::FileHolds(file.to_owned(), text.to_owned()),
            ["console"] => Deed::Commands(text.to_owned()),
            _ => return Err(format!("no case has a block `{}`", words.join(" "))),
        };
        Ok(Some(deed))
    }
}

/// The lines of a block as segments; `{byte E9}` is a byte that no text holds, `{9 times x}` is many of them.
pub(crate) fn hl7(text: &str) -> Vec<u8> {
    let mut text = text.replace('\n', "\r");
    if let Some((number, letter)) = many(&text) {
        text = text.replace(&format!("{{{number} times {letter}}}"), &letter.repeat(number));
    }
    let mut pieces = text.split("{byte ");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_once('}').unwrap_or((piece, ""));
        bytes.extend(u8::from_str_radix(digits, 16));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

fn many(text: &str) -> Option<(usize, String)> {
    let (before, after) = text.split_once(" times ")?;
    let number = before.rsplit_once('{')?.1.parse().ok()?;
    Some((number, after.split_once('}')?.0.to_owned()))
}

fn encoded(text: &[u8], charset: &str) -> Result<Vec<u8>, String> {
    let charset =
        formats::charset::Charset::named(charset).ok_or_else(|| format!("no charset `{charset}`"))?;
    let text = String::from_utf8_lossy(text);
    charset.encode(&text).map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
}

/// What a list item says. Words in back-ticks are its names; several in a row are one list.
fn sentence(text: &str) -> Result<Deed, String> {
    let (words, names) = pattern(text.trim_end_matches('.'));
    let one = |at: usize| names[at].join(" ");
    let many = |at: usize| names[at].clone();
    let delivery = || Delivery { message: one(0), destination: one(1) };
    let deed = match words.as_str() {
        "The sender sends _" => Deed::SendIds(many(0)),
        "The sender posts _" => Deed::PostIds(many(0)),
        "The sender hears _" => Deed::Hears(many(0)),
        "The sender hears _ with the text _" => Deed::HearsText(one(0), one(1)),
        "The sender hears nothing" => Deed::HearsNothing,
        "The sender has heard nothing yet" => Deed::HasHeardNothing,
        "The sender hangs up" => Deed::HangsUp,
        "The sender acknowledges the answer" => Deed::Acknowledges,
        "_ answers _" => Deed::Answers(one(0), many(1)),
        "_ is down" => Deed::IsDown(one(0)),
        "_ is up again" => Deed::IsUp(one(0)),
        "What was sent arrives at _" => Deed::ArrivesAsSent(one(0)),
        "_ receives _" => Deed::Receives(one(0), many(1)),
        "_ receives _ in any order" => Deed::ReceivesSomehow(one(0), many(1)),
        "Nothing arrives at _" | "Nothing more arrives at _" => Deed::NothingArrives(one(0)),
        "_ was connected to _ times" => Deed::WasConnected(one(0), one(1)),
        "The message _ is _" => Deed::MessageIs(one(0), one(1), None),
        "The message _ is _ because _" => Deed::MessageIs(one(0), one(1), Some(one(2))),
        "The message _ is flagged _" => Deed::Flagged(one(0), one(1)),
        "The delivery of _ to _ is _" => Deed::DeliveryIs(delivery(), one(2), None),
        "The delivery of _ to _ is _ because _" => Deed::DeliveryIs(delivery(), one(2), Some(one(3))),
        "The destination _ is _" => Deed::DestinationIs(one(0), one(1)),
        "The counter of _ at _ reaches _" => Deed::Counted(one(0), one(1), one(2)),
        "The channel has received _" => Deed::Received(one(0)),
        "The log says _" => Deed::LogSays(one(0)),
        "Relais is killed" => Deed::Killed,
        "Relais is stopped" => Deed::Stopped,
        "Relais is started" => Deed::Started,
        _ => return Err(format!("no case has a sentence `{words}`")),
    };
    Ok(deed)
}

/// A sentence with `_` for each list of names, and the lists.
fn pattern(text: &str) -> (String, Vec<Vec<String>>) {
    let mut words = String::new();
    let mut names: Vec<Vec<String>> = Vec::new();
    for (at, piece) in text.split('`').enumerate() {
        if at % 2 == 0 {
            words.push_str(piece);
            continue;
        }
        let shorter = [", ", " and "].iter().find_map(|link| words.strip_suffix(link));
        let goes_on = shorter.filter(|words| words.ends_with('_')).map(str::len);
        if let (Some(length), Some(list)) = (goes_on, names.last_mut()) {
            words.truncate(length);
            list.push(piece.to_owned());
        } else {
            words.push('_');
            names.push(vec![piece.to_owned()]);
        }
    }
    (words, names)
}

#[test]
fn names_in_a_row_are_one_list() {
    let (words, names) = pattern("`record` receives `M1`, `M2` and `M3` in any order");
    assert_eq!(words, "_ receives _ in any order");
    assert_eq!(names, [vec!["record"], vec!["M1", "M2", "M3"]]);
}
