//! The keys by which an issuer of tokens signs (JWKS): fetched when needed, kept for a while, fetched anew for a key not known.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hyper::Method;
use serde::Deserialize;
use tokio::time::Instant;

use crate::web::{Access, Answer, AnswerBody, Client, Draft, Payload, meaning, meaning::Statuses, place};

/// The longest key set.
const LONGEST: usize = 1_000_000;

/// So long a key set is used without asking for it anew.
const KEPT: Duration = Duration::from_mins(10);

/// Between two questions for a key that is not known: whoever invents key names shall not make us ask for each.
const PAUSE: Duration = Duration::from_secs(10);

/// A public key of the issuer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Key {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    used: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    /// One that is of no kind we know hides none of the others.
    keys: Vec<serde_json::Value>,
}

impl Key {
    /// Whether it may have signed by this algorithm, under this name.
    pub(crate) fn fits(
        &self,
        kid: Option<&str>,
        algorithm: &str,
        (kty, curve): (&str, Option<&str>),
    ) -> bool {
        self.kty == kty
            && self.crv.as_deref() == curve
            && self.used.as_deref().is_none_or(|used| used == "sig")
            && self.alg.as_deref().is_none_or(|alg| alg == algorithm)
            && kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
    }

    /// Modulus and exponent of RSA, without leading zeros.
    pub(crate) fn rsa(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let trimmed = |text: Option<&str>| {
            let bytes = decoded(text)?;
            Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
        };
        Some((trimmed(self.n.as_deref())?, trimmed(self.e.as_deref())?))
    }

    /// The point of a key on a curve whose numbers are so long, uncompressed.
    pub(crate) fn point(&self, length: usize) -> Option<Vec<u8>> {
        let (x, y) = (decoded(self.x.as_deref())?, decoded(self.y.as_deref())?);
        (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
    }
}

fn decoded(text: Option<&str>) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text?).ok()
}

/// The key set of one issuer.
pub(crate) struct Keys {
    client: Client,
    url: String,
    known: Mutex<Known>,
    /// One asks at a time, and the others wait for what it hears.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    since: Option<Instant>,
    asked: Option<Instant>,
}

impl Keys {
    pub(crate) fn new(access: &Access<'_>, root: &Path) -> Result<Self, String> {
        let client = access.client(root, LONGEST)?;
        Ok(Self {
            client,
            url: access.url.1.to_owned(),
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// The keys that fit; asks the issuer where none does. The error: nobody can tell, it does not answer.
    pub(crate) async fn fitting(&self, fits: impl Fn(&Key) -> bool) -> Result<Vec<Key>, String> {
        let picked = |keys: &[Key]| keys.iter().filter(|key| fits(key)).cloned().collect::<Vec<_>>();
        let begun = Instant::now();
        let (keys, since) = self.known();
        let found = picked(&keys);
        let is_fresh = since.is_some_and(|since| begun < since + KEPT);
        if !found.is_empty() && is_fresh {
            return Ok(found);
        }
        let asked = self.ask(begun).await;
        let (keys, since) = self.known();
        // An issuer that is away for a while takes nothing from the keys it published.
        match asked {
            Err(why) if since.is_none() => Err(why),
            _ => Ok(picked(&keys)),
        }
    }

    fn known(&self) -> (Arc<Vec<Key>>, Option<Instant>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&known.keys), known.since)
    }

    /// Asks the issuer, unless somebody has since `begun`, or a moment ago.
    async fn ask(&self, begun: Instant) -> Result<(), String> {
        let _asking = self.asking.lock().await;
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let is_early = known.since.is_some() && known.asked.is_some_and(|asked| begun < asked + PAUSE);
            if is_early {
                return Ok(());
            }
            known.asked = Some(Instant::now());
        }
        let keys = Arc::new(
            self.fetch().await.map_err(|why| format!("no keys from {}: {why}", self.client.beginning()))?,
        );
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys = keys;
        known.since = Some(Instant::now());
        Ok(())
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let target = place::target(&self.url, self.client.parameter().into_iter())?;
        let target = target.parse().map_err(|_| "`jwks` is no URL".to_owned())?;
        let headers = Client::headers("application/json");
        let draft = Draft { method: Method::GET, target, headers, body: Payload::default() };
        let asked = self.client.ask(draft, &[Statuses::SUCCESS], self.client.deadline()).await;
        let Answer { status, body, .. } = asked.map_err(|error| meaning::plain(&error))?;
        let AnswerBody::Whole(body) = body else {
            return Err("the answer did not come to its end".to_owned());
        };
        if !status.is_success() {
            return Err(format!("it answered {}", status.as_u16()));
        }
        let set: KeySet =
            serde_json::from_slice(&body).map_err(|_| "what it answers is no key set".to_owned())?;
        Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::setting::Period;

    /// Answers each question with one key of this name, and says how often it was asked.
    async fn issuer(names: &'static [&'static str]) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            for name in names {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                let body = format!("{{\"keys\": [{{\"kty\": \"RSA\", \"kid\": \"{name}\"}}]}}");
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        (url, asked)
    }

    #[tokio::test]
    async fn a_key_that_is_not_known_is_asked_for_but_not_each_time() {
        let (url, asked) = issuer(&["1", "2"]).await;
        let access = Access {
            url: ("jwks", &url),
            auth: None,
            tls: None,
            proxy: None,
            timeout: Period::seconds(5),
            connect_timeout: Period::seconds(5),
            idle: Period::seconds(5),
            keep_alive: Period::seconds(60),
        };
        let keys = Keys::new(&access, Path::new(".")).unwrap();
        let named = |name: &'static str| move |key: &Key| key.kid.as_deref() == Some(name);
        let count = || asked.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(keys.fitting(named("1")).await.unwrap().len(), 1);
        assert_eq!(keys.fitting(named("2")).await.unwrap().len(), 0, "a moment ago it had no such key");
        assert_eq!(count(), 1);
        keys.known.lock().unwrap().asked = Instant::now().checked_sub(PAUSE);
        assert_eq!(keys.fitting(named("2")).await.unwrap().len(), 1, "the issuer has changed its keys");
        assert_eq!(keys.fitting(named("1")).await.unwrap().len(), 0, "and forgot the old one");
        assert_eq!(count(), 2);
        // An issuer that is away takes nothing from what it published.
        keys.known.lock().unwrap().asked = Instant::now().checked_sub(PAUSE);
        keys.known.lock().unwrap().since = Instant::now().checked_sub(KEPT);
        assert_eq!(keys.fitting(named("2")).await.unwrap().len(), 1);
    }
}
