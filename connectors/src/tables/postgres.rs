//! A query in a PostgreSQL database as a table.

use std::{
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use engine::{Checks, LookupError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Mutex,
};
use tokio_postgres::{
    Client, Config, Statement,
    tls::{ChannelBinding, TlsConnect, TlsStream},
    types::{ToSql, Type},
};
use tokio_rustls::client;

use super::{Holder, Misses, Row, Shape, not_now, sql::Query, timeout, wrong};
use crate::{
    secret::Secret,
    setting::{Address, Period},
    tls::{self, Side, Tls},
    wire,
};

/// Asks a PostgreSQL database, which is only read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The server: `db.example.org:5432`.
    connect: Address,

    /// The database.
    database: String,

    /// Who we are to it.
    user: String,

    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    password: Option<Secret>,

    /// One query that finds one row. `:code` is what a lookup says as `code`, a text; `:number::int` is a number.
    #[schemars(example = "select name, unit from wards where code = :code")]
    query: String,

    /// How long one answer may take. The message waits.
    #[serde(default = "timeout")]
    timeout: Period,

    /// TLS: `authorities` to trust (the system's by default) and, where the server asks for it, `certificate` and `key`.
    /// Without it nothing is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,
}

impl Settings {
    pub(super) fn check(&self, root: &Path, checks: &mut Checks<'_>) {
        let mut checks = checks.within("postgres");
        if Query::read(&self.query).keys.is_empty() {
            checks.error("wrong-value", "query", "has no parameter such as `:code` to find a row by");
        }
        if let Some(tls) = &self.tls {
            tls.check(Side::Connects, "tls", &mut checks);
            tls.examine(Side::Connects, root, "tls", &mut checks);
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout.0
    }

    pub(super) fn shape(&self) -> Shape {
        let source = format!("{}/{}", self.connect, self.database);
        Shape { keys: Query::read(&self.query).keys, columns: None, source, misses: Misses::AreWrong }
    }

    pub(super) fn holder(self, root: &Path) -> Result<Database, String> {
        let tls = self.tls.as_ref().map(|tls| tls::Connector::new(tls, root)).transpose()?;
        let query = Query::read(&self.query);
        Ok(Database { settings: self, tls: tls.map(Arc::new), query, session: Mutex::default() })
    }
}

/// A database that is asked over one connection.
pub(super) struct Database {
    settings: Settings,
    tls: Option<Arc<tls::Connector>>,
    query: Query,
    session: Mutex<Option<Arc<Session>>>,
}

struct Session {
    client: Client,
    statement: Statement,
}

/// Why a session cannot be had.
enum Closed {
    /// Nobody is there, or does not let us in.
    Away(String),
    /// The query does not work, in the server's words: no message is in it yet.
    Query(String),
}

impl Database {
    async fn session(&self) -> Result<Arc<Session>, Closed> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref().filter(|session| !session.client.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let opened = Arc::new(self.open().await?);
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }

    async fn open(&self) -> Result<Session, Closed> {
        let client = self.connect().await.map_err(Closed::Away)?;
        let texts = vec![Type::TEXT; self.query.keys.len()];
        // As JSON each value is a text that keeps its digits, whatever its type.
        let asked = format!("select to_jsonb(found)::text from ({}\n) as found limit 2", self.query.numbered);
        let statement = client.prepare_typed(&asked, &texts).await;
        let statement = statement.map_err(|error| match error.as_db_error() {
            Some(said) => Closed::Query(said.message().to_owned()),
            None => Closed::Away("the server hung up".to_owned()),
        })?;
        Ok(Session { client, statement })
    }

    async fn connect(&self) -> Result<Client, String> {
        let Settings { connect, database, user, password, timeout, .. } = &self.settings;
        let refused = |why: String| format!("cannot connect to {connect}: {why}");
        let mut config = Config::new();
        config.user(user).dbname(database).application_name("relais");
        if let Some(password) = password {
            config.password(password.reveal());
        }
        config.options(format!(
            "-c default_transaction_read_only=on -c statement_timeout={}",
            timeout.0.as_millis()
        ));
        let stream = wire::connect(connect, Duration::from_mins(1)).await;
        let stream = stream.map_err(|hindered| refused(hindered.words))?;
        let told = |error: tokio_postgres::Error| match error.as_db_error() {
            Some(said) => refused(said.message().to_owned()),
            None => refused(error.to_string()),
        };
        let Some(tls) = &self.tls else {
            let (client, connection) =
                config.connect_raw(stream, tokio_postgres::NoTls).await.map_err(told)?;
            // It ends with the session, or when the server hangs up.
            tokio::spawn(connection);
            return Ok(client);
        };
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let greeting = Greeting { tls: Arc::clone(tls), host: connect.host.clone() };
        let (client, connection) = config.connect_raw(stream, greeting).await.map_err(told)?;
        tokio::spawn(connection);
        Ok(client)
    }
}

#[async_trait]
impl Holder for Database {
    async fn row(&self, keys: &[(String, String)]) -> Result<Option<Row>, LookupError> {
        let session = self.session().await.map_err(|closed| match closed {
            Closed::Away(why) => not_now(why),
            Closed::Query(_) => wrong("the query does not work: `relais check --connect` says why"),
        })?;
        let values: Vec<&(dyn ToSql + Sync)> =
            keys.iter().map(|(_, value)| value as &(dyn ToSql + Sync)).collect();
        let found = session.client.query(&session.statement, &values).await;
        let found = found.map_err(|error| explained(&error))?;
        match found.as_slice() {
            [] => Ok(None),
            [one] => one.try_get(0).map(read).map_err(|_| wrong("the query made no row")),
            _ => Err(wrong("the query finds several rows: nobody could say which is meant")),
        }
    }

    async fn reach(&self) -> Result<(), String> {
        self.session().await.map(drop).map_err(|closed| match closed {
            Closed::Away(why) => why,
            Closed::Query(why) => format!("the query does not work: {why}"),
        })
    }
}

/// A row that came as JSON.
fn read(json: &str) -> Option<Row> {
    let Ok(Value::Object(columns)) = serde_json::from_str(json) else { return None };
    let text = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    Some(columns.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// By its SQLSTATE alone: the server's words may quote a value.
fn explained(error: &tokio_postgres::Error) -> LookupError {
    let Some(code) = error.code() else { return not_now("the server hung up") };
    let code = code.code();
    match &code[..code.len().min(2)] {
        // The connection, its resources, an operator, the system; and a statement that took too long.
        "08" | "53" | "57" | "58" | "40" | "55" => {
            not_now(format!("the server cannot answer (SQLSTATE {code})"))
        }
        _ => wrong(format!("the query does not work for this key (SQLSTATE {code})")),
    }
}

/// Greets the server by TLS, with our own certificates.
struct Greeting {
    tls: Arc<tls::Connector>,
    host: String,
}

/// A connection by TLS.
struct Secure(client::TlsStream<TcpStream>);

impl TlsConnect<TcpStream> for Greeting {
    type Stream = Secure;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secure>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move {
            let greeted = self.tls.connect(stream, &self.host).await;
            greeted.map(Secure).map_err(|hindered| io::Error::other(hindered.words))
        })
    }
}

impl TlsStream for Secure {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Secure {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secure {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
