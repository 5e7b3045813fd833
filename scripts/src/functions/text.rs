//! Text: what Rhai's own functions on strings lack.

use rhai::{Array, Dynamic, INT, ImmutableString, plugin::*};

use super::Outcome;
use crate::{language::LONGEST_TEXT, pieces::list_of, run::too_large};

#[export_module]
pub(crate) mod functions {
    /// Takes blanks off both ends: gives the text back, and changes the variable it is called on.
    ///
    /// ```rhai
    /// "  DUPONT ".trim() == "DUPONT"
    /// ```
    pub fn trim(text: &mut ImmutableString) -> ImmutableString {
        *text = text.trim().into();
        text.clone()
    }

    /// Replaces one text by another wherever it stands: gives the text back, and changes the variable it is
    /// called on.
    ///
    /// ```rhai
    /// "06.12.34".replace(".", "") == "061234"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn replace(text: &mut ImmutableString, old: &str, new: &str) -> Outcome<ImmutableString> {
        let found = text.matches(old).count();
        if text.len().saturating_add(found.saturating_mul(new.len())) > LONGEST_TEXT {
            return too_large("Length of string");
        }
        *text = text.replace(old, new).into();
        Ok(text.clone())
    }

    /// Fills text up on the left until it has a width.
    ///
    /// ```rhai
    /// pad_left("7", 3, "0") == "007" && pad_left("1234", 3, "0") == "1234"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pad_left(text: &str, width: INT, filler: &str) -> Outcome<String> {
        Ok(padding(text, width, filler)? + text)
    }

    /// Fills text up on the right until it has a width.
    ///
    /// ```rhai
    /// pad_right("A", 3, ".") == "A.."
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pad_right(text: &str, width: INT, filler: &str) -> Outcome<String> {
        Ok(format!("{text}{}", padding(text, width, filler)?))
    }

    /// The first characters of a text: all of it if it is shorter.
    ///
    /// ```rhai
    /// left("DUPONT", 3) == "DUP" && left("A", 3) == "A"
    /// ```
    pub fn left(text: &str, count: INT) -> String {
        text.chars().take(usize::try_from(count).unwrap_or(0)).collect()
    }

    /// The last characters of a text: all of it if it is shorter.
    ///
    /// ```rhai
    /// right("0033612345678", 9) == "612345678"
    /// ```
    pub fn right(text: &str, count: INT) -> String {
        let length = text.chars().count();
        text.chars().skip(length.saturating_sub(usize::try_from(count).unwrap_or(0))).collect()
    }

    /// The same text without accents and ligatures, for systems that know ASCII alone.
    ///
    /// ```rhai
    /// without_accents("Hélène CŒUR Muñoz") == "Helene COEUR Munoz"
    /// ```
    pub fn without_accents(text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        for character in text.chars() {
            match folded(character) {
                Some(letters) => plain.push_str(letters),
                None if ('\u{300}'..='\u{36f}').contains(&character) => {}
                None => plain.push(character),
            }
        }
        plain
    }

    /// The lines of a text, whatever ends them.
    ///
    /// ```rhai
    /// lines("a\r\nb\nc") == ["a", "b", "c"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn lines(text: &str) -> Outcome<Array> {
        let unified = text.replace("\r\n", "\n").replace('\r', "\n");
        list_of(unified.lines().map(|line| Dynamic::from(line.to_owned())))
    }
}

fn padding(text: &str, width: INT, filler: &str) -> Outcome<String> {
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    if missing.saturating_mul(4) > LONGEST_TEXT {
        return too_large("Length of string");
    }
    Ok(filler.chars().cycle().take(missing).collect())
}

/// The ASCII letters for a Latin letter with a mark.
fn folded(character: char) -> Option<&'static str> {
    Some(match character {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'Æ' => "AE",
        'æ' => "ae",
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'Ď' | 'Đ' | 'Ð' => "D",
        'ď' | 'đ' | 'ð' => "d",
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => "E",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => "G",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => "I",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ł' => "L",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => "N",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' => "O",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'Œ' => "OE",
        'œ' => "oe",
        'Ŕ' | 'Ŗ' | 'Ř' => "R",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' => "S",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'Ţ' | 'Ť' | 'Ț' => "T",
        'ţ' | 'ť' | 'ț' => "t",
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => "U",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'Ý' | 'Ÿ' => "Y",
        'ý' | 'ÿ' => "y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}
