//! The pages of `docs/errors`, one for each code.

/// The page of a code, as Markdown.
pub fn explain(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(name, _)| *name == code).map(|(_, page)| *page)
}

/// Every code that has a page.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(name, _)| *name)
}

const PAGES: &[(&str, &str)] = &[];
