//! `relais report`: what became of a channel's messages, as a page for people who run no server.

mod chart;
mod french;
mod page;
mod words;

use std::{fmt::Write as _, fs, io::Write as _, path::PathBuf};

use clap::ValueEnum;

use self::words::Language;
use super::{Complaint, Ending, Exit, Place, json, say_json};
use crate::{api::Report, client::Client};

/// Report what became of a channel's files or messages, by day: how many came, were processed, refused and why, and how long it took.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    channel: String,
    /// The first day: 2026-03-01. Thirty days before the last one, if not given
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day. Today, if not given
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// html is a page that needs nothing else; csv has a line for each day
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Form,
    /// The language of the page
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    language: Language,
    /// Where to write it, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    #[default]
    Html,
    Csv,
    Json,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    let days = [("from", arguments.from.clone()), ("to", arguments.to.clone())];
    let query: Vec<_> = days.into_iter().filter_map(|(name, day)| Some((name, day?))).collect();
    let path = ["channels", &arguments.channel, "report"];
    let report: Report = client.get_patiently(&path, &query).await?;
    let text = match arguments.format {
        Form::Html => page::page(&report, arguments.language),
        Form::Csv => csv(&report),
        Form::Json if arguments.output.is_none() => {
            say_json(&report);
            return Ok(Exit::Done);
        }
        Form::Json => json(&report) + "\n",
    };
    match &arguments.output {
        Some(file) => fs::write(file, text)
            .map_err(|error| Complaint::wrong(format!("cannot write {}: {error}", file.display())))?,
        // A reader that went away has seen enough.
        None => drop(std::io::stdout().write_all(text.as_bytes())),
    }
    Ok(Exit::Done)
}

/// A line for each day, numbers as programs read them.
fn csv(report: &Report) -> String {
    let mut text = "day,received,bytes,processed,unwanted,refused,failed,given_up,in_doubt,waiting,dropped,median_ms,p95_ms,messages\n"
        .to_owned();
    for day in &report.days {
        let of = &day.figures;
        let counts = [
            of.received,
            of.bytes,
            of.processed,
            of.unwanted,
            of.refused,
            of.failed,
            of.given_up,
            of.in_doubt,
            of.waiting,
            of.dropped,
        ];
        let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
        let times =
            [of.median_ms, of.p95_ms].map(|time| time.map(|time| format!("{time:.3}")).unwrap_or_default());
        let _ = writeln!(text, "{},{},{},{}", day.day, counts.join(","), times.join(","), of.messages);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Counted, Day, Figures},
        why::Why,
    };

    pub(super) fn example() -> Report {
        let figures = |received, refused, waiting| Figures {
            received,
            messages: received * 3,
            bytes: received * 900,
            processed: received - refused - waiting,
            refused,
            waiting,
            median_ms: Some(41.0),
            p95_ms: Some(1530.0),
            ..Figures::default()
        };
        let day = |day: &str, figures| Day { day: day.to_owned(), figures };
        Report {
            channel: "clinic <1>".to_owned(),
            description: Some("Results & more".to_owned()),
            zone: "Europe/Paris".to_owned(),
            from: "2026-03-01".to_owned(),
            to: "2026-03-03".to_owned(),
            made: "2026-03-04 08:00".to_owned(),
            unit: "file".to_owned(),
            total: figures(12_345, 3, 2),
            days: vec![
                day("2026-03-01", figures(12_000, 3, 0)),
                day("2026-03-02", Figures::default()),
                day("2026-03-03", figures(345, 0, 2)),
            ],
            reasons: vec![
                Counted { kind: "refused_at".to_owned(), what: Why::ours("IPP"), number: 2 },
                Counted {
                    kind: "unreadable".to_owned(),
                    what: Why::ours("line …, column …: a <quote>"),
                    number: 1,
                },
            ],
        }
    }

    #[test]
    fn a_page_needs_nothing_else_and_no_name_becomes_markup() {
        for (language, words) in [
            (Language::En, ["Received", "12,345", "2026-03-01", "1.5 s", "no “IPP”", "37,035 messages"]),
            (
                Language::Fr,
                [
                    "Reçus",
                    "12\u{202f}345",
                    "01/03/2026",
                    "1,5\u{a0}s",
                    "sans « IPP »",
                    "37\u{202f}035 messages",
                ],
            ),
        ] {
            let page = page::page(&example(), language);
            for word in words {
                assert!(page.contains(word), "`{word}` is missing in\n{page}");
            }
            assert!(page.contains("clinic &lt;1&gt;") && page.contains("Results &amp; more"));
            assert!(!page.contains("clinic <1>") && !page.contains("http") && !page.contains("<script"));
        }
    }

    #[test]
    fn a_table_for_programs_has_a_line_for_each_day() {
        let text = csv(&example());
        assert_eq!(
            text.lines().nth(1),
            Some("2026-03-01,12000,10800000,11997,0,3,0,0,0,0,0,41.000,1530.000,36000")
        );
        assert_eq!(text.lines().count(), 4);
    }
}
