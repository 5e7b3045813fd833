//! What databases have in common: the names of what a query is asked by.

/// A query, cut at its parameters: `:code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Its parameters, each once, in the order they come.
    pub(super) keys: Vec<String>,
    /// The query with `$1`, `$2`… in their place.
    pub(super) numbered: String,
}

impl Query {
    /// Finds the parameters outside of quotes and comments. `::` is a cast.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim().trim_end_matches(';');
        let mut query = Self { keys: Vec::new(), numbered: String::new() };
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let taken = match letter {
                '\'' | '"' => quoted(rest, letter),
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                ':' if rest.starts_with("::") => 2,
                ':' => query.parameter(&rest[1..]),
                other => other.len_utf8(),
            };
            if letter != ':' || rest.starts_with("::") || taken == 1 {
                query.numbered.push_str(&rest[..taken]);
            }
            rest = &rest[taken..];
        }
        query
    }

    /// Puts a number in the place of a parameter; says how much of the text it took, colon included.
    fn parameter(&mut self, text: &str) -> usize {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let name: String = text.chars().take_while(|letter| is_part(*letter)).collect();
        if !name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') {
            return 1;
        }
        let place = self.keys.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.keys.push(name.clone());
            self.keys.len() - 1
        });
        self.numbered.push('$');
        self.numbered.push_str(&(place + 1).to_string());
        1 + name.len()
    }
}

/// The length of a text in quotes; two of them within it are one.
fn quoted(text: &str, quote: char) -> usize {
    let mut end = 1;
    while let Some(found) = text[end..].find(quote) {
        end += found + 1;
        if !text[end..].starts_with(quote) {
            return end;
        }
        end += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_where_they_are_no_text_and_no_cast() {
        let query = Query::read(
            "select ':no' \"a:b\", x::text -- :not\n/* :nor */ from t where a = :code and b = :site::int and c = :code;",
        );
        assert_eq!(query.keys, ["code", "site"]);
        assert_eq!(
            query.numbered,
            "select ':no' \"a:b\", x::text -- :not\n/* :nor */ from t where a = $1 and b = $2::int and c = $1"
        );
        assert_eq!(Query::read("select a[1:2], 'it''s :x' from é").keys, [""; 0]);
    }
}
