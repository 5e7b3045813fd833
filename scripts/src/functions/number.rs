//! Numbers that keep their digits.

use std::str::FromStr;

use rhai::{Dynamic, INT, plugin::*};
use rust_decimal::{Decimal, RoundingStrategy};

use super::{Outcome, broke};

/// As many decimals as a number can have.
const MOST_DECIMALS: INT = 28;

#[export_module]
pub(crate) mod functions {
    /// Reads a number; what has decimals keeps all of them. Fails on anything else.
    ///
    /// ```rhai
    /// number("1.50").to_string() == "1.50" && number(" 42 ") + 1 == 43
    /// ```
    #[rhai_fn(return_raw)]
    pub fn number(text: &str) -> Outcome<Dynamic> {
        match read(text) {
            Some(number) => Ok(number),
            None => broke("the text is not a number that can be calculated with"),
        }
    }

    /// Whether a text is a number.
    ///
    /// ```rhai
    /// is_number("-1.5") && !is_number("1,5") && !is_number("<5") && !is_number("")
    /// ```
    pub fn is_number(text: &str) -> bool {
        read(text).is_some()
    }

    /// A number with exactly so many decimals; halves are rounded away from zero.
    ///
    /// ```rhai
    /// rounded(2.345, 2).to_string() == "2.35" && rounded(number("1.5"), 2).to_string() == "1.50"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn rounded(number: Decimal, decimals: INT) -> Outcome<Decimal> {
        if !(0..=MOST_DECIMALS).contains(&decimals) {
            return broke("a number has between 0 and 28 decimals");
        }
        let decimals = decimals as u32;
        let mut number = number.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
        number.rescale(decimals);
        Ok(number)
    }

    /// A whole number with exactly so many decimals.
    ///
    /// ```rhai
    /// rounded(2, 1).to_string() == "2.0"
    /// ```
    #[rhai_fn(name = "rounded", return_raw)]
    pub fn rounded_whole(number: INT, decimals: INT) -> Outcome<Decimal> {
        rounded(number.into(), decimals)
    }
}

pub(crate) fn read(text: &str) -> Option<Dynamic> {
    let text = text.trim();
    let is_plain = |character: char| character.is_ascii_digit() || matches!(character, '.' | '-' | '+');
    if text.is_empty() || !text.chars().all(is_plain) {
        return None;
    }
    if let Ok(whole) = INT::from_str(text) {
        return Some(whole.into());
    }
    Decimal::from_str_exact(text).ok().map(Dynamic::from_decimal)
}
