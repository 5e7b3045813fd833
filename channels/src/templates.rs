//! The channels that Relais ships, for a new project to begin with.

/// Something `relais new` can begin with.
pub struct Template {
    pub name: &'static str,
    pub summary: &'static str,
    /// Paths relative to the new project, and what stands in them.
    pub files: Vec<(&'static str, String)>,
}

/// Every template, the one to begin with first.
pub fn templates() -> &'static [Template] {
    &[]
}
