//! What a provider says of somebody, and where in it a word stands.

use serde_json::{Map, Value};

/// What the provider said of who came: of the token that it signed, and of its page about people.
#[derive(Debug, Clone)]
pub struct Claims {
    pub(super) all: Map<String, Value>,
}

impl Claims {
    /// Who he is at the provider, for ever.
    pub fn subject(&self) -> &str {
        self.all.get("sub").and_then(Value::as_str).unwrap_or_default()
    }

    /// A claim by its name, or by the names on the way to it: `realm_access.roles`.
    pub fn find(&self, name: &str) -> Option<&Value> {
        if let Some(found) = self.all.get(name) {
            return Some(found);
        }
        let mut names = name.split('.');
        let first = self.all.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }
}

/// The words of a claim: one, or a list of them.
pub fn texts(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_before_it_is_by_a_way() {
        let Value::Object(all) = json!({
            "sub": "7", "groups": ["a", 1, "b"], "https://x.org/roles": "c", "realm_access": { "roles": ["d"] }
        }) else {
            unreachable!()
        };
        let claims = Claims { all };
        let found = |name: &str| claims.find(name).map(texts);
        assert_eq!(found("groups"), Some(vec!["a", "b"]));
        assert_eq!(found("https://x.org/roles"), Some(vec!["c"]));
        assert_eq!(found("realm_access.roles"), Some(vec!["d"]));
        assert_eq!(found("realm_access.none"), None);
        assert_eq!(found("realm_access"), Some(Vec::new()), "an object is no word");
        assert_eq!(claims.subject(), "7");
    }
}
