//! Requests that only our own pages can make: a browser sends a cookie along, whoever made it ask.

use axum::http::HeaderMap;

use super::problem::Problem;

/// The header that a page elsewhere cannot send without being asked about: requests that change something carry it.
const CONSOLE: &str = "relais-console";

/// Wants our header, and no other page as the origin where the browser names one.
pub(super) fn require_own_page(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host").unwrap_or_default();
    let is_ours = |origin: &str| origin.split_once("://").is_some_and(|(_, whose)| whose == host);
    let is_same = |site: &str| matches!(site, "same-origin" | "none");
    if text(CONSOLE).is_none()
        || !text("origin").is_none_or(is_ours)
        || !text("sec-fetch-site").is_none_or(is_same)
    {
        return Err(Problem::other_page());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_page_elsewhere_changes_nothing_with_our_cookie() {
        let ours = [("host", "127.0.0.1:8600"), ("relais-console", "1")];
        assert!(require_own_page(&headers(&ours)).is_ok());
        assert!(require_own_page(&headers(&ours[..1])).is_err());
        for (name, value, is_ours) in [
            ("origin", "http://127.0.0.1:8600", true),
            ("origin", "https://evil.example", false),
            ("origin", "null", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
        ] {
            let sent = headers(&[ours[0], ours[1], (name, value)]);
            assert_eq!(require_own_page(&sent).is_ok(), is_ours, "{name}: {value}");
        }
    }
}
