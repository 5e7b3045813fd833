//! What an HTTP destination sends, and what it makes of everything a server may answer or not answer.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{path::Path, time::Duration};

use engine::{Destination, Doubt, Hindrance, Outbound, Response, SendError};
use serde_json::{Value, json};
use stage::{Asked, Web, destination, free_address, message, outbound, says};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn open(mut settings: Value, web: &Web) -> Box<dyn Destination> {
    if settings["url"].is_null() {
        settings["url"] = web.url("/orders");
    }
    destination("http", settings, Path::new(".")).await
}

/// Sends one message, which the server answers so.
async fn exchange(settings: Value, answer: impl AsRef<[u8]>) -> (Result<Response, SendError>, Asked) {
    let web = Web::open().await;
    let destination = open(settings, &web).await;
    let message = outbound(message("M-1"));
    let (sent, (asked, _guest)) = tokio::join!(destination.send(&message), web.answer(answer));
    (sent, asked)
}

fn with_texts(texts: &[(&str, &str)]) -> Outbound {
    let mut outbound = outbound(message("M-1"));
    outbound.texts = texts.iter().map(|(at, text)| ((*at).to_owned(), (*text).to_owned())).collect();
    outbound
}

fn why(result: &Result<Response, SendError>) -> String {
    result.as_ref().unwrap_err().to_string()
}

#[track_caller]
fn assert_unknown(result: &Result<Response, SendError>) {
    assert!(matches!(result, Err(SendError::Unknown { .. })), "{result:?}");
}

#[track_caller]
fn assert_not_delivered(result: &Result<Response, SendError>) {
    assert!(matches!(result, Err(SendError::NotDelivered { .. })), "{result:?}");
}

#[tokio::test]
async fn a_message_is_the_body_of_a_post_and_its_answer_is_kept() {
    let answer = says(201, &["Location: /orders/7", "Set-Cookie: a=b"], "{\"id\": 7}");
    let (sent, asked) = exchange(json!({ "headers": { "X-From": "relais" } }), answer).await;
    assert_eq!(asked.line, "POST /orders HTTP/1.1");
    assert_eq!(asked.text(), message("M-1"));
    assert_eq!(asked.header("x-from"), Some("relais"));
    assert_eq!(asked.header("content-type"), Some("application/hl7-v2"));
    assert!(asked.header("host").unwrap().starts_with("127.0.0.1:"));
    let response = sent.unwrap();
    assert_eq!(response.body.unwrap(), "{\"id\": 7}");
    assert_eq!(response.facts["status"], 201);
    assert_eq!(response.facts["headers"]["location"], "/orders/7");
    assert!(response.facts["headers"].get("set-cookie").is_none());
}

#[tokio::test]
async fn what_was_made_of_the_message_is_sent_encoded_and_only_where_it_belongs() {
    let web = Web::open().await;
    let settings = json!({
        "url": web.url("/patients/${msg[\"PID-3\"]}"), "method": "${out}", "query": { "ward": "${x}", "from": "a b" },
        "headers": { "X-Id": "${y}" }, "content_type": "${z}",
    });
    let destination = open(settings, &web).await;
    let outbound = with_texts(&[
        ("url", "http://frozen.example.org:9/patients/4 2/../é?x=1#part"),
        ("method", "put"),
        ("query.ward", "É&?#"),
        ("headers.X-Id", "M-1"),
        ("content_type", "text/hl7"),
    ]);
    let (sent, (asked, _guest)) = tokio::join!(destination.send(&outbound), web.answer(says(200, &[], "")));
    sent.unwrap();
    assert_eq!(asked.line, "PUT /patients/%C3%A9?x=1&from=a+b&ward=%C3%89%26%3F%23 HTTP/1.1");
    assert_eq!(asked.header("x-id"), Some("M-1"));
    assert_eq!(asked.header("content-type"), Some("text/hl7"));
    assert_eq!(asked.header("host").unwrap(), web.address.to_string(), "the server is the one of today");
}

#[tokio::test]
async fn no_message_puts_a_line_into_a_header_or_a_method_nobody_knows() {
    let web = Web::open().await;
    let settings = json!({ "headers": { "X-Id": "${y}" }, "method": "${m}" });
    let destination = open(settings, &web).await;
    for texts in [
        [("headers.X-Id", "a\r\nX-Admin: yes"), ("method", "POST")],
        [("headers.X-Id", "a\0"), ("method", "POST")],
        [("headers.X-Id", "a"), ("method", "CONNECT")],
        [("headers.X-Id", "a"), ("method", "POST /x HTTP/1.1\r\n")],
    ] {
        let sent = destination.send(&with_texts(&texts)).await;
        assert!(matches!(sent, Err(SendError::Refused { .. })), "{sent:?}");
    }
    assert!(web.is_lonely());
}

#[tokio::test]
async fn what_was_queued_before_the_url_read_the_message_is_not_sent_as_it_is_written() {
    let web = Web::open().await;
    let destination = open(json!({ "url": web.url("/p/${msg[\"PID-3\"]}") }), &web).await;
    let sent = destination.send(&outbound(message("M-1"))).await;
    assert!(matches!(sent, Err(SendError::Refused { .. })) && web.is_lonely(), "{sent:?}");
}

#[tokio::test]
async fn a_method_without_a_body_carries_none() {
    let (sent, asked) = exchange(json!({ "method": "DELETE" }), says(204, &[], "")).await;
    sent.unwrap();
    assert_eq!((asked.line.as_str(), asked.body.len()), ("DELETE /orders HTTP/1.1", 0));
    assert_eq!(asked.header("content-type"), None);
}

#[tokio::test]
async fn each_kind_of_credentials_stands_where_it_belongs() {
    let (_, asked) =
        exchange(json!({ "auth": { "basic": { "user": "lab", "password": "s:é" } } }), says(200, &[], ""))
            .await;
    assert_eq!(asked.header("authorization"), Some("Basic bGFiOnM6w6k="));
    let (_, asked) = exchange(json!({ "auth": { "bearer": "t0ken" } }), says(200, &[], "")).await;
    assert_eq!(asked.header("authorization"), Some("Bearer t0ken"));
    let key = json!({ "auth": { "header": { "name": "X-Api-Key", "value": "k" } } });
    let (_, asked) = exchange(key, says(200, &[], "")).await;
    assert_eq!(asked.header("x-api-key"), Some("k"));
    let key = json!({ "auth": { "query": { "name": "key", "value": "k&y" } } });
    let (_, asked) = exchange(key, says(200, &[], "")).await;
    assert_eq!(asked.line, "POST /orders?key=k%26y HTTP/1.1");
}

#[tokio::test]
async fn the_identity_of_the_delivery_goes_with_it_where_it_is_asked_for() {
    let settings = json!({ "idempotency_key": "Idempotency-Key" });
    let (_, asked) = exchange(settings, says(200, &[], "")).await;
    assert_eq!(asked.header("idempotency-key").unwrap(), outbound(message("M-1")).effect.to_string());
}

#[test]
fn only_what_may_be_repeated_is_repeated_by_itself() {
    let doubt = |settings: Value| {
        let kind = connectors::find("http").unwrap().destination.as_ref().unwrap();
        (kind.parse)(settings).map_err(|misfit| misfit.message).unwrap().doubt()
    };
    let url = "http://h/";
    assert_eq!(doubt(json!({ "url": url })), Doubt::Hold);
    assert_eq!(doubt(json!({ "url": url, "method": "PATCH" })), Doubt::Hold);
    assert_eq!(doubt(json!({ "url": url, "method": "${msg[\"MSH-1\"]}" })), Doubt::Hold);
    assert_eq!(doubt(json!({ "url": url, "method": "PUT" })), Doubt::Resend);
    assert_eq!(doubt(json!({ "url": url, "idempotency_key": "Idempotency-Key" })), Doubt::Resend);
}

#[tokio::test]
async fn a_status_says_what_it_permits_and_when() {
    let (sent, _) = exchange(json!({}), says(503, &["Retry-After: 7"], "patient 42")).await;
    let Err(SendError::NotDelivered { why, by, not_before }) = sent else { panic!("{sent:?}") };
    assert_eq!((why.as_str(), not_before), ("the server answered 503", Some(Duration::from_secs(7))));
    assert_eq!(by, Some(Hindrance::Busy));
    let (sent, _) = exchange(json!({}), says(401, &[], "")).await;
    assert!(matches!(sent, Err(SendError::NotDelivered { by: Some(Hindrance::SignedOut), .. })), "{sent:?}");
    let (sent, _) = exchange(json!({}), says(422, &[], "no ward")).await;
    let Err(SendError::Refused { why, code, response }) = sent else { panic!("{sent:?}") };
    assert_eq!((why.as_str(), code.as_deref()), ("the server answered 422", Some("422")));
    assert_eq!(response.unwrap(), "no ward");
    assert_unknown(&exchange(json!({}), says(500, &[], "")).await.0);
    assert_not_delivered(&exchange(json!({}), says(404, &[], "")).await.0);
    let (sent, _) = exchange(json!({ "success": ["2xx", "409"] }), says(409, &[], "known")).await;
    assert_eq!(sent.unwrap().facts["status"], 409);
}

#[tokio::test]
async fn a_missing_resource_is_of_this_message_where_the_url_reads_it() {
    let web = Web::open().await;
    let destination = open(json!({ "url": web.url("/p/${msg[\"PID-3\"]}") }), &web).await;
    let outbound = with_texts(&[("url", "http://h/p/42")]);
    let (sent, _) = tokio::join!(destination.send(&outbound), web.answer(says(404, &[], "")));
    assert!(matches!(sent, Err(SendError::Refused { .. })), "{sent:?}");
}

#[tokio::test]
async fn who_is_not_there_got_nothing() {
    let url = format!("http://{}/", free_address());
    let destination = destination("http", json!({ "url": url }), Path::new(".")).await;
    let sent = destination.send(&outbound("x")).await;
    assert_not_delivered(&sent);
    assert!(why(&sent).contains("cannot connect to 127.0.0.1:"), "{sent:?}");
    let unknown = json!({ "url": "http://no.such.host.invalid/" });
    let destination = stage::destination("http", unknown, Path::new(".")).await;
    assert_not_delivered(&destination.send(&outbound("x")).await);
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_everything_open() {
    let broken: &[&[u8]] = &[
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 999999 What\r\n\r\n",
    ];
    for answer in broken {
        let web = Web::open().await;
        let destination = open(json!({}), &web).await;
        let (sent, ()) = tokio::join!(async { destination.send(&outbound("x")).await }, async {
            drop(web.answer(answer).await);
        });
        assert!(matches!(sent, Err(SendError::Unknown { .. })), "{}: {sent:?}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn a_reset_after_the_request_leaves_everything_open() {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let message = outbound("x");
    let (sent, ()) = tokio::join!(destination.send(&message), async {
        let mut guest = web.accept().await;
        guest.asked().await.unwrap();
        guest.reset();
    });
    assert_unknown(&sent);
}

#[tokio::test]
async fn a_head_without_end_is_not_read_without_end() {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let message = outbound("x");
    let (sent, ()) = tokio::join!(destination.send(&message), async {
        let mut guest = web.accept().await;
        guest.asked().await.unwrap();
        guest.write("HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-Long: {}\r\n", "x".repeat(10_000));
        while guest.stream.write_all(line.as_bytes()).await.is_ok() {}
    });
    assert_unknown(&sent);
}

#[tokio::test]
async fn silence_ends_with_the_deadline() {
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
        let (sent, _) = exchange(json!({ "timeout": "200ms" }), answer).await;
        assert_unknown(&sent);
    }
    // A status that is no success counts, whatever became of its words.
    let (sent, _) =
        exchange(json!({ "timeout": "200ms" }), "HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nhalf").await;
    assert_not_delivered(&sent);
}

#[tokio::test]
async fn words_before_the_answer_are_passed_over() {
    let answer = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 On\r\n\r\n{}",
        says(200, &[], "ok")
    );
    assert_eq!(exchange(json!({}), answer).await.0.unwrap().body.unwrap(), "ok");
}

#[tokio::test]
async fn an_answer_in_chunks_or_until_the_end_is_read_whole() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(exchange(json!({}), chunked).await.0.unwrap().body.unwrap(), "abcde");
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let message = outbound("x");
    let (sent, ()) = tokio::join!(destination.send(&message), async {
        drop(web.answer("HTTP/1.0 200 OK\r\n\r\nto the end").await);
    });
    assert_eq!(sent.unwrap().body.unwrap(), "to the end");
}

#[tokio::test]
async fn of_an_answer_that_is_too_long_the_beginning_is_kept_and_the_message_counts_as_sent() {
    let web = Web::open().await;
    let destination = open(json!({ "max_size": "10" }), &web).await;
    let message = outbound("x");
    for _ in 0..2 {
        let answer = says(200, &[], &"long".repeat(1000));
        let (sent, _) = tokio::join!(destination.send(&message), web.answer(answer));
        let response = sent.unwrap();
        assert_eq!(
            (response.body.unwrap().as_ref(), &response.facts["cut"]),
            (&b"longlonglo"[..], &json!(true))
        );
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_opened_anew_where_the_server_hung_up() {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let (first, second, third) = (outbound("1"), outbound("2"), outbound("3"));
    let (sent, (_, mut guest)) = tokio::join!(destination.send(&first), web.answer(says(200, &[], "")));
    sent.unwrap();
    let (sent, asked) = tokio::join!(destination.send(&second), async {
        let asked = guest.asked().await.unwrap();
        guest.write(says(200, &[], "")).await;
        asked
    });
    sent.unwrap();
    assert_eq!(asked.text(), "2");
    // The server hangs up between two: nothing of the third is lost, nothing is in doubt.
    drop(guest);
    let (sent, (asked, _guest)) = tokio::join!(destination.send(&third), web.answer(says(200, &[], "")));
    sent.unwrap();
    assert_eq!(asked.text(), "3");
}

#[tokio::test]
async fn a_server_that_answers_before_it_has_read_all_is_heard_and_its_connection_left() {
    let web = Web::open().await;
    let destination = open(json!({ "timeout": "5s" }), &web).await;
    let (large, next) = (outbound(vec![b'x'; 30_000_000]), outbound("next"));
    let (sent, _unread) = tokio::join!(destination.send(&large), async {
        let mut guest = web.accept().await;
        guest.stream.read_exact(&mut [0; 100]).await.unwrap();
        guest.write(says(413, &[], "")).await;
        guest
    });
    assert!(matches!(sent, Err(SendError::Refused { .. })), "{sent:?}");
    let (sent, (asked, _guest)) = tokio::join!(destination.send(&next), web.answer(says(200, &[], "")));
    sent.unwrap();
    assert_eq!(asked.text(), "next");
}

#[tokio::test]
async fn an_answer_nobody_asked_for_is_never_taken_for_the_next_ones() {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let (first, second) = (outbound("1"), outbound("2"));
    let twice = format!("{}{}", says(200, &[], "first"), says(200, &[], "smuggled"));
    let (sent, (_, _guest)) = tokio::join!(destination.send(&first), web.answer(twice));
    assert_eq!(sent.unwrap().body.unwrap(), "first");
    let (sent, _) = tokio::join!(destination.send(&second), web.answer(says(200, &[], "second")));
    assert_eq!(sent.unwrap().body.unwrap(), "second");
}

#[tokio::test]
async fn a_server_that_speaks_before_it_is_asked_got_nothing() {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let message = outbound("x");
    let (sent, _guest) = tokio::join!(destination.send(&message), async {
        let mut guest = web.accept().await;
        guest.write(says(200, &[], "too early")).await;
        guest
    });
    assert!(sent.is_err(), "its words are no answer: {sent:?}");
}

#[tokio::test]
async fn a_timed_out_connection_is_closed_so_that_its_late_answer_is_nobodys() {
    let web = Web::open().await;
    let destination = open(json!({ "timeout": "200ms" }), &web).await;
    let (first, second) = (outbound("1"), outbound("2"));
    let (sent, (_, mut late)) = tokio::join!(destination.send(&first), web.answer(""));
    assert_unknown(&sent);
    assert!(late.asked().await.is_none(), "it hangs up");
    let (sent, _) = tokio::join!(destination.send(&second), web.answer(says(200, &[], "second")));
    assert_eq!(sent.unwrap().body.unwrap(), "second");
}

#[tokio::test]
async fn a_server_sends_us_on_within_itself_and_nowhere_else() {
    let web = Web::open().await;
    let destination = open(json!({ "auth": { "bearer": "t" } }), &web).await;
    let message = outbound("x");
    let (sent, asked) = tokio::join!(destination.send(&message), async {
        let (_, mut guest) = web.answer(says(307, &["Location: /v2/orders?a=1"], "")).await;
        let asked = guest.asked().await.unwrap();
        guest.write(says(200, &[], "")).await;
        asked
    });
    sent.unwrap();
    assert_eq!((asked.line.as_str(), asked.text()), ("POST /v2/orders?a=1 HTTP/1.1", "x"));

    let elsewhere = Web::open().await;
    let location = format!("Location: {}", elsewhere.url("/p/42").as_str().unwrap());
    let (sent, asked) = exchange(json!({ "auth": { "bearer": "t" } }), says(308, &[&location], "")).await;
    assert_not_delivered(&sent);
    assert!(elsewhere.is_lonely() && !why(&sent).contains("/p/42"), "{sent:?}");
    drop(asked);
    // A redirect that would make a GET of it delivers nothing.
    assert_not_delivered(&exchange(json!({}), says(302, &["Location: /login"], "")).await.0);
    assert_unknown(&exchange(json!({}), says(303, &["Location: /done"], "")).await.0);
}

#[tokio::test]
async fn a_server_that_sends_us_in_a_circle_is_left() {
    let web = Web::open().await;
    let destination = open(json!({}), &web).await;
    let message = outbound("x");
    let (sent, turns) = tokio::join!(destination.send(&message), async {
        let (_, mut guest) = web.answer(says(307, &["Location: /orders"], "")).await;
        let mut turns = 1;
        while turns < 6 && guest.asked().await.is_some() {
            guest.write(says(307, &["Location: /orders"], "")).await;
            turns += 1;
        }
        turns
    });
    assert_not_delivered(&sent);
    assert_eq!(turns, 6);
}

#[tokio::test]
async fn a_server_that_speaks_tls_where_we_do_not_got_nothing() {
    let (sent, _) = exchange(json!({}), b"\x15\x03\x03\x00\x02\x02\x0a").await;
    assert_not_delivered(&sent);
    assert!(why(&sent).contains("https://"), "{sent:?}");
}

#[tokio::test]
async fn a_packed_answer_is_unpacked() {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"id\": 7}").unwrap();
    let packed = packed.finish().unwrap();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len());
    let (sent, asked) = exchange(json!({}), [head.as_bytes(), &packed].concat()).await;
    assert_eq!(asked.header("accept-encoding"), Some("gzip"));
    assert_eq!(sent.unwrap().body.unwrap(), "{\"id\": 7}");
}

/// A destination whose tokens come from `login`.
async fn with_tokens(web: &Web, login: &Web, credentials: &str) -> Box<dyn Destination> {
    let oauth2 = json!({
        "token_url": login.url("/token"), "client_id": "relais", "client_secret": "s+cret", "scope": "system/*.write",
        "credentials": credentials,
    });
    open(json!({ "auth": { "oauth2": oauth2 } }), web).await
}

#[tokio::test]
async fn a_token_is_fetched_once_kept_and_fetched_anew_where_the_server_does_not_take_it() {
    let (web, login) = (Web::open().await, Web::open().await);
    let destination = with_tokens(&web, &login, "header").await;
    let token =
        |token: &str| says(200, &[], &json!({ "access_token": token, "expires_in": 3600 }).to_string());
    let (first, second) = (outbound("1"), outbound("2"));
    let (sent, ((fetched, mut tokens), (asked, mut guest))) = tokio::join!(destination.send(&first), async {
        tokio::join!(login.answer(token("one")), web.answer(says(200, &[], "")))
    });
    sent.unwrap();
    assert_eq!(fetched.text(), "grant_type=client_credentials&scope=system%2F*.write");
    assert_eq!(fetched.header("authorization"), Some("Basic cmVsYWlzOnMlMkJjcmV0"));
    assert_eq!(asked.header("authorization"), Some("Bearer one"));
    let (sent, asked) = tokio::join!(destination.send(&second), async {
        assert_eq!(guest.asked().await.unwrap().header("authorization"), Some("Bearer one"), "it is kept");
        guest.write(says(401, &[], "")).await;
        tokens.asked().await.unwrap();
        tokens.write(token("two")).await;
        let asked = guest.asked().await.unwrap();
        guest.write(says(401, &[], "")).await;
        asked
    });
    assert_eq!(asked.header("authorization"), Some("Bearer two"));
    assert_not_delivered(&sent);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_no_secret_is_told() {
    let (web, login) = (Web::open().await, Web::open().await);
    let destination = with_tokens(&web, &login, "body").await;
    let message = outbound("x");
    let denied = says(401, &[], "{\"error\": \"invalid_client\", \"error_description\": \"s+cret\"}");
    let (sent, (fetched, guest)) = tokio::join!(destination.send(&message), login.answer(denied));
    drop(guest);
    assert!(fetched.text().ends_with("&client_id=relais&client_secret=s%2Bcret"), "{fetched:?}");
    assert_not_delivered(&sent);
    assert!(web.is_lonely() && why(&sent).ends_with("it answered 401 (invalid_client)"), "{sent:?}");
    // An authorization server that breaks off leaves nothing open: the message never left.
    let (sent, ()) = tokio::join!(destination.send(&message), async { drop(login.accept().await) });
    assert_not_delivered(&sent);
}

#[tokio::test]
async fn a_key_signs_each_request_for_a_token_and_no_secret_is_sent() {
    let (web, login, folder) = (Web::open().await, Web::open().await, tempfile::tempdir().unwrap());
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    std::fs::write(folder.path().join("relais.pem"), key.serialize_pem()).unwrap();
    let oauth2 = json!({
        "token_url": login.url("/token"), "client_id": "relais", "key": "relais.pem", "key_id": "k-1", "scope": "system/*.cruds",
    });
    let settings = json!({ "url": web.url("/"), "auth": { "oauth2": oauth2 } });
    let destination = destination("http", settings, folder.path()).await;
    let granted = says(200, &[], &json!({ "access_token": "t", "expires_in": 300 }).to_string());
    let message = outbound("x");
    let (sent, ((fetched, _login), (asked, _guest))) = tokio::join!(destination.send(&message), async {
        tokio::join!(login.answer(granted), web.answer(says(200, &[], "")))
    });
    sent.unwrap();
    assert_eq!((fetched.header("authorization"), asked.header("authorization")), (None, Some("Bearer t")));
    let form: std::collections::BTreeMap<_, _> =
        url::form_urlencoded::parse(&fetched.body).into_owned().collect();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let parts: Vec<&str> = form["client_assertion"].split('.').collect();
    assert_eq!(parts.len(), 3);
    assert!(!form.contains_key("client_secret") && !form.contains_key("client_id"), "{form:?}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_plain_requests_itself_and_told_who_we_are() {
    let proxy = Web::open().await;
    let settings = json!({
        "url": "http://record.example.org/orders",
        "proxy": { "connect": proxy.address.to_string(), "user": "u", "password": "p" },
    });
    let destination = destination("http", settings, Path::new(".")).await;
    let message = outbound("x");
    let (sent, (asked, _guest)) = tokio::join!(destination.send(&message), proxy.answer(says(200, &[], "")));
    sent.unwrap();
    assert_eq!(asked.line, "POST http://record.example.org/orders HTTP/1.1");
    assert_eq!(asked.header("host"), Some("record.example.org"));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic dTpw"));
}
