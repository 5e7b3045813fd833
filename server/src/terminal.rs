//! What people see: aligned columns, short times and sizes, colour where a terminal shows it.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
    time::Duration,
};

use channels::Colour;

/// Whether standard output shows colours.
pub(crate) fn colour() -> Colour {
    let shown = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if shown { Colour::Styled } else { Colour::Plain }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Faint,
}

/// The text in its tone, plain where colours do not show.
pub(crate) fn tinted(text: &str, tone: Tone) -> String {
    if colour() == Colour::Plain {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => 32,
        Tone::Warning => 33,
        Tone::Bad => 31,
        Tone::Faint => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// The tone of a state's word.
pub(crate) fn tone_of(state: &str) -> Tone {
    match state {
        "running" | "sent" | "accepted" | "queued" | "passed" | "AA" | "CA" => Tone::Good,
        "broken" | "failed" | "refused" | "given_up" | "AE" | "AR" | "CE" | "CR" => Tone::Bad,
        "disabled" | "dropped" | "superseded" | "filtered" => Tone::Faint,
        _ => Tone::Warning,
    }
}

/// Rows under their heads, each column as wide as its widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn headed(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The whole table; the head faint, the words of `tinted_column` in the tone of their state.
    pub(crate) fn render(&self, tinted_column: Option<usize>) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                let shown = match tinted_column {
                    _ if number == 0 => tinted(cell, Tone::Faint),
                    Some(tinted_at) if tinted_at == column => tinted(cell, tone_of(cell)),
                    _ => cell.clone(),
                };
                let _ = write!(line, "{shown}{padding}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        (0..columns)
            .map(|column| {
                self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
            })
            .map(|widest| widest.unwrap_or(0))
            .collect()
    }
}

/// `1 message`, `3 messages`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix("ry")) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ries"),
        _ => format!("{number} {noun}s"),
    }
}

/// `850 µs`, `12 ms`, `4.2 s`, `7 min`, `3 h 20 min`, `2 days`.
pub(crate) fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time < Duration::from_millis(1) => format!("{} µs", time.as_micros()),
        0 if time < Duration::from_millis(10) => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        0 => format!("{} ms", time.as_millis()),
        1..=9 => format!("{:.1} s", time.as_secs_f64()),
        10..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => counted(seconds / 86_400, "day"),
    }
}

/// `512 bytes`, `12 KB`, `3.4 MB`: decimal, as disks are sold.
pub(crate) fn sized(bytes: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)];
    let whole = bytes as f64;
    match UNITS.iter().find(|(_, unit)| whole >= *unit) {
        None => counted(bytes, "byte"),
        Some((name, unit)) if whole / unit < 9.95 => format!("{:.1} {name}", whole / unit),
        Some((name, unit)) => format!("{:.0} {name}", whole / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_a_person_would_use() {
        let told = [
            (Duration::from_micros(850), "850 µs"),
            (Duration::from_micros(2_400), "2.4 ms"),
            (Duration::from_millis(12), "12 ms"),
            (Duration::from_millis(4_200), "4.2 s"),
            (Duration::from_secs(90), "90 s"),
            (Duration::from_secs(450), "7 min"),
            (Duration::from_mins(200), "3 h 20 min"),
            (Duration::from_secs(200_000), "2 days"),
        ];
        for (time, words) in told {
            assert_eq!(lasting(time), words);
        }
    }

    #[test]
    fn sizes_have_at_most_two_digits_that_matter() {
        assert_eq!(sized(1), "1 byte");
        assert_eq!(sized(512), "512 bytes");
        assert_eq!(sized(12_400), "12 KB");
        assert_eq!(sized(3_440_000), "3.4 MB");
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(counted(1, "delivery"), "1 delivery");
        assert_eq!(counted(0, "delivery"), "0 deliveries");
        assert_eq!(counted(3, "message"), "3 messages");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::headed(&["NAME", "STATE"]);
        table.row(["lab-results".to_owned(), "running".to_owned()]);
        table.row(["é".to_owned(), "stopped".to_owned()]);
        assert_eq!(table.render(None), "NAME         STATE\nlab-results  running\né            stopped\n");
    }
}
