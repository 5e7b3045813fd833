//! The command line: one file for each verb.

mod account;
mod alert;
mod audit;
mod backup;
mod bench;
mod change;
mod check;
mod deploy;
mod drop;
mod episodes;
mod explain;
mod find;
mod hold;
mod listen;
mod mock;
mod new;
mod overdue;
mod park;
mod pause;
mod pending;
mod plan;
mod promises;
mod release;
mod report;
mod rerun;
mod resend;
mod restore;
mod retry;
mod run;
mod schema;
mod send;
mod show;
mod start;
mod status;
mod stop;
mod sync;
mod test;
mod token;
mod unmapped;
mod verify;

use std::{fmt, io::Write, path::PathBuf, process::ExitCode};

use clap::{Arg, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::why::Reader;

/// An integration engine for healthcare: channels in YAML, steps in Rhai, no message lost.
#[derive(Debug, Parser)]
#[command(name = "relais", version, max_term_width = 100, propagate_version = true)]
struct CommandLine {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

/// Which project or which server is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The project's folder, instead of the current one
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// The address of a server elsewhere: `http://host:8600`
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A token of that server, or its key; else the variable `RELAIS_TOKEN`
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) token: Option<String>,
    /// Trust the certificates of this PEM file alone, in place of the system's authorities
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) authorities: Option<PathBuf>,
}

impl Place {
    /// The project's folder: `written` by the verb, else `--project`, else the current one.
    pub(crate) fn root(&self, written: Option<&PathBuf>) -> PathBuf {
        written.or(self.project.as_ref()).cloned().unwrap_or_else(|| PathBuf::from("."))
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Arguments),
    Check(check::Arguments),
    Test(test::Arguments),
    New(new::Arguments),
    Send(send::Arguments),
    Listen(listen::Arguments),
    Mock(mock::Arguments),
    Status(status::Arguments),
    Start(start::Arguments),
    Stop(stop::Arguments),
    Pause(pause::Arguments),
    Hold(hold::Arguments),
    Release(release::Arguments),
    Park(park::Arguments),
    Find(find::Arguments),
    Show(show::Arguments),
    Report(report::Arguments),
    Unmapped(unmapped::Arguments),
    Pending(pending::Arguments),
    Retry(retry::Arguments),
    Overdue(overdue::Arguments),
    Episodes(episodes::Arguments),
    Resend(resend::Arguments),
    Drop(drop::Arguments),
    Rerun(rerun::Arguments),
    Deploy(deploy::Arguments),
    Alert(alert::Arguments),
    Account(account::Arguments),
    Token(token::Arguments),
    Audit(audit::Arguments),
    Sync(sync::Arguments),
    Schema(schema::Arguments),
    Explain(explain::Arguments),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Verify(verify::Arguments),
    Bench(bench::Arguments),
    #[command(hide = true)]
    BenchSilence(bench::silence::Arguments),
    #[command(hide = true)]
    BenchFloor(bench::floor::Arguments),
}

/// How a command writes its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// The thing asked about is wrong.
    Wrong,
    /// The command was.
    Misused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Wrong => 1,
            Exit::Misused => 2,
        })
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct Complaint {
    exit: Exit,
    words: String,
}

impl Complaint {
    /// The thing asked about is wrong.
    pub(crate) fn wrong(words: impl fmt::Display) -> Self {
        Self { exit: Exit::Wrong, words: words.to_string() }
    }

    /// The command was.
    pub(crate) fn misused(words: impl fmt::Display) -> Self {
        Self { exit: Exit::Misused, words: words.to_string() }
    }

    /// Says what was being done as well.
    pub(crate) fn within(self, what: &str) -> Self {
        Self { words: format!("{what}: {}", self.words), ..self }
    }
}

pub(crate) type Ending = Result<Exit, Complaint>;

/// Runs the command of this process.
pub(crate) fn main() -> ExitCode {
    let matches = command().get_matches();
    let verb = matches.subcommand_name().unwrap_or_default();
    let command_line = CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if command_line.place.server.is_some() && !REMOTE.contains(&verb) {
        return complain(&Complaint::misused(format!(
            "`relais {verb}` speaks with no server: leave out --server"
        )));
    }
    if verb == "run" {
        crate::heaps::keep_few();
    }
    let runtime = match crate::threads::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&Complaint::wrong(format!("cannot start: {error}"))),
    };
    let ending = runtime.block_on(obey(command_line));
    // What still waits (a terminal being read, a peer) must not hold the process.
    runtime.shutdown_background();
    match ending {
        Ok(exit) => exit.into(),
        Err(complaint) => complain(&complaint),
    }
}

/// The verbs that speak with a server, and so take `--server` and `--token`.
const REMOTE: [&str; 26] = [
    "account", "alert", "audit", "token", "backup", "check", "deploy", "drop", "episodes", "find", "hold",
    "overdue", "park", "pause", "pending", "release", "report", "rerun", "resend", "retry", "show", "start",
    "status", "stop", "sync", "unmapped",
];

/// The verbs that read a project here.
const LOCAL: [&str; 4] = ["restore", "verify", "run", "test"];

/// The whole command line. The help of a verb shows where it looks only if it looks anywhere.
fn command() -> Command {
    let hidden = |name: &'static str| Arg::new(name).long(name).hide(true);
    CommandLine::command().mut_subcommands(|verb| {
        let name = verb.get_name().to_owned();
        let is_remote = REMOTE.contains(&name.as_str());
        let verb = if is_remote {
            verb
        } else {
            verb.arg(hidden("server"))
                .arg(hidden("token"))
                .arg(hidden("authorities").value_parser(clap::value_parser!(PathBuf)))
        };
        if is_remote || LOCAL.contains(&name.as_str()) {
            return verb;
        }
        verb.arg(hidden("project").value_parser(clap::value_parser!(PathBuf)))
    })
}

fn complain(complaint: &Complaint) -> ExitCode {
    eprintln!("relais: {}", complaint.words);
    complaint.exit.into()
}

async fn obey(CommandLine { place, verb }: CommandLine) -> Ending {
    match verb {
        Verb::Run(arguments) => run::run(arguments, place).await,
        Verb::Check(arguments) => check::run(&arguments, &place).await,
        Verb::Test(arguments) => test::run(&arguments, &place),
        Verb::New(arguments) => new::run(&arguments),
        Verb::Send(arguments) => send::run(arguments).await,
        Verb::Listen(arguments) => listen::run(arguments).await,
        Verb::Mock(arguments) => mock::run(arguments).await,
        Verb::Status(arguments) => status::run(&arguments, &place).await,
        Verb::Start(arguments) => start::run(&arguments, &place).await,
        Verb::Stop(arguments) => stop::run(&arguments, &place).await,
        Verb::Pause(arguments) => pause::run(&arguments, &place).await,
        Verb::Hold(arguments) => hold::run(&arguments, &place).await,
        Verb::Release(arguments) => release::run(&arguments, &place).await,
        Verb::Park(arguments) => park::run(&arguments, &place).await,
        Verb::Find(arguments) => find::run(&arguments, &place).await,
        Verb::Show(arguments) => show::run(&arguments, &place).await,
        Verb::Pending(arguments) => pending::run(&arguments, &place).await,
        Verb::Retry(arguments) => retry::run(&arguments, &place).await,
        Verb::Report(arguments) => report::run(&arguments, &place).await,
        Verb::Overdue(arguments) => overdue::run(&arguments, &place).await,
        Verb::Episodes(arguments) => episodes::run(&arguments, &place).await,
        Verb::Unmapped(arguments) => unmapped::run(&arguments, &place).await,
        Verb::Resend(arguments) => resend::run(&arguments, &place).await,
        Verb::Drop(arguments) => drop::run(&arguments, &place).await,
        Verb::Rerun(arguments) => rerun::run(&arguments, &place).await,
        Verb::Deploy(arguments) => deploy::run(&arguments, &place).await,
        Verb::Sync(arguments) => sync::run(&arguments, &place).await,
        Verb::Account(arguments) => account::run(&arguments, &place).await,
        Verb::Alert(arguments) => alert::run(&arguments, &place).await,
        Verb::Token(arguments) => token::run(&arguments, &place).await,
        Verb::Audit(arguments) => audit::run(&arguments, &place).await,
        Verb::Schema(arguments) => Ok(schema::run(&arguments)),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Backup(arguments) => backup::run(&arguments, &place).await,
        Verb::Restore(arguments) => restore::run(&arguments, &place),
        Verb::Verify(arguments) => verify::run(&arguments, &place),
        Verb::Bench(arguments) => bench::run(arguments).await,
        Verb::BenchSilence(arguments) => Ok(bench::silence::run(&arguments)),
        Verb::BenchFloor(arguments) => bench::floor::run(arguments).await,
    }
}

/// Writes to standard output. A reader that went away (`| head`) has seen enough: no reason to complain or to stop.
pub(crate) fn say(text: impl fmt::Display) {
    let mut output = std::io::stdout().lock();
    let _ = write!(output, "{text}").and_then(|()| output.flush());
}

/// Writes a value as JSON, for programs.
pub(crate) fn say_json(value: &impl serde::Serialize) {
    say(format_args!("{}\n", json(value)));
}

/// A value as JSON, with all its words: what came from a server holds no more than this caller may see.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let written = Reader::OfWords.written(|| serde_json::to_string_pretty(value));
    written.expect("an answer has text keys")
}

/// A channel's destination, written `CHANNEL/DESTINATION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutletName {
    pub(crate) channel: String,
    pub(crate) destination: String,
}

impl std::str::FromStr for OutletName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((channel, destination)) if !channel.is_empty() && !destination.is_empty() => {
                Ok(Self { channel: channel.to_owned(), destination: destination.to_owned() })
            }
            _ => Err("write it as CHANNEL/DESTINATION: `lab-results/record`".to_owned()),
        }
    }
}

impl fmt::Display for OutletName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.channel, self.destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_verb_shows_server_and_token_only_if_it_speaks_with_one() {
        for name in ["status", "check", "find"] {
            assert!(help(name).contains("--server <"), "{name}");
        }
        for name in ["run", "test", "new", "send", "listen", "schema", "explain", "bench"] {
            assert!(!help(name).contains("--server <"), "{name}");
            assert!(!help(name).contains("--token"), "{name}");
        }
        assert!(help("run").contains("--project") && !help("send").contains("--project"));
    }

    fn help(name: &str) -> String {
        let shown = command().try_get_matches_from(["relais", name, "--help"]);
        shown.expect_err("help ends the command").to_string()
    }

    #[test]
    fn a_destination_is_named_with_its_channel() {
        let name: OutletName = "lab/record".parse().unwrap();
        assert_eq!((name.channel.as_str(), name.destination.as_str()), ("lab", "record"));
        for wrong in ["lab", "lab/", "/record", ""] {
            assert!(wrong.parse::<OutletName>().is_err(), "`{wrong}` names no destination");
        }
    }

    #[test]
    fn the_place_may_stand_before_or_behind_the_verb() {
        for words in [["relais", "--project", "x", "status"], ["relais", "status", "--project", "x"]] {
            let matches = command().try_get_matches_from(words).unwrap();
            let parsed = CommandLine::from_arg_matches(&matches).unwrap();
            assert_eq!(parsed.place.project, Some(PathBuf::from("x")));
        }
    }
}
