//! The console's own files: the same for everybody, no data in them.

use std::{borrow::Cow, path::PathBuf};

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::problem;
use crate::accounts::secret::hex;

/// Nothing from elsewhere, nothing in the page itself, and no page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Where whoever works on the console has its files; a release does not look there.
const FOLDER: &str = "RELAIS_CONSOLE";

macro_rules! files {
    ($($name:literal: $kind:expr),* $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../../../console/", $name)))),*]
    };
}

/// Name, type and text of each.
const FILES: &[(&str, &str, &str)] = files![
    "index.html": HTML,
    "console.css": STYLE,
    "screens.css": STYLE,
    "relais.svg": PICTURE,
    "main.js": SCRIPT,
    "many.js": SCRIPT,
    "act.js": SCRIPT,
    "api.js": SCRIPT,
    "channel.js": SCRIPT,
    "channels.js": SCRIPT,
    "chart.js": SCRIPT,
    "content.js": SCRIPT,
    "difference.js": SCRIPT,
    "dom.js": SCRIPT,
    "find.js": SCRIPT,
    "history.js": SCRIPT,
    "hl7.js": SCRIPT,
    "hl7_fr.js": SCRIPT,
    "live.js": SCRIPT,
    "logs.js": SCRIPT,
    "message.js": SCRIPT,
    "now.js": SCRIPT,
    "peers.js": SCRIPT,
    "rhythm.js": SCRIPT,
    "rules.js": SCRIPT,
    "sign_in.js": SCRIPT,
    "standing.js": SCRIPT,
    "system.js": SCRIPT,
    "trust.js": SCRIPT,
    "words.js": SCRIPT,
    "words_en.js": SCRIPT,
    "words_fr.js": SCRIPT,
];

pub(super) async fn first(headers: HeaderMap) -> Response {
    file("index.html", &headers).await
}

pub(super) async fn named(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers).await
}

async fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some((name, kind, text)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return problem::nothing_here().await.into_response();
    };
    let text = edited(name).await.map_or(Cow::Borrowed(*text), Cow::Owned);
    let tag = tag(&text);
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|asked| *asked == tag);
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    let said = response.headers_mut();
    said.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    said.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    said.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    said.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Asked for anew each time, and sent only where it differs: another version is seen at once.
    said.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    said.insert(header::ETAG, tag);
    response
}

fn tag(text: &str) -> HeaderValue {
    let shown = hex(&Sha256::digest(text.as_bytes())[..8]);
    HeaderValue::try_from(format!("\"{shown}\"")).expect("digits and letters fit a header")
}

/// The file as it is on disk, where whoever works on the console says so. Not in a release.
async fn edited(name: &str) -> Option<String> {
    if !cfg!(debug_assertions) {
        return None;
    }
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    tokio::fs::read_to_string(folder.join(name)).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_console_is_served() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../console");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<&str> = FILES.iter().map(|(name, ..)| *name).collect();
        there.sort();
        served.sort_unstable();
        assert_eq!(served, there);
    }

    #[test]
    fn every_module_is_asked_for_at_once() {
        let (_, _, page) = FILES.iter().find(|(name, ..)| *name == "index.html").unwrap();
        for (name, ..) in FILES.iter().filter(|(name, kind, _)| *kind == SCRIPT && *name != "main.js") {
            let asked = format!("<link rel=\"modulepreload\" href=\"/console/{name}\">");
            assert!(page.contains(&asked), "{name} is found only once another module is read");
        }
    }

    /// The keys of a file of words, in its order.
    fn keys(name: &str) -> Vec<&'static str> {
        let (_, _, text) = FILES.iter().find(|(known, ..)| *known == name).unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix("  \"")?.split_once("\": \"").map(|(key, _)| key))
            .collect()
    }

    #[test]
    fn both_languages_have_the_same_words() {
        let english = keys("words_en.js");
        assert!(english.len() > 300, "{}", english.len());
        assert_eq!(english, keys("words_fr.js"));
    }

    #[test]
    fn every_word_that_is_said_is_there() {
        let english = keys("words_en.js");
        let is_known = |key: &str| {
            let is_of = |known: &&str| **known == *key || **known == format!("{key}.other");
            english.iter().any(is_of)
        };
        let scripts = FILES.iter().filter(|(name, kind, _)| *kind == SCRIPT && !name.starts_with("words_"));
        let mut said = 0;
        for (name, _, text) in scripts {
            for after in text.split("say(\"").skip(1) {
                let key = after.split('"').next().unwrap();
                assert!(is_known(key), "{name} says `{key}`, which no language has");
                said += 1;
            }
        }
        assert!(said > 100, "{said}");
    }

    /// The names of fields in a file, by segment.
    fn fields(name: &str) -> std::collections::BTreeMap<&'static str, Vec<&'static str>> {
        let (_, _, text) = FILES.iter().find(|(known, ..)| *known == name).unwrap();
        let segments = text.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(": \""));
        let segments = segments.filter(|(segment, _)| segment.len() == 3);
        segments
            .map(|(segment, names)| (segment, names.trim_end_matches("\",").split('|').collect()))
            .collect()
    }

    #[test]
    fn each_field_that_has_a_french_name_is_a_field() {
        // The segments of IHE PAM in France, with as many fields as its version 2.11 gives them.
        const OF_FRANCE: [(&str, usize); 6] =
            [("ZFA", 12), ("ZFD", 8), ("ZFM", 5), ("ZFP", 2), ("ZFS", 8), ("ZFV", 11)];
        let (english, french) = (fields("hl7.js"), fields("hl7_fr.js"));
        for segment in ["MSH", "EVN", "PID", "PV1", "ORC", "OBR", "OBX", "NTE", "MSA", "ERR", "ZBE"] {
            let (ours, theirs) = (&french[segment], &english[segment]);
            assert_eq!(ours.len(), theirs.len(), "{segment}");
        }
        let known =
            |segment: &str| OF_FRANCE.iter().find(|(one, _)| *one == segment).map(|(_, number)| *number);
        for (segment, names) in &french {
            let number = english.get(segment).map(Vec::len).or_else(|| known(segment));
            assert!(
                number.is_some_and(|number| names.len() <= number),
                "{segment} has no field {}",
                names.len()
            );
            assert!(names.iter().all(|name| !name.trim().is_empty()), "{segment}: {names:?}");
        }
        assert_eq!(french.len(), 11 + OF_FRANCE.len());
    }

    #[test]
    fn what_the_audit_log_calls_a_deed_is_said_in_both_languages() {
        let english = keys("words_en.js");
        // Of what everybody may ask for there is no line.
        let places = super::super::paths::all();
        let places = places.iter().filter(|place| place.method != "get" || !place.rights.is_empty());
        let others = [
            "see content",
            "see reasons",
            "search by content",
            "search in contents",
            "sent many messages again",
            "sign in",
        ];
        for deed in places.map(|place| place.words).chain(others) {
            let key = format!("deed.{}", deed.replace(' ', "_"));
            assert!(english.contains(&key.as_str()), "no language has `{key}`");
        }
    }

    #[test]
    fn nothing_of_the_console_reads_text_as_html() {
        for (name, _, text) in FILES {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "http://",
                "https://",
            ] {
                let found = text
                    .match_indices(word)
                    .filter(|(at, _)| !text[*at..].starts_with("http://www.w3.org/2000/svg"));
                assert_eq!(found.count(), 0, "{name} holds `{word}`");
            }
        }
    }
}
