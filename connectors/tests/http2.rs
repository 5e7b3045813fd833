//! HTTP/2 by a server that answers as each test wants it: one connection for all, and what each of its ends means for a request.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use engine::{Destination, SendError};
use h2::{
    Reason,
    server::{Connection, SendResponse},
};
use hyper::{Request, Response};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::json;
use stage::{Files, destination, message, outbound};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

type Server = Connection<TlsStream<TcpStream>, Bytes>;

/// Somebody who listens with TLS and offers HTTP/2.
struct Modern {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    address: SocketAddr,
}

impl Modern {
    async fn open(files: &Files) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let certificate = CertificateDer::from_pem_file(files.path("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(files.path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), address }
    }

    async fn accept(&self) -> Server {
        let (stream, _) = self.listener.accept().await.unwrap();
        h2::server::handshake(self.acceptor.accept(stream).await.unwrap()).await.unwrap()
    }

    async fn destination(&self, files: &Files) -> Box<dyn Destination> {
        self.patient_destination(files, "5s").await
    }

    async fn patient_destination(&self, files: &Files, timeout: &str) -> Box<dyn Destination> {
        let url = format!("https://127.0.0.1:{}/in", self.address.port());
        let settings = json!({ "url": url, "tls": { "authorities": "ca.pem" }, "timeout": timeout });
        destination("http", settings, files.root()).await
    }
}

type Came = (Request<h2::RecvStream>, SendResponse<Bytes>);

/// The next request with its body read; `None` where the client hung up.
async fn asked(server: &mut Server) -> Option<(String, SendResponse<Bytes>)> {
    let (request, respond): Came = server.accept().await?.ok()?;
    assert_eq!(request.version(), hyper::Version::HTTP_2);
    let mut body = request.into_body();
    let reading = async {
        let mut read = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.unwrap();
            let _ = body.flow_control().release_capacity(chunk.len());
            read.extend_from_slice(&chunk);
        }
        String::from_utf8(read).unwrap()
    };
    // Whatever else comes meanwhile is for later tests to want.
    let read = tokio::select! {
        read = reading => read,
        _ = std::future::poll_fn(|context| server.poll_closed(context)) => return None,
    };
    Some((read, respond))
}

fn says(respond: &mut SendResponse<Bytes>, status: u16) {
    let response = Response::builder().status(status).body(()).unwrap();
    respond.send_response(response, true).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_share_one_connection() {
    let files = Files::new();
    let modern = Modern::open(&files).await;
    let destination: Arc<dyn Destination> = Arc::from(modern.destination(&files).await);
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let serving = tokio::spawn(async move {
        loop {
            let mut server = modern.accept().await;
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                // None is answered before ten are there.
                let mut waiting = Vec::new();
                while let Some(Ok((_, respond))) = server.accept().await {
                    waiting.push(respond);
                    if waiting.len() == 10 {
                        waiting.drain(..).for_each(|mut respond| says(&mut respond, 202));
                    }
                }
            });
        }
    });
    let sends = (0..20).map(|number| {
        let destination = Arc::clone(&destination);
        tokio::spawn(async move { destination.send(&outbound(message(&format!("M-{number}")))).await })
    });
    for sent in futures_util::future::join_all(sends).await {
        assert_eq!(sent.unwrap().unwrap().facts["status"], 202);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_it_looked_at_nothing_got_nothing() {
    let files = Files::new();
    let modern = Modern::open(&files).await;
    let destination = modern.destination(&files).await;
    let outbound = outbound(message("M-1"));
    let refusing = async {
        let mut server = modern.accept().await;
        let (_, mut respond) = asked(&mut server).await.unwrap();
        respond.send_reset(Reason::REFUSED_STREAM);
        let _ = std::future::poll_fn(|context| server.poll_closed(context)).await;
    };
    let (sent, ()) = tokio::join!(
        async {
            let sent = destination.send(&outbound).await;
            drop(destination);
            sent
        },
        refusing
    );
    assert!(
        matches!(&sent, Err(SendError::NotDelivered { why, .. }) if why.contains("did not take")),
        "{sent:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_once_it_left_is_in_doubt() {
    let files = Files::new();
    for reason in [None, Some(Reason::INTERNAL_ERROR)] {
        let modern = Modern::open(&files).await;
        let destination = modern.destination(&files).await;
        let outbound = outbound(message("M-1"));
        let breaking = async {
            let mut server = modern.accept().await;
            let (_, mut respond) = asked(&mut server).await.unwrap();
            if let Some(reason) = reason {
                respond.send_reset(reason);
                let _ = std::future::poll_fn(|context| server.poll_closed(context)).await;
            }
        };
        let (sent, ()) = tokio::join!(
            async {
                let sent = destination.send(&outbound).await;
                drop(destination);
                sent
            },
            breaking
        );
        assert!(matches!(sent, Err(SendError::Unknown { .. })), "{reason:?}: {sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_has_closed_costs_no_attempt() {
    let files = Files::new();
    let modern = Modern::open(&files).await;
    let destination = modern.destination(&files).await;
    let serving = async {
        for _ in 0..3 {
            let mut server = modern.accept().await;
            let (_, mut respond) = asked(&mut server).await.unwrap();
            says(&mut respond, 200);
            server.graceful_shutdown();
            // It says that it takes no more, answers what it took, and hangs up.
            while let Some(Ok(_)) = server.accept().await {}
        }
    };
    let sending = async {
        for number in 0..3 {
            let sent = destination.send(&outbound(message(&format!("M-{number}")))).await;
            assert_eq!(sent.unwrap().facts["status"], 200, "{number}");
        }
    };
    tokio::join!(sending, serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_connection_on_which_no_answer_came() {
    let files = Files::new();
    let modern = Modern::open(&files).await;
    let destination = modern.patient_destination(&files, "200ms").await;
    let serving = async {
        let mut silent = modern.accept().await;
        let unanswered = asked(&mut silent).await.unwrap();
        let mut server = modern.accept().await;
        let (_, mut respond) = asked(&mut server).await.unwrap();
        says(&mut respond, 200);
        let _ = std::future::poll_fn(|context| server.poll_closed(context)).await;
        drop((silent, unanswered));
    };
    let sending = async {
        let first = destination.send(&outbound(message("M-1"))).await;
        assert!(matches!(first, Err(SendError::Unknown { .. })), "{first:?}");
        assert_eq!(destination.send(&outbound(message("M-2"))).await.unwrap().facts["status"], 200);
        drop(destination);
    };
    tokio::join!(sending, serving);
}
