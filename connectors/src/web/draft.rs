//! A request, ready to be sent as often as its attempt takes.

use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{self, HeaderValue},
    http::uri::{Authority, PathAndQuery},
};

use super::{payload::Payload, place::Origin};

/// A request without its server.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
}

impl Draft {
    /// The request as its server gets it.
    pub(crate) fn request(&self, origin: &Origin) -> Request<Payload> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone().into();
        *request.headers_mut() = self.headers.clone();
        let host = HeaderValue::from_str(&origin.authority()).expect("a host of a URL is visible ASCII");
        request.headers_mut().insert(header::HOST, host);
        request
    }

    /// The request as a proxy gets it, which is told the server too.
    pub(crate) fn request_by_proxy(&self, origin: &Origin) -> Request<Payload> {
        let mut request = self.request(origin);
        *request.uri_mut() = self.whole("http", origin);
        request
    }

    /// The request as it goes by HTTP/2, which names the server in its URI.
    pub(crate) fn request_among_many(&self, origin: &Origin) -> Request<Payload> {
        let mut request = self.request(origin);
        *request.uri_mut() = self.whole("https", origin);
        request.headers_mut().remove(header::HOST);
        request
    }

    fn whole(&self, scheme: &str, origin: &Origin) -> Uri {
        let authority: Authority = origin.authority().parse().expect("a host of a URL is an authority");
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(self.target.clone());
        uri.build().expect("a scheme, a host and a path are a URI")
    }

    /// Whether a request by this method says something in its body.
    pub(crate) fn has_body(method: &Method) -> bool {
        matches!(*method, Method::POST | Method::PUT | Method::PATCH)
    }

    /// Whether a second request by this method makes no second effect, by HTTP's own word.
    pub(crate) fn is_idempotent(method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
    }
}
