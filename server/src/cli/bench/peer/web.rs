//! One connection of a peer that receives over HTTP/1.1: takes what is put, and says that it was created.

use std::{str, sync::LazyLock};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{super::oru::Mark, Taking};

/// The longest head taken.
const LONGEST_HEAD: usize = 16 * 1024;
/// The longest body taken.
const LONGEST_BODY: usize = 64_000_000;

const OUTCOME: &str =
    r#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}"#;

/// The answer to each, of a fixed form: the peer must cost little.
static CREATED: LazyLock<String> = LazyLock::new(|| {
    let length = OUTCOME.len();
    format!(
        "HTTP/1.1 201 Created\r\nContent-Type: application/fhir+json\r\nContent-Length: {length}\r\n\r\n{OUTCOME}"
    )
});

const NOBODY: &str = r#"{"resourceType":"Bundle","type":"searchset","total":0}"#;

/// The answer to a search: nothing is found.
static NOTHING: LazyLock<String> = LazyLock::new(|| {
    let length = NOBODY.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: {length}\r\n\r\n{NOBODY}"
    )
});

/// The connection is kept for the next request.
pub(super) async fn attend(mut stream: TcpStream, mut taking: Taking) {
    let mut read = BytesMut::new();
    loop {
        match find(&read) {
            Found::Whole { mark, length } => {
                read.advance(length);
                let answer = match mark {
                    Some(mark) => {
                        taking.take(mark).await;
                        &CREATED
                    }
                    None => &NOTHING,
                };
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Found::Wrong => return,
            Found::Part => match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
        }
    }
}

/// What stands at the beginning of the bytes that came.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A request, so long with its body, and what its path or its header `x-message` says about the message; nothing of a search.
    Whole {
        mark: Option<Mark>,
        length: usize,
    },
    Part,
    /// Nothing that a measured channel sends.
    Wrong,
}

fn find(bytes: &[u8]) -> Found {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() < LONGEST_HEAD { Found::Part } else { Found::Wrong };
    };
    match read_head(&bytes[..end]) {
        Some((mark, body)) if body <= LONGEST_BODY => {
            let length = end + 4 + body;
            if length <= bytes.len() { Found::Whole { mark, length } } else { Found::Part }
        }
        _ => Found::Wrong,
    }
}

/// Reads whose message it is, and how long the body is.
fn read_head(head: &[u8]) -> Option<(Option<Mark>, usize)> {
    let (first, headers) = str::from_utf8(head).ok()?.split_once("\r\n")?;
    let header = |wanted: &str| {
        headers.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let (method, path) = first.strip_suffix(" HTTP/1.1")?.split_once(' ')?;
    match method {
        "GET" => Some((None, 0)),
        "PUT" => {
            Some((Some(Mark::parse(path.rsplit_once('/')?.1)?), header("content-length")?.parse().ok()?))
        }
        "POST" => Some((Some(Mark::parse(header("x-message")?)?), header("content-length")?.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"PUT /fhir/Bundle/1-2-3-4 HTTP/1.1\r\nhost: a\r\nContent-Length: 2\r\n\r\n{}";

    #[test]
    fn a_request_is_whole_when_all_of_its_body_has_come() {
        for end in 0..REQUEST.len() {
            assert_eq!(find(&REQUEST[..end]), Found::Part);
        }
        let mark = Mark::parse("1-2-3-4");
        let whole = Found::Whole { mark, length: REQUEST.len() };
        assert_eq!(find(REQUEST), whole);
        assert_eq!(find(&[REQUEST, b"PUT /"].concat()), whole);
        let posted = b"POST /fhir HTTP/1.1\r\nX-Message: 1-2-3-4\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(find(posted), Found::Whole { mark: Mark::parse("1-2-3-4"), length: posted.len() });
        let search = b"GET /fhir/Patient?identifier=a HTTP/1.1\r\nhost: a\r\n\r\n";
        assert_eq!(find(search), Found::Whole { mark: None, length: search.len() });
    }

    #[test]
    fn what_no_measured_channel_sends_is_wrong() {
        let text = str::from_utf8(REQUEST).unwrap();
        for (from, to) in
            [("PUT", "DELETE"), ("PUT", "POST"), ("1-2-3-4", "hello"), ("Content-Length: 2", "a: b")]
        {
            assert_eq!(find(text.replace(from, to).as_bytes()), Found::Wrong, "{to}");
        }
        assert_eq!(find(&[b'a'; LONGEST_HEAD]), Found::Wrong);
    }
}
