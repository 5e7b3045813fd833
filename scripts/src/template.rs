//! Text with `${…}` in it.

/// Whether a text holds an expression: `${…}`, where `$${` is a plain `${`.
pub fn is_template(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if !rest[..at].ends_with('$') {
            return true;
        }
        rest = &rest[at + 2..];
    }
    false
}

/// A text without expressions as it shall leave: `$${` becomes `${`.
pub fn unescape(text: &str) -> String {
    text.replace("$${", "${")
}
