//! The reference page of the functions that scripts can call, made of their doc comments.

use std::fmt::Write;

use rhai::Engine;
use serde_json::Value;

use crate::{functions, library};

const HEAD: &str = "# Functions for scripts

Generated from the source of `scripts/src/functions`: change it there. A function that is shown as `text.trim()` is called on
its first argument; `trim(text)` is the same. Everything else is [Rhai](https://rhai.rs/book/)'s own, without floating-point
numbers (a number with decimals keeps its digits), printing, files, clocks and `eval`.

A function is kept in a `let`, called, or handed to `filter`, `map` and the like, or to a function of the same script. One that
reads variables around it (`|x| x == wanted`) is nothing else: no element, no member, no result. Lists and maps are shown and
compared as far as they are nested 128 deep.

The examples run in a channel in Paris, on 2026-03-01 at 08:00, on this message:

```
{MESSAGE}
```
";

/// The message of the examples.
pub const EXAMPLE: &str = "MSH|^~\\&|LAB|HOP|REC|HOP|20260301080000||ORU^R01^ORU_R01|MSG001|P|2.5
PID|1||12345678^^^HOP^PI~1850312075123^^^INS^INS||DUPONT^JEAN||19850312|M
PV1|1|I|CAR^101^1||||||||||||||||V42
ORC|RE|PL1|FI1
OBR|1|PL1|FI1|K^Potassium^L
OBX|1|NM|K^Potassium^L||6.1|mmol/L|||||P
OBX|2|NM|NA^Sodium^L||4.20|mmol/L|||||P";

/// The page, as Markdown.
pub fn reference() -> String {
    let mut page = HEAD.replace("{MESSAGE}", EXAMPLE);
    for (heading, module) in functions::areas() {
        write!(page, "\n## {heading}\n").expect(TAKES);
        let mut engine = Engine::new_raw();
        engine.register_global_module(module.into());
        let listed = engine.gen_fn_metadata_to_json(false).unwrap_or_default();
        let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
        let mut entries: Vec<String> =
            listed["functions"].as_array().into_iter().flatten().filter_map(entry).collect();
        entries.sort();
        page.extend(entries);
    }
    page
}

const TAKES: &str = "a string takes all that is written";

const LIBRARY_HEAD: &str = "# The shipped scripts

Generated from the scripts that Relais ships (`scripts/`): change it there. `script: relais/oru_to_fhir` runs one as a step; a script
of your own takes the functions of one with `import \"relais/fhir/results\" as results;`. How they are put together, and how a site
changes one line of them, is said in [the guide](../guide/mapping.md). Functions that are not listed are the scripts' own.
";

/// The page of the shipped scripts, as Markdown: their first words, and their documented functions.
pub fn library_reference() -> String {
    let mut page = LIBRARY_HEAD.to_owned();
    for (name, text) in library::SHIPPED {
        let about: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("// ")).collect();
        write!(page, "\n## `{name}`\n\n{}\n", about.join("\n")).expect(TAKES);
        let mut comment: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("///") {
                comment.push(words.strip_prefix(' ').unwrap_or(words));
            } else if let Some(function) = line.strip_prefix("fn ").filter(|_| !comment.is_empty()) {
                let signature = function.split(" {").next().unwrap_or_default();
                write!(page, "\n### `{signature}`\n\n{}\n", comment.join("\n")).expect(TAKES);
                comment.clear();
            } else {
                comment.clear();
            }
        }
    }
    page
}

/// One function; none for a second name of another one.
fn entry(function: &Value) -> Option<String> {
    let name = function["name"].as_str().filter(|name| *name != "to_debug")?;
    let parameters: Vec<(&str, &str)> = function["params"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|parameter| Some((parameter["name"].as_str()?, parameter["type"].as_str()?)))
        .collect();
    let mut text = format!("\n### `{}`\n\n", call(name, &parameters));
    for comment in function["docComments"].as_array().into_iter().flatten() {
        for line in comment.as_str().unwrap_or_default().lines() {
            let line = line.trim_start().trim_start_matches("///");
            writeln!(text, "{}", line.strip_prefix(' ').unwrap_or(line)).expect(TAKES);
        }
    }
    Some(text)
}

/// How a function is written in a script.
fn call(name: &str, parameters: &[(&str, &str)]) -> String {
    let shown: Vec<&str> = parameters.iter().map(|(name, _)| plain(name)).collect();
    let is_method = parameters.first().is_some_and(|(_, kind)| kind.starts_with("&mut"));
    match (name, &*shown) {
        ("index$get$", [on, key]) => format!("{on}[{key}]"),
        ("index$set$", [on, key, value]) => format!("{on}[{key}] = {value}"),
        (operator, [left, right]) if !operator.starts_with(char::is_alphabetic) => {
            format!("{left} {operator} {right}")
        }
        (getter, [on]) if getter.starts_with("get$") => format!("{on}.{}", &getter["get$".len()..]),
        (name, [on, rest @ ..]) if is_method => format!("{on}.{name}({})", rest.join(", ")),
        (name, all) => format!("{name}({})", all.join(", ")),
    }
}

fn plain(parameter: &str) -> &str {
    match parameter.trim_start_matches('_') {
        "message" => "msg",
        other => other,
    }
}
