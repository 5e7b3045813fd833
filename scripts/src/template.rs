//! Text with `${…}` in it: `$${` is a plain `${`.

use rhai::Dynamic;

use crate::{
    code::Code,
    ending::Stopped,
    given::Given,
    part,
    paths::{AnyPath, Written},
};

/// Whether a text holds an expression: `${…}`, where `$${` is a plain `${`.
pub fn is_template(text: &str) -> bool {
    next_expression(text).is_some()
}

/// A text without expressions as it shall leave: `$${` becomes `${`.
pub fn unescape(text: &str) -> String {
    text.replace("$${", "${")
}

/// Where the next `${` stands that is no `$${`.
fn next_expression(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        if !text[from..at].ends_with('$') {
            return Some(at);
        }
        from = at + 2;
    }
    None
}

/// A part of a template as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk<'a> {
    Text(String),
    Expression {
        code: &'a str,
        /// Lines before it, and characters before it in its first line.
        line: usize,
        column: usize,
    },
}

/// Takes a template apart; the error is the line and column, from 1, of a `${` without its `}`.
pub(crate) fn chunks(template: &str) -> Result<Vec<Chunk<'_>>, (usize, usize)> {
    let mut chunks = Vec::new();
    let mut from = 0;
    while let Some(at) = next_expression(&template[from..]).map(|at| from + at) {
        if at > from {
            chunks.push(Chunk::Text(unescape(&template[from..at])));
        }
        let start = at + 2;
        let (line, column) = place(&template[..start]);
        let end = closing_brace(&template[start..]).ok_or((line + 1, column - 1))?;
        chunks.push(Chunk::Expression { code: &template[start..start + end], line, column });
        from = start + end + 1;
    }
    if from < template.len() || chunks.is_empty() {
        chunks.push(Chunk::Text(unescape(&template[from..])));
    }
    Ok(chunks)
}

fn place(before: &str) -> (usize, usize) {
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count());
    (line, column)
}

/// Where the `}` stands that ends an expression: braces, strings and comments within it are passed over.
fn closing_brace(code: &str) -> Option<usize> {
    let bytes = code.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'"' | b'\'' => at = end_of_quoted(bytes, at)?,
            b'`' => at = end_of_ticked(code, at)?,
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = code[at..].find('\n').map_or(code.len(), |end| at + end);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => at += code[at..].find("*/")? + 1,
            _ => {}
        }
        at += 1;
    }
    None
}

fn end_of_quoted(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while *bytes.get(at)? != bytes[start] {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    Some(at)
}

/// Back-tick strings hold expressions of their own.
fn end_of_ticked(code: &str, start: usize) -> Option<usize> {
    let bytes = code.as_bytes();
    let mut at = start + 1;
    while *bytes.get(at)? != b'`' {
        if code[at..].starts_with("${") {
            at += 2 + closing_brace(&code[at + 2..])?;
        }
        at += 1;
        while !code.is_char_boundary(at) {
            at += 1;
        }
    }
    Some(at)
}

/// A template, compiled.
#[derive(Clone)]
pub(crate) enum Template {
    Plain(String),
    /// One expression and nothing else: its value keeps its kind.
    Value(Code),
    Mixed(Vec<Mixed>),
}

#[derive(Clone)]
pub(crate) enum Mixed {
    Text(String),
    Code(Code),
}

impl Template {
    /// Works the template out as text.
    pub(crate) fn text(&self, given: &Given<'_>) -> Result<String, Stopped> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Value(code) => text_of(code, given),
            Self::Mixed(chunks) => chunks
                .iter()
                .map(|chunk| match chunk {
                    Mixed::Text(text) => Ok(text.clone()),
                    Mixed::Code(code) => text_of(code, given),
                })
                .collect(),
        }
    }

    /// Works it out and writes it to a path of the message.
    pub(crate) fn write(
        &self,
        path: &AnyPath,
        given: &Given<'_>,
        form: &mut crate::form::Form,
    ) -> Result<(), Stopped> {
        let Self::Value(code) = self else {
            let text = self.text(given)?;
            return path.write(form, Written::Text(text)).map_err(Stopped::broke);
        };
        let value = code.run(given.engine, &mut given.scope(code.reads)?)?;
        written(&value, form).and_then(|written| path.write(form, written)).map_err(|why| code.misfit(why))
    }
}

fn written(value: &Dynamic, form: &crate::form::Form) -> Result<Written, String> {
    match form {
        crate::form::Form::Json(_) => part::for_member(value),
        _ => part::for_field(value),
    }
}

fn text_of(code: &Code, given: &Given<'_>) -> Result<String, Stopped> {
    let value = code.run(given.engine, &mut given.scope(code.reads)?)?;
    part::for_text(&value).map_err(|why| code.misfit(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(template: &str) -> Vec<(&str, usize, usize)> {
        let expression = |chunk| match chunk {
            Chunk::Expression { code, line, column } => Some((code, line, column)),
            Chunk::Text(_) => None,
        };
        chunks(template).unwrap().into_iter().filter_map(expression).collect()
    }

    #[test]
    fn an_expression_may_hold_braces_quotes_and_back_ticks() {
        assert_eq!(codes("a ${#{a: 1}.a} b"), [("#{a: 1}.a", 0, 4)]);
        assert_eq!(codes(r#"${"}" + '}'}"#), [(r#""}" + '}'"#, 0, 2)]);
        assert_eq!(codes("${`é}${\"}\"}`}x"), [("`é}${\"}\"}`", 0, 2)]);
        assert_eq!(codes("${1 /* } */}"), [("1 /* } */", 0, 2)]);
        assert_eq!(codes("a\n  ${b}${c}"), [("b", 1, 4), ("c", 1, 8)]);
    }

    #[test]
    fn a_dollar_before_it_makes_it_plain() {
        assert!(!is_template("$${x}") && is_template("$${x} ${y}") && !is_template("$ {x}"));
        assert_eq!(unescape("$${x}"), "${x}");
        assert_eq!(chunks("$${x}").unwrap(), [Chunk::Text("${x}".to_owned())]);
    }

    #[test]
    fn an_expression_without_its_end_is_told_with_its_place() {
        assert_eq!(chunks("ab\n ${c"), Err((2, 2)));
        assert_eq!(chunks("${\"}"), Err((1, 1)));
    }
}
