//! A request, ready to be sent as often as its attempt takes.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{self, HeaderValue},
    http::uri::{Authority, PathAndQuery},
};

use crate::http::place::Origin;

/// A request without its server.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Draft {
    /// The request as its server gets it.
    pub(super) fn request(&self, origin: &Origin) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone().into();
        *request.headers_mut() = self.headers.clone();
        let host = HeaderValue::from_str(&origin.authority()).expect("a host of a URL is visible ASCII");
        request.headers_mut().insert(header::HOST, host);
        request
    }

    /// The request as a proxy gets it, which is told the server too.
    pub(super) fn request_by_proxy(&self, origin: &Origin) -> Request<Full<Bytes>> {
        let mut request = self.request(origin);
        let authority: Authority = origin.authority().parse().expect("a host of a URL is an authority");
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(self.target.clone());
        *request.uri_mut() = uri.build().expect("a scheme, a host and a path are a URI");
        request
    }

    /// Whether a request by this method says something in its body.
    pub(super) fn has_body(method: &Method) -> bool {
        matches!(*method, Method::POST | Method::PUT | Method::PATCH)
    }

    /// Whether a second request by this method makes no second effect, by HTTP's own word.
    pub(super) fn is_idempotent(method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
    }
}
