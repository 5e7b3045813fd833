//! Plays one case: does what its steps say, and complains where what they demand does not come about.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;
use tests::{Behaviour, Post, Sender, comes_true, mshfield};

use crate::{
    case::{self, Case},
    compare,
    grammar::{Deed, Delivery, Step, hl7},
    stage::{Peer, Set, Stage, placeholders},
};

/// As long as anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A case on its stage.
pub(crate) struct Play<'a> {
    case: &'a Case,
    stage: &'a Stage,
    set: Set,
    sender: Option<Sender>,
    /// The messages sent, and how many of them were answered.
    sent: Vec<Vec<u8>>,
    answered: usize,
    heard: Vec<u8>,
    /// Requests of HTTP that wait for their answers.
    posted: VecDeque<Post>,
}

type Verdict = Result<(), String>;

impl<'a> Play<'a> {
    pub(crate) fn new(case: &'a Case, stage: &'a Stage, set: Set) -> Self {
        let posted = VecDeque::new();
        Self { case, stage, set, sender: None, sent: Vec::new(), answered: 0, heard: Vec::new(), posted }
    }

    /// Plays to the end, or to the first step that does not hold.
    pub(crate) fn run(mut self) -> Verdict {
        for step in &self.case.steps {
            let verdict = self.sends_or_hears(step).or_else(|| self.receives(step));
            let verdict = verdict.or_else(|| self.stands(step)).unwrap_or_else(|| self.operates(step));
            verdict.map_err(|why| format!("{}\n  line {}: {why}", self.case.title, step.line))?;
        }
        Ok(())
    }

    fn sends_or_hears(&mut self, step: &Step) -> Option<Verdict> {
        let verdict = match &step.deed {
            Deed::Send(message) => self.send(message.clone()),
            Deed::SendIds(ids) => ids.iter().try_for_each(|id| self.send(self.message(id)?)),
            Deed::PostIds(ids) => ids.iter().try_for_each(|id| self.post(&self.message(id)?)),
            Deed::Write(bytes) => {
                self.sent.extend(bytes.split(|byte| *byte == 0x0b).skip(1).map(<[u8]>::to_vec));
                self.sender().and_then(|sender| sender.write(bytes).map_err(|error| error.to_string()))
            }
            Deed::Hears(codes) => codes.iter().try_for_each(|code| self.hears(code)),
            Deed::HearsText(code, text) if is_status(code) => self.hears_status(code, Some(text)),
            Deed::HearsText(code, text) => self.answer().and_then(|answer| {
                compare::is(code, &mshfield(&answer, "MSA", 1))?;
                compare::is(text, &mshfield(&answer, "MSA", 3))
            }),
            Deed::HearsAnswer(wanted) => self.answer().and_then(|answer| compare::answer(wanted, &answer)),
            Deed::HearsNothing => self.hears_nothing(),
            Deed::HasHeardNothing => {
                match self.sender().and_then(|sender| sender.has_heard().map_err(|error| error.to_string())) {
                    Ok(true) => Err("something came".to_owned()),
                    Ok(false) => Ok(()),
                    Err(why) => Err(why),
                }
            }
            Deed::Acknowledges => {
                let id = mshfield(&self.heard, "MSH", 10);
                let message = format!("MSH|^~\\&|ANALYSER|LAB|||1||ACK|OURS|P|2.5\rMSA|CA|{id}\r");
                self.send(message.into_bytes())
            }
            Deed::HangsUp => {
                self.sender = None;
                Ok(())
            }
            _ => return None,
        };
        Some(verdict)
    }

    fn receives(&mut self, step: &Step) -> Option<Verdict> {
        let verdict = match &step.deed {
            Deed::Answers(name, answers) => self.peer(name).and_then(|peer| behave(peer, answers)),
            Deed::IsDown(name) => self.peer(name).map(Peer::goes_down),
            Deed::IsUp(name) => self.peer(name).map(Peer::comes_up),
            Deed::Arrives(name, wanted) => self.arrives(name, wanted),
            Deed::ArrivesAsSent(name) => {
                let wanted = self.sent.last().cloned().unwrap_or_default();
                self.arrives(name, &wanted)
            }
            Deed::Receives(name, ids) => {
                self.next_ids(name, ids.len()).and_then(|arrived| compare::is(ids, &arrived))
            }
            Deed::ReceivesSomehow(name, ids) => self.next_ids(name, ids.len()).and_then(|mut arrived| {
                let mut ids = ids.clone();
                ids.sort();
                arrived.sort();
                compare::is(&ids, &arrived)
            }),
            Deed::NothingArrives(name) => self.peer(name).and_then(|peer| {
                let more = peer.arrivals().split_off(peer.seen);
                compare::is(&Vec::<String>::new(), &ids(&more))
            }),
            Deed::WasConnected(name, times) => self
                .peer(name)
                .and_then(|peer| compare::is(times, &peer.receiver()?.connections().to_string())),
            _ => return None,
        };
        Some(verdict)
    }

    fn stands(&self, step: &Step) -> Option<Verdict> {
        let verdict = match &step.deed {
            Deed::MessageIs(id, state, why) => becomes((state, why.as_deref()), || self.found(id)),
            Deed::Flagged(id, flag) => self.is_flagged(id, flag),
            Deed::DeliveryIs(delivery, state, why) => {
                becomes((state, why.as_deref()), || self.delivery(delivery))
            }
            Deed::DestinationIs(name, state) => {
                becomes((state, None), || named(&self.channel()?["destinations"], "name", name))
            }
            Deed::Counted(outcome, name, least) => self.is_counted(outcome, name, least),
            Deed::Received(number) => becomes((number, None), || {
                Some(serde_json::json!({ "state": self.channel()?["received"].to_string() }))
            }),
            _ => return None,
        };
        Some(verdict)
    }

    fn operates(&mut self, step: &Step) -> Verdict {
        match &step.deed {
            Deed::Writes(file, text) => {
                self.stage.project.write(file, text);
                Ok(())
            }
            Deed::FileHolds(file, text) => {
                let path = self.stage.project.path(file);
                let read = || std::fs::read_to_string(&path).unwrap_or_default().replace('\r', "\n");
                comes_true(PATIENCE, || read() == *text);
                compare::is(text, &read())
            }
            Deed::Edits(channel) => {
                self.edit(channel);
                Ok(())
            }
            Deed::Redeploys(channel) => {
                self.edit(channel);
                self.commands("$ relais deploy {channel}")
            }
            Deed::Commands(commands) => self.commands(commands),
            // The stage was built so.
            Deed::Settings(_) => Ok(()),
            Deed::LogSays(words) => {
                let words = self.set.filled(words);
                let said = comes_true(PATIENCE, || self.stage.log().contains(&words));
                if said { Ok(()) } else { Err(self.stage.log()) }
            }
            Deed::Killed => {
                self.stage.kill();
                self.sender = None;
                Ok(())
            }
            Deed::Stopped => {
                self.sender = None;
                self.stage.stop()
            }
            Deed::Started => {
                self.stage.start();
                Ok(())
            }
            _ => Err("nobody knows how to do this".to_owned()),
        }
    }

    fn edit(&self, channel: &str) {
        let lines = case::merged(Some(&self.case.channel), Some(channel));
        self.stage.project.channel(&self.set.channel, &self.set.filled(&lines));
    }

    fn send(&mut self, message: Vec<u8>) -> Verdict {
        let framed = tests::frame(&message);
        self.sent.push(message);
        self.sender()?.write(&framed).map_err(|error| error.to_string())
    }

    fn post(&mut self, message: &[u8]) -> Verdict {
        let mut posted = None;
        comes_true(PATIENCE, || {
            posted = Post::send(self.set.port, message).ok();
            posted.is_some()
        });
        self.sent.push(message.to_vec());
        self.posted.push_back(posted.ok_or("nobody listens on the channel's port")?);
        Ok(())
    }

    /// The next request that was not answered yet is answered so.
    fn hears_status(&mut self, wanted: &str, words: Option<&str>) -> Verdict {
        let post = self.posted.pop_front().ok_or("nothing was posted that waits for an answer")?;
        let (status, body) = post.answer(PATIENCE).map_err(|error| format!("no answer came: {error}"))?;
        compare::is(wanted, &status)?;
        if words.is_none_or(|words| body.contains(words)) { Ok(()) } else { Err(format!("it says {body}")) }
    }

    fn message(&self, id: &str) -> Result<Vec<u8>, String> {
        let message = self.case.message.as_ref().ok_or("the page has no `hl7 message`")?;
        Ok(hl7(&message.replace("{id}", id)))
    }

    fn sender(&mut self) -> Result<&mut Sender, String> {
        if self.sender.is_none() {
            let mut connected = None;
            comes_true(PATIENCE, || {
                connected = Sender::connect(self.set.port).ok();
                connected.is_some()
            });
            let sender = connected.ok_or("nobody listens on the channel's port")?;
            sender.wait_at_most(PATIENCE).map_err(|error| error.to_string())?;
            self.sender = Some(sender);
        }
        self.sender.as_mut().ok_or_else(|| "there is no sender".to_owned())
    }

    fn answer(&mut self) -> Result<Vec<u8>, String> {
        let answer = self.sender()?.answer().map_err(|error| format!("no answer came: {error}"))?;
        self.heard.clone_from(&answer);
        Ok(answer)
    }

    /// The next answer has this code, and is for a message that was sent and that no later one was answered before.
    fn hears(&mut self, code: &str) -> Verdict {
        if is_status(code) {
            return self.hears_status(code, None);
        }
        let answer = self.answer()?;
        let heard = mshfield(&answer, "MSA", 1);
        if heard.is_empty() {
            return compare::is(code, &String::from_utf8_lossy(&answer).into_owned());
        }
        compare::is(code, &heard)?;
        let id = mshfield(&answer, "MSA", 2);
        let of = |message: &Vec<u8>| mshfield(message, "MSH", 10) == id;
        let place = self.sent[self.answered..].iter().position(of);
        self.answered += place.ok_or_else(|| format!("the answer is for `{id}`, which was not sent"))?;
        Ok(())
    }

    /// Says that nothing more comes and reads to the end: what was to be answered has been by then.
    fn hears_nothing(&mut self) -> Verdict {
        self.sender()?;
        let rest = self.sender.take().map(Sender::hang_up);
        let rest = rest.transpose().map_err(|error| error.to_string())?.unwrap_or_default();
        compare::is("", &String::from_utf8_lossy(&rest).into_owned())
    }

    fn peer(&mut self, name: &str) -> Result<&mut Peer, String> {
        self.set.receivers.get_mut(name).ok_or_else(|| format!("the channel names no receiver `{name}`"))
    }

    fn arrives(&mut self, name: &str, wanted: &[u8]) -> Verdict {
        let arrived = self.next(name, 1)?;
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\r", "\n");
        compare::is(&text(wanted), &text(&arrived[0]))
    }

    fn next_ids(&mut self, name: &str, count: usize) -> Result<Vec<String>, String> {
        Ok(ids(&self.next(name, count)?))
    }

    /// Waits for the next arrivals at a receiver.
    fn next(&mut self, name: &str, count: usize) -> Result<Vec<Vec<u8>>, String> {
        let peer = self.peer(name)?;
        let until = peer.seen + count;
        comes_true(PATIENCE, || peer.arrivals().len() >= until);
        let arrived = peer.arrivals();
        if arrived.len() < until {
            return Err(format!("`{name}` received {:?} and no more", ids(&arrived[peer.seen..])));
        }
        let next = arrived[peer.seen..until].to_vec();
        peer.seen = until;
        Ok(next)
    }

    fn is_flagged(&self, id: &str, flag: &str) -> Verdict {
        let mut flags = Value::Null;
        let flagged = comes_true(PATIENCE, || {
            flags = self.found(id).map(|message| message["flags"].clone()).unwrap_or_default();
            flags
                .as_array()
                .is_some_and(|flags| flags.iter().filter_map(Value::as_str).any(|one| one.contains(flag)))
        });
        if flagged { Ok(()) } else { Err(format!("its flags are {flags}")) }
    }

    fn is_counted(&self, outcome: &str, name: &str, least: &str) -> Verdict {
        let channel = &self.set.channel;
        let labels = format!("channel=\"{channel}\",destination=\"{name}\",outcome=\"{outcome}\"");
        let series = format!("relais_deliveries_total{{{labels}}}");
        let least: f64 = least.parse().map_err(|_| format!("`{least}` is no number"))?;
        let mut now = None;
        let counted = comes_true(PATIENCE, || {
            now = self.stage.metric(&series);
            now.is_some_and(|now| now >= least)
        });
        if counted { Ok(()) } else { Err(format!("{series} is {now:?}")) }
    }

    fn channel(&self) -> Option<Value> {
        self.stage.ask(&format!("channels/{}", self.set.channel))
    }

    /// The newest message of the channel with this control id; `last` is the newest of all.
    fn found(&self, id: &str) -> Option<Value> {
        let channel = &self.set.channel;
        let found = self.stage.ask(&format!("messages?channel={channel}"))?;
        if id == "last" { found.get(0).cloned() } else { named(&found, "control_id", id) }
    }

    fn delivery(&self, delivery: &Delivery) -> Option<Value> {
        let deliveries = &self.found(&delivery.message)?["deliveries"];
        let newest = deliveries.as_array()?.iter().rfind(|one| one["destination"] == *delivery.destination);
        newest.cloned()
    }

    /// Runs commands, and looks for the lines that each must print.
    fn commands(&self, text: &str) -> Verdict {
        for command in text.split("$ relais ").skip(1) {
            let mut lines = command.lines();
            let words = self.named_ids(&self.set.filled(lines.next().unwrap_or_default()))?;
            let output = self.stage.project.relais(&words.split_whitespace().collect::<Vec<_>>());
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let mut code = 0;
            for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
                match line.strip_prefix("exit ") {
                    Some(wanted) => code = wanted.parse().map_err(|_| format!("`{line}` is no exit code"))?,
                    None if said.contains(&self.set.filled(line)) => {}
                    None => return Err(format!("`relais {words}` does not say `{line}`:\n{said}")),
                }
            }
            if output.status.code() != Some(code) {
                return Err(format!("`relais {words}` left with {}:\n{said}", output.status));
            }
        }
        Ok(())
    }

    /// Puts a message's id in the place of `{its control id}`.
    fn named_ids(&self, command: &str) -> Result<String, String> {
        let mut command = command.to_owned();
        for name in placeholders(&command.clone()) {
            let found = self.found(&name).ok_or_else(|| format!("there is no message `{name}`"))?;
            command = command.replace(&format!("{{{name}}}"), &found["id"].to_string());
        }
        Ok(command)
    }
}

/// Whether an answer is one of HTTP.
fn is_status(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn behave(peer: &Peer, answers: &[String]) -> Verdict {
    let behaviours = answers.iter().map(|answer| match answer.as_str() {
        "AA" => Ok(Behaviour::Code("AA")),
        "AE" => Ok(Behaviour::Code("AE")),
        "AR" => Ok(Behaviour::Code("AR")),
        "CA" => Ok(Behaviour::Code("CA")),
        "CE" => Ok(Behaviour::Code("CE")),
        "CR" => Ok(Behaviour::Code("CR")),
        "another id" => Ok(Behaviour::WrongId),
        "cut" => Ok(Behaviour::Cut),
        "nothing" => Ok(Behaviour::Silent),
        "late" => Ok(Behaviour::Late),
        status if is_status(status) => Ok(Behaviour::Status(status.parse().unwrap_or_default())),
        other => Err(format!("no receiver answers `{other}`")),
    });
    peer.receiver()?.behave_in_turn(behaviours.collect::<Result<Vec<_>, _>>()?);
    Ok(())
}

fn ids(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|message| mshfield(message, "MSH", 10)).collect()
}

/// Waits until what is found stands so, for this reason.
fn becomes((state, why): (&str, Option<&str>), found: impl Fn() -> Option<Value>) -> Verdict {
    let mut last = None;
    let stands = comes_true(PATIENCE, || {
        last = found();
        let Some(found) = &last else { return false };
        let because = found["why"].as_str().unwrap_or_default();
        found["state"] == state && why.is_none_or(|why| because.contains(why))
    });
    let last = last.unwrap_or_default();
    if stands { Ok(()) } else { Err(format!("it is {} because {}", last["state"], last["why"])) }
}

/// The first of a list whose `key` is `name`.
fn named(list: &Value, key: &str, name: &str) -> Option<Value> {
    list.as_array()?.iter().find(|one| one[key] == name).cloned()
}
