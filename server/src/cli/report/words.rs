//! The words of a report, and how numbers, days and times are written, in each language.

use clap::ValueEnum;

use crate::api::Counted;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Language {
    #[default]
    En,
    Fr,
}

impl Language {
    pub(super) fn code(self) -> &'static str {
        self.of("en", "fr")
    }

    /// The one of two that is in this language.
    pub(super) fn of(self, english: &'static str, french: &'static str) -> &'static str {
        match self {
            Self::En => english,
            Self::Fr => french,
        }
    }

    /// `12,345`, `12 345`
    pub(super) fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let between = self.of(",", "\u{202f}");
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push_str(between);
            }
            text.push(digit);
        }
        text
    }

    /// `98.4 %`
    pub(super) fn share(self, part: u64, of: u64) -> String {
        if of == 0 {
            return "–".to_owned();
        }
        let share = part as f64 * 100.0 / of as f64;
        // A few that failed are never rounded away.
        let text = if part < of && share > 99.95 { "> 99.9".to_owned() } else { format!("{share:.1}") };
        format!("{}\u{a0}%", self.decimal(&text))
    }

    /// A day as this language writes it.
    pub(super) fn day(self, iso: &str) -> String {
        match (self, iso.split('-').collect::<Vec<_>>().as_slice()) {
            (Self::Fr, [year, month, day]) => format!("{day}/{month}/{year}"),
            _ => iso.to_owned(),
        }
    }

    /// `41 ms`, `1.5 s`, `3 min`, `2.1 h`
    pub(super) fn time(self, milliseconds: Option<f64>) -> String {
        let Some(ms) = milliseconds else { return "–".to_owned() };
        let (value, unit) = match ms {
            _ if ms < 999.5 => (format!("{ms:.0}"), "ms"),
            _ if ms < 59_950.0 => (format!("{:.1}", ms / 1e3), "s"),
            _ if ms < 3_570_000.0 => (format!("{:.0}", ms / 6e4), "min"),
            _ => (format!("{:.1}", ms / 3.6e6), "h"),
        };
        match self {
            Self::En => format!("{value} {unit}"),
            Self::Fr => format!("{}\u{a0}{unit}", self.decimal(&value)),
        }
    }

    fn decimal(self, text: &str) -> String {
        match self {
            Self::En => text.to_owned(),
            Self::Fr => text.replace('.', ","),
        }
    }

    /// A reason in a sentence of a few words.
    pub(super) fn reason(self, reason: &Counted) -> String {
        let what = reason.what.words();
        match (self, reason.kind.as_str()) {
            (Self::En, "unreadable") => format!("unreadable: {what}"),
            (Self::En, "refused_at") => format!("refused by a rule: wrong, or no “{what}”"),
            (Self::En, "failed") => format!("our own processing failed in {what}"),
            (Self::En, "given_up") => format!("refused by the destination “{what}”"),
            (Self::En, _) => "refused by a rule".to_owned(),
            (Self::Fr, "unreadable") => format!("illisible : {}", super::french::said(what)),
            (Self::Fr, "refused_at") => format!("refusé par une règle : erroné, ou sans « {what} »"),
            (Self::Fr, "failed") => format!("notre propre traitement a échoué : {what}"),
            (Self::Fr, "given_up") => format!("refusé par la destination « {what} »"),
            (Self::Fr, _) => "refusé par une règle".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_shares_are_written_as_people_read_them() {
        let english = Language::En;
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(|number| english.number(number)),
            ["0", "999", "1,000", "1,234,567"]
        );
        let times =
            [None, Some(0.4), Some(999.4), Some(61_000.0), Some(7.2e6)].map(|time| english.time(time));
        assert_eq!(times, ["–", "0 ms", "999 ms", "1 min", "2.0 h"]);
        assert_eq!(english.share(999_999, 1_000_000), "> 99.9\u{a0}%");
        assert_eq!((english.share(1, 1), english.share(0, 0)), ("100.0\u{a0}%".to_owned(), "–".to_owned()));
    }
}
