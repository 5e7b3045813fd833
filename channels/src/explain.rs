//! The pages of `docs/errors`, one for each code.

/// The page of a code, as Markdown.
pub fn explain(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(name, _)| *name == code).map(|(_, page)| *page)
}

/// Every code that has a page.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(name, _)| *name)
}

/// In the order of the alphabet.
const PAGES: &[(&str, &str)] = &[
    ("after-circle", include_str!("../../docs/errors/after-circle.md")),
    ("certificate-expired", include_str!("../../docs/errors/certificate-expired.md")),
    ("certificate-expires", include_str!("../../docs/errors/certificate-expires.md")),
    ("certificate-key", include_str!("../../docs/errors/certificate-key.md")),
    ("certificate-usage", include_str!("../../docs/errors/certificate-usage.md")),
    ("change-loses", include_str!("../../docs/errors/change-loses.md")),
    ("code-cut", include_str!("../../docs/errors/code-cut.md")),
    ("conflicting-fields", include_str!("../../docs/errors/conflicting-fields.md")),
    ("duplicate-key", include_str!("../../docs/errors/duplicate-key.md")),
    ("empty-file", include_str!("../../docs/errors/empty-file.md")),
    ("feed-circle", include_str!("../../docs/errors/feed-circle.md")),
    ("file-too-big", include_str!("../../docs/errors/file-too-big.md")),
    ("file-unreadable", include_str!("../../docs/errors/file-unreadable.md")),
    ("folded-code", include_str!("../../docs/errors/folded-code.md")),
    ("folder-taken", include_str!("../../docs/errors/folder-taken.md")),
    ("framing", include_str!("../../docs/errors/framing.md")),
    ("idle-workers", include_str!("../../docs/errors/idle-workers.md")),
    ("listen-or-connect", include_str!("../../docs/errors/listen-or-connect.md")),
    ("listen-remote", include_str!("../../docs/errors/listen-remote.md")),
    ("missing-field", include_str!("../../docs/errors/missing-field.md")),
    ("name-taken", include_str!("../../docs/errors/name-taken.md")),
    ("no-connector", include_str!("../../docs/errors/no-connector.md")),
    ("no-paths-here", include_str!("../../docs/errors/no-paths-here.md")),
    ("not-a-path", include_str!("../../docs/errors/not-a-path.md")),
    ("not-read", include_str!("../../docs/errors/not-read.md")),
    ("not-utf8", include_str!("../../docs/errors/not-utf8.md")),
    ("not-yaml", include_str!("../../docs/errors/not-yaml.md")),
    ("period-too-short", include_str!("../../docs/errors/period-too-short.md")),
    ("port-taken", include_str!("../../docs/errors/port-taken.md")),
    ("script-broken", include_str!("../../docs/errors/script-broken.md")),
    ("script-syntax", include_str!("../../docs/errors/script-syntax.md")),
    ("secret-missing", include_str!("../../docs/errors/secret-missing.md")),
    ("several-documents", include_str!("../../docs/errors/several-documents.md")),
    ("size-too-small", include_str!("../../docs/errors/size-too-small.md")),
    ("step-not-here", include_str!("../../docs/errors/step-not-here.md")),
    ("tab", include_str!("../../docs/errors/tab.md")),
    ("table-broken", include_str!("../../docs/errors/table-broken.md")),
    ("template-broken", include_str!("../../docs/errors/template-broken.md")),
    ("template-not-here", include_str!("../../docs/errors/template-not-here.md")),
    ("too-deep", include_str!("../../docs/errors/too-deep.md")),
    ("too-many-faults", include_str!("../../docs/errors/too-many-faults.md")),
    ("two-connectors", include_str!("../../docs/errors/two-connectors.md")),
    ("unknown-channel", include_str!("../../docs/errors/unknown-channel.md")),
    ("unknown-charset", include_str!("../../docs/errors/unknown-charset.md")),
    ("unknown-column", include_str!("../../docs/errors/unknown-column.md")),
    ("unknown-connector", include_str!("../../docs/errors/unknown-connector.md")),
    ("unknown-destination", include_str!("../../docs/errors/unknown-destination.md")),
    ("unknown-environment", include_str!("../../docs/errors/unknown-environment.md")),
    ("unknown-field", include_str!("../../docs/errors/unknown-field.md")),
    ("unknown-function", include_str!("../../docs/errors/unknown-function.md")),
    ("unknown-script", include_str!("../../docs/errors/unknown-script.md")),
    ("unknown-source", include_str!("../../docs/errors/unknown-source.md")),
    ("unknown-table", include_str!("../../docs/errors/unknown-table.md")),
    ("unknown-variable", include_str!("../../docs/errors/unknown-variable.md")),
    ("unknown-word", include_str!("../../docs/errors/unknown-word.md")),
    ("unreachable", include_str!("../../docs/errors/unreachable.md")),
    ("unreachable-step", include_str!("../../docs/errors/unreachable-step.md")),
    ("unreadable-file", include_str!("../../docs/errors/unreadable-file.md")),
    ("unsafe-reply", include_str!("../../docs/errors/unsafe-reply.md")),
    ("unused-field", include_str!("../../docs/errors/unused-field.md")),
    ("variable-missing", include_str!("../../docs/errors/variable-missing.md")),
    ("wrong-type", include_str!("../../docs/errors/wrong-type.md")),
    ("wrong-value", include_str!("../../docs/errors/wrong-value.md")),
    ("yaml-tag", include_str!("../../docs/errors/yaml-tag.md")),
];
