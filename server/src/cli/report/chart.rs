//! A small chart: a bar for each day, of what was processed, what was stopped and what waits.

use std::fmt::Write as _;

use super::words::Language;
use crate::api::Report;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 200.0;
/// Room for the numbers on the left and the days below.
const LEFT: f64 = 64.0;
const BELOW: f64 = 26.0;

/// The chart, as SVG that stands in a page.
pub(super) fn chart(report: &Report, language: Language) -> String {
    let most = report.days.iter().map(|day| day.figures.received).max().unwrap_or(0);
    let top = round_up(most);
    let room = HEIGHT - BELOW - 8.0;
    let height = |number: u64| number as f64 * room / top as f64;
    let step = (WIDTH - LEFT) / report.days.len().max(1) as f64;
    let bar = (step * 0.78).clamp(0.6, 44.0);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        language.of("Messages by day", "Messages par jour")
    );
    for quarter in [0, 2, 4] {
        let number = top * quarter / 4;
        let y = HEIGHT - BELOW - height(number);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            language.number(number)
        );
    }
    // As many days below as have room.
    let each = (report.days.len() as f64 * 78.0 / (WIDTH - LEFT)).ceil().max(1.0) as usize;
    for (place, day) in report.days.iter().enumerate() {
        let of = &day.figures;
        let x = LEFT + step * (place as f64 + 0.5);
        let _ = write!(svg, "<g><title>{}: {}</title>", language.day(&day.day), language.number(of.received));
        let mut y = HEIGHT - BELOW;
        for (class, number) in [
            ("ok", of.processed),
            ("idle", of.unwanted + of.dropped),
            ("wait", of.waiting + of.in_doubt),
            ("bad", of.stopped()),
        ] {
            if number > 0 {
                // Few among many are to be seen.
                let tall = height(number).max(1.5);
                y -= tall;
                let left = x - bar / 2.0;
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"{tall:.1}\"/>"
                );
            }
        }
        svg.push_str("</g>");
        if place % each == 0 {
            let short = language.day(&day.day);
            let short = if language == Language::Fr { &short[..5] } else { &short[5..] };
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{short}</text>",
                HEIGHT - 8.0
            );
        }
    }
    svg + "</svg>"
}

/// The next round number whose half is whole.
fn round_up(most: u64) -> u64 {
    if most <= 10 {
        return most.next_multiple_of(2).max(4);
    }
    let mut unit = 10;
    loop {
        if let Some(times) = [2, 3, 4, 5, 6, 8, 10].into_iter().find(|times| most <= unit * times) {
            return unit * times;
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!([0, 4, 5, 9, 21, 42_692, 1_000_001].map(round_up), [4, 4, 6, 10, 30, 50_000, 2_000_000]);
    }
}
