//! Requests to the server as a browser or a program of somebody else makes them. Written without the product's own.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Somebody who asks the server: with nothing, a token, or a session's cookie.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    pub port: u16,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Said {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Asker {
    pub fn nobody(port: u16) -> Self {
        Self { port, headers: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearing(port: u16, token: &str) -> Self {
        Self::nobody(port).with("Authorization", &format!("Bearer {token}"))
    }

    /// Signs in as the console does, and has the session from then on.
    pub fn signed_in(port: u16, name: &str, password: &str) -> Result<Self, Said> {
        let page = Self::nobody(port).with("relais-console", "1");
        let said = page.post("/sign-in", &serde_json::json!({ "name": name, "password": password }));
        said.session().map(|cookie| page.with("Cookie", &cookie)).ok_or(said)
    }

    pub fn get(&self, path: &str) -> Said {
        self.ask("GET", path, None)
    }

    pub fn delete(&self, path: &str) -> Said {
        self.ask("DELETE", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Said {
        self.ask("POST", path, Some(body.to_string().as_bytes()))
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&[u8]>) -> Said {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_mins(2))).expect("a time can be set");
        stream.write_all(&self.request(method, path, body)).expect("a request can be sent");
        Said::read(&mut stream)
    }

    /// The bytes of a request.
    pub fn request(&self, method: &str, path: &str, body: Option<&[u8]>) -> Vec<u8> {
        let named = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !named("host") {
            let _ = write!(head, "Host: 127.0.0.1:{}\r\n", self.port);
        }
        if body.is_some() && !named("content-type") {
            head.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let body = body.unwrap_or_default();
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }
}

impl Said {
    /// Reads an answer to its end.
    pub fn read(stream: &mut impl Read) -> Self {
        let mut answer = Vec::new();
        // A server that was told too much may close before it has read all of it.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("the server says {self:?}"))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The cookie of the session that it began: name and value.
    pub fn session(&self) -> Option<String> {
        let cookie = self.header("set-cookie")?.split(';').next()?;
        Some(cookie.to_owned()).filter(|cookie| !cookie.ends_with('='))
    }
}
