//! Where an endpoint is: the server that is spoken to, and what is asked of it there.

use url::Url;

use crate::setting::Address;

/// One server, as both sides of a connection know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) scheme: Scheme,
    pub(crate) address: Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Plain,
    Tls,
}

impl Scheme {
    fn usual_port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Tls => 443,
        }
    }
}

impl Origin {
    /// The server of a setting, whose path and query may still hold expressions. Its host may not: where messages
    /// and credentials go is for the channel to say, never for a message.
    pub(crate) fn of(written: &str) -> Result<Self, String> {
        if has_expression(written) && !ends_its_host(fixed(written)) {
            return Err("the host cannot be made of the message: only what comes after it can".to_owned());
        }
        let url = Url::parse(fixed(written)).map_err(|error| format!("is no address of HTTP: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user or a password: they stand under `auth`".to_owned());
        }
        Self::of_url(&url)
            .ok_or_else(|| "is no address of HTTP: it begins with `http://` or `https://`".to_owned())
    }

    /// The server of a whole URL; `None` where it is not HTTP.
    pub(crate) fn of_url(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Plain,
            "https" => Scheme::Tls,
            _ => return None,
        };
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let port = url.port().unwrap_or(scheme.usual_port());
        Some(Self { scheme, address: Address { host, port } })
    }

    /// The name in `Host:`, with the port where it is not the usual one.
    pub(crate) fn authority(&self) -> String {
        let whole = self.address.to_string();
        let usual = format!(":{}", self.scheme.usual_port());
        whole.strip_suffix(&usual).map_or(whole.clone(), str::to_owned)
    }

    /// What every URL of this server begins with.
    pub(crate) fn beginning(&self) -> String {
        let name = match self.scheme {
            Scheme::Plain => "http",
            Scheme::Tls => "https",
        };
        format!("{name}://{}", self.authority())
    }
}

/// Whether a text still holds an expression.
pub(crate) fn has_expression(text: &str) -> bool {
    text.contains("${")
}

/// Path and query of an endpoint, with these parameters added to the query. What no URL may hold is encoded.
pub(crate) fn target<'p>(
    text: &str,
    parameters: impl Iterator<Item = (&'p str, &'p str)>,
) -> Result<String, String> {
    let mut url = Url::parse(text).map_err(|error| format!("`url` became no URL: {error}"))?;
    let mut parameters = parameters.peekable();
    if parameters.peek().is_some() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    Ok(of_url(&url))
}

/// Path and query of a URL.
pub(crate) fn of_url(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// What stands before the first expression.
fn fixed(written: &str) -> &str {
    written.split_once("${").map_or(written, |(before, _)| before)
}

fn ends_its_host(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_a_setting_is_known_before_any_message() {
        let authority = |text: &str| Origin::of(text).map(|origin| origin.authority());
        assert_eq!(authority("http://lab.example.org").unwrap(), "lab.example.org");
        assert_eq!(authority("https://lab.example.org:443/x").unwrap(), "lab.example.org");
        assert_eq!(authority("http://[::1]:8080/x?y=${msg[\"PID-3\"]}").unwrap(), "[::1]:8080");
        for wrong in [
            "lab.example.org",
            "ftp://lab.example.org/",
            "http://",
            "http://${msg[\"MSH-6\"]}/x",
            "http://lab.${msg[\"MSH-6\"]}/x",
            "http://user:secret@lab.example.org/",
        ] {
            assert!(Origin::of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_message_puts_into_a_url_stays_beneath_its_server() {
        let asked = |text: &str, pairs: &[(&str, &str)]| target(text, pairs.iter().copied()).unwrap();
        assert_eq!(asked("http://h/x y", &[]), "/x%20y");
        assert_eq!(asked("http://h/a/../../b", &[]), "/b");
        assert_eq!(asked("http://h", &[("name", "É&=?")]), "/?name=%C3%89%26%3D%3F");
        assert_eq!(asked("http://h/x?a=1", &[("b", "2 3")]), "/x?a=1&b=2+3");
        assert_eq!(asked("http://h/x\r\nHost: y", &[]), "/xHost:%20y");
    }
}
