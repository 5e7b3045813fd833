//! `relais test`: runs the `tests:` of a project's channels.

use std::{fmt::Write as _, path::PathBuf};

use channels::{Expected, Options, Problem, Secrets, TestResult};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Complaint, Ending, Exit, Place, check, say, say_json};
use crate::terminal::{Tone, colour, counted, tinted};

/// Run the tests of a project's channels.
///
/// The same steps as in a running channel, with nothing behind them: no port is opened, nothing is kept or sent.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The project's folder, then names of channels or tests; without names, all
    #[arg(value_name = "DIR|NAME")]
    words: Vec<String>,
    /// The variables of `environments/NAME.yaml`
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Write what came out over the expected files
    #[arg(long)]
    update: bool,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For CI servers: `JUnit` XML
    Junit,
}

pub(crate) fn run(arguments: &Arguments, place: &Place) -> Ending {
    let (dir, names) = meant(&arguments.words);
    let options = Options {
        environment: arguments.environment.clone(),
        secrets: Secrets::TakenAsPresent,
        ..Options::default()
    };
    let project = check::load(&place.root(dir.as_ref()), &options)?;
    let broken: Vec<_> = project.faults.iter().filter(|fault| fault.is_error()).cloned().collect();
    if !broken.is_empty() {
        eprint!("{}", channels::render_text(&broken, colour()));
    }
    let expected = if arguments.update { Expected::Rewrite } else { Expected::Compare };
    let results = channels::run_tests(&project, names, expected);
    if results.is_empty() && !names.is_empty() {
        return Err(Complaint::misused(format!("no test and no channel is named {}", names.join(" or "))));
    }
    match arguments.format {
        Format::Text => say(report(&results)),
        Format::Json => say_json(&results.iter().map(as_json).collect::<Vec<_>>()),
        Format::Junit => say(channels::junit(&results)),
    }
    let passed = results.iter().all(TestResult::passed);
    Ok(if passed && broken.is_empty() { Exit::Done } else { Exit::Wrong })
}

/// The first word is the folder if it is one; the others are names.
fn meant(words: &[String]) -> (Option<PathBuf>, &[String]) {
    match words.split_first() {
        Some((first, names)) if PathBuf::from(first).is_dir() => (Some(PathBuf::from(first)), names),
        _ => (None, words),
    }
}

fn as_json(result: &TestResult) -> Value {
    json!({
        "channel": result.channel,
        "test": result.test,
        "passed": result.passed(),
        "problems": result.problems.iter().map(|problem| json!({ "what": problem.what, "diff": problem.diff })).collect::<Vec<_>>(),
        "rewritten": result.rewritten,
        "seconds": result.took.as_secs_f64(),
    })
}

fn report(results: &[TestResult]) -> String {
    let mut text = String::new();
    for result in results {
        let (word, tone) = if result.passed() { ("ok    ", Tone::Good) } else { ("FAILED", Tone::Bad) };
        let _ = writeln!(text, "{}  {}: {}", tinted(word, tone), result.channel, result.test);
        for problem in &result.problems {
            describe(problem, &mut text);
        }
        for file in &result.rewritten {
            let _ = writeln!(text, "        rewrote {}", file.display());
        }
    }
    let failed = results.iter().filter(|result| !result.passed()).count() as u64;
    let all = counted(results.len() as u64, "test");
    let summary = match failed {
        0 => format!("{all}, {}\n", tinted("all passed", Tone::Good)),
        failed => format!("{all}, {}\n", tinted(&format!("{failed} failed"), Tone::Bad)),
    };
    format!("{text}{summary}")
}

fn describe(problem: &Problem, text: &mut String) {
    let _ = writeln!(text, "        {}", problem.what);
    for line in problem.diff.iter().flat_map(|diff| diff.lines()) {
        let shown = match line.as_bytes().first() {
            Some(b'-') => tinted(line, Tone::Bad),
            Some(b'+') => tinted(line, Tone::Good),
            _ => line.to_owned(),
        };
        let _ = writeln!(text, "        {shown}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_a_folder_only_if_it_is_one() {
        let words = ["src".to_owned(), "one".to_owned()];
        assert_eq!(meant(&words), (Some(PathBuf::from("src")), &words[1..]));
        assert_eq!(meant(&words[1..]), (None, &words[1..]));
        assert_eq!(meant(&[]), (None, &[] as &[String]));
    }
}
