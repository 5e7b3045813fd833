//! The page: one file without scripts, for a browser or a printer.

use std::fmt::Write as _;

use super::{chart::chart, words::Language};
use crate::api::{Figures, Report};

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn page(report: &Report, language: Language) -> String {
    let name = escaped(&report.channel);
    let title = language.of("Flow report", "Rapport de flux");
    let period =
        format!("{} {} {}", language.day(&report.from), language.of("to", "au"), language.day(&report.to));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{name} – {period}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        language.code()
    );
    let _ = write!(page, "<header><p class=\"kind\">{title}</p><h1>{name}</h1>");
    if let Some(description) = report.description.as_deref().filter(|text| !text.is_empty()) {
        let _ = write!(page, "<p class=\"what\">{}</p>", escaped(description));
    }
    let _ = writeln!(page, "<p class=\"period\">{period}</p></header>");
    let unit = Unit::of(report);
    page.push_str(&figures(&report.total, language));
    page.push_str(&held(&report.total, language));
    page.push_str(&by_day(report, language));
    page.push_str(&reasons(report, unit, language));
    page.push_str(&times(&report.total, unit, language));
    page.push_str(&table(report, language));
    let _ = write!(
        page,
        "<footer><p>{}</p><p>{} {} ({}).</p></footer>\n</main>\n</body>\n</html>\n",
        unit.counting(language),
        language.of("Made", "Établi le"),
        escaped(&made(&report.made, language)),
        escaped(&report.zone),
    );
    page
}

fn made(when: &str, language: Language) -> String {
    match when.split_once(' ') {
        Some((day, time)) => format!("{} {} {time}", language.day(day), language.of("at", "à")),
        None => when.to_owned(),
    }
}

/// What the report counts as one.
#[derive(Clone, Copy)]
enum Unit {
    Message,
    File,
}

impl Unit {
    fn of(report: &Report) -> Self {
        if report.unit == "file" { Self::File } else { Self::Message }
    }

    fn several(self, language: Language) -> &'static str {
        match self {
            Self::Message => "messages",
            Self::File => language.of("files", "fichiers"),
        }
    }

    /// How they are counted.
    fn counting(self, language: Language) -> &'static str {
        match self {
            Self::Message => language.of(
                "A message counts on the day on which it came, once, as it stood when this page was made. One that was run again counts as the one that stands for it. Times are from when a message came to when the last of its destinations had it.",
                "Un message compte au jour de son arrivée, une seule fois, dans l’état où il était quand cette page a été faite. S’il a été relancé, c’est celui qui le remplace qui compte. Les durées vont de l’arrivée d’un message jusqu’à ce que sa dernière destination l’ait reçu.",
            ),
            Self::File => language.of(
                "A file counts on the day on which it was taken, once, as the worst of its messages stood when this page was made. A message that was run again counts as the one that stands for it. Times are from when a file was taken to when the last destination had the last of its messages.",
                "Un fichier compte au jour où il a été pris, une seule fois, comme le plus mauvais de ses messages quand cette page a été faite. Pour un message relancé, c’est celui qui le remplace qui compte. Les durées vont de la prise d’un fichier jusqu’à ce que la dernière destination ait reçu le dernier de ses messages.",
            ),
        }
    }
}

/// How many messages the files held, where that is another number.
fn held(total: &Figures, language: Language) -> String {
    if total.messages == total.received {
        return String::new();
    }
    let number = language.number(total.messages);
    let held = language.of("The files held", "Les fichiers contenaient");
    format!("<p class=\"held\">{held} {number} messages.</p>\n")
}

/// The five numbers that tell the most.
fn figures(total: &Figures, language: Language) -> String {
    let boxes = [
        ("", language.of("Received", "Reçus"), total.received),
        ("ok", language.of("Processed", "Traités"), total.processed + total.unwanted),
        ("bad", language.of("Refused", "Refusés"), total.stopped()),
        ("wait", language.of("Waiting", "En attente"), total.waiting),
        ("wait", language.of("To be decided", "À décider"), total.in_doubt),
    ];
    let mut text = "<section class=\"figures\">".to_owned();
    for (class, name, number) in boxes {
        let class = if number == 0 { "" } else { class };
        let share = if name == boxes[0].1 { String::new() } else { language.share(number, total.received) };
        let _ = write!(
            text,
            "<div class=\"{class}\"><p class=\"name\">{name}</p><p class=\"number\">{}</p><p class=\"share\">{share}</p></div>",
            language.number(number)
        );
    }
    text + "</section>\n"
}

fn by_day(report: &Report, language: Language) -> String {
    let legend = [
        ("ok", language.of("processed", "traités")),
        ("idle", language.of("not wanted", "non retenus")),
        ("wait", language.of("waiting", "en attente")),
        ("bad", language.of("refused", "refusés")),
    ];
    let entry = |(class, name): &(&str, &str)| format!("<span class=\"{class}\"><i></i>{name}</span>");
    let legend = legend.iter().map(entry).collect::<Vec<_>>().concat();
    let heading = language.of("By day", "Par jour");
    format!(
        "<section><h2>{heading}</h2><p class=\"legend\">{legend}</p>{}</section>\n",
        chart(report, language)
    )
}

fn reasons(report: &Report, unit: Unit, language: Language) -> String {
    let heading = language.of("Why messages were refused", "Motifs de refus");
    if report.reasons.is_empty() {
        let none = language.of("None was.", "Aucun message n’a été refusé.");
        return format!("<section><h2>{heading}</h2><p>{none}</p></section>\n");
    }
    let what = match unit {
        Unit::Message => "",
        Unit::File => language.of(
            "<p>In messages: a file may hold several.</p>",
            "<p>En messages : un fichier peut en contenir plusieurs.</p>",
        ),
    };
    let mut text = format!("<section><h2>{heading}</h2>{what}<table class=\"reasons\">");
    for reason in &report.reasons {
        let _ = write!(
            text,
            "<tr><td class=\"n\">{}</td><td>{}</td></tr>",
            language.number(reason.number),
            escaped(&language.reason(reason))
        );
    }
    text + "</table></section>\n"
}

fn times(total: &Figures, unit: Unit, language: Language) -> String {
    let heading = language.of("How long it took", "Délais");
    let (half, most) = (language.time(total.median_ms), language.time(total.p95_ms));
    let units = unit.several(language);
    let words = match language {
        Language::En => format!(
            "Half of the {units} reached their last destination within <b>{half}</b>, 95 % of them within <b>{most}</b>."
        ),
        Language::Fr => format!(
            "La moitié des {units} ont atteint leur dernière destination en <b>{half}</b> au plus, et 95 % en <b>{most}</b> au plus."
        ),
    };
    let none = match unit {
        Unit::Message => language.of("No message was sent.", "Aucun message n’a été envoyé."),
        Unit::File => language.of("No file was sent.", "Aucun fichier n’a été envoyé."),
    };
    let words = if total.median_ms.is_some() { words } else { none.to_owned() };
    format!("<section><h2>{heading}</h2><p>{words}</p></section>\n")
}

fn table(report: &Report, language: Language) -> String {
    let heads = [
        language.of("Day", "Jour"),
        language.of("Received", "Reçus"),
        language.of("Processed", "Traités"),
        language.of("Not wanted", "Non retenus"),
        language.of("Refused", "Refusés"),
        language.of("Waiting", "En attente"),
        language.of("To be decided", "À décider"),
        language.of("Dropped", "Abandonnés"),
        language.of("Median", "Médiane"),
        "95\u{a0}%",
    ];
    let heads = format!("<th>{}</th>", heads.join("</th><th>"));
    let mut text = format!("<section><table class=\"days\"><thead><tr>{heads}</tr></thead><tbody>");
    for day in &report.days {
        text.push_str(&row(&language.day(&day.day), &day.figures, language));
    }
    let total = row(language.of("Total", "Total"), &report.total, language);
    format!("{text}</tbody><tfoot>{total}</tfoot></table></section>\n")
}

fn row(name: &str, of: &Figures, language: Language) -> String {
    let counts = [of.received, of.processed, of.unwanted, of.stopped(), of.waiting, of.in_doubt, of.dropped];
    let cell = |number: u64| {
        let class = if number == 0 { " class=\"zero\"" } else { "" };
        format!("<td{class}>{}</td>", language.number(number))
    };
    let counts = counts.into_iter().map(cell).collect::<Vec<_>>().concat();
    let (median, p95) = (language.time(of.median_ms), language.time(of.p95_ms));
    format!("<tr><th>{name}</th>{counts}<td>{median}</td><td>{p95}</td></tr>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
