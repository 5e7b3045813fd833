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

/// The connection is kept for the next request.
pub(super) async fn attend(mut stream: TcpStream, mut taking: Taking) {
    let mut read = BytesMut::new();
    loop {
        match find(&read) {
            Found::Whole { mark, length } => {
                read.advance(length);
                taking.take(mark).await;
                if stream.write_all(CREATED.as_bytes()).await.is_err() {
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
    /// A request, so long with its body, and what its path says about the message.
    Whole {
        mark: Mark,
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

/// Reads whose message it is, from the end of the path, and how long the body is.
fn read_head(head: &[u8]) -> Option<(Mark, usize)> {
    let mut lines = str::from_utf8(head).ok()?.split("\r\n");
    let path = lines.next()?.strip_prefix("PUT ")?.strip_suffix(" HTTP/1.1")?;
    let (_, control_id) = path.rsplit_once('/')?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    Some((Mark::parse(control_id)?, length?.parse().ok()?))
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
        let mark = Mark::parse("1-2-3-4").unwrap();
        let whole = Found::Whole { mark, length: REQUEST.len() };
        assert_eq!(find(REQUEST), whole);
        assert_eq!(find(&[REQUEST, b"PUT /"].concat()), whole);
    }

    #[test]
    fn what_no_measured_channel_sends_is_wrong() {
        let text = str::from_utf8(REQUEST).unwrap();
        for (from, to) in [("PUT", "POST"), ("1-2-3-4", "hello"), ("Content-Length: 2", "a: b")] {
            assert_eq!(find(text.replace(from, to).as_bytes()), Found::Wrong, "{to}");
        }
        assert_eq!(find(&[b'a'; LONGEST_HEAD]), Found::Wrong);
    }
}
