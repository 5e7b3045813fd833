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
        let authority: Authority = origin.authority().parse().expect("a host of a URL is an authority");
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(self.target.clone());
        *request.uri_mut() = uri.build().expect("a scheme, a host and a path are a URI");
        request
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
