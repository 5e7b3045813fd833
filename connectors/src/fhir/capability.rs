//! What a server says it can do, and what a request needs of it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a server must say that it can do what is asked of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Asked {
    #[default]
    Needed,
    Ignored,
}

/// What a request needs of its server, beyond being taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// An interaction with the whole server: `transaction`, `batch`.
    Whole(&'static str),
    /// An operation of the whole server.
    Operation(&'static str),
    /// Something it does with resources of this type.
    Of(String, Deed),
}

/// What is done with a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Read,
    Create,
    Update,
    Patch,
    /// Created where none fits a search by these parameters.
    CreateWhere(Vec<String>),
    /// Updated, patched or deleted where one fits a search by these parameters.
    ChangeWhere(Vec<String>),
    Search(Vec<String>),
}

/// Whether a parameter of a search says what is searched for, and not how the answer is laid out or what stands beside it.
pub(super) fn is_searched(name: &str) -> bool {
    !["_include", "_revinclude", "_format", "_summary", "_elements", "_total", "_count", "_sort"]
        .contains(&name)
}

/// A server's CapabilityStatement.
#[derive(Debug, Default)]
pub(super) struct Capabilities {
    whole: BTreeSet<String>,
    operations: BTreeSet<String>,
    /// Search parameters of every type.
    parameters: BTreeSet<String>,
    types: BTreeMap<String, Type>,
}

#[derive(Debug, Default)]
struct Type {
    interactions: BTreeSet<String>,
    parameters: BTreeSet<String>,
    creates_where: bool,
    updates_where: bool,
}

impl Capabilities {
    /// Reads a statement; the error says what is wrong with the server.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let statement: Statement = serde_json::from_slice(body)
            .map_err(|_| "what it answers for /metadata is no CapabilityStatement in JSON".to_owned())?;
        if statement.resource_type != "CapabilityStatement" {
            return Err("what it answers for /metadata is no CapabilityStatement".to_owned());
        }
        if !statement.fhir_version.starts_with("4.") {
            let version: String = statement.fhir_version.chars().take(20).collect();
            return Err(format!("it speaks FHIR `{version}`, and R4 is spoken here (4.0)"));
        }
        let mut all = Self::default();
        for rest in statement.rest.into_iter().filter(|rest| rest.mode != "client") {
            all.whole.extend(rest.interaction.into_iter().map(|one| one.code));
            all.operations.extend(rest.operation.into_iter().map(|one| one.name));
            all.parameters.extend(rest.search_param.into_iter().map(|one| one.name));
            all.types.extend(rest.resource.into_iter().map(|one| (one.kind.clone(), one.known())));
        }
        Ok(all)
    }

    /// What the server does not say that it can, in words.
    pub(super) fn lack(&self, need: &Need) -> Option<String> {
        match need {
            Need::Whole(what) => {
                (!self.whole.contains(*what)).then(|| format!("does not name the interaction `{what}`"))
            }
            Need::Operation(name) => {
                let known = self.operations.iter().any(|known| known.trim_start_matches('$') == *name);
                (!known).then(|| format!("does not name the operation `${name}`"))
            }
            Need::Of(name, deed) => match self.types.get(name) {
                None => Some(format!("does not name the type {name}")),
                Some(known) => self.lack_of(known, name, deed),
            },
        }
    }

    fn lack_of(&self, known: &Type, name: &str, deed: &Deed) -> Option<String> {
        let interaction = |what: &str| {
            (!known.interactions.contains(what))
                .then(|| format!("does not name the interaction `{what}` of {name}"))
        };
        let flag =
            |is_there: bool, what: &str| (!is_there).then(|| format!("does not say `{what}` of {name}"));
        let search = |by: &[String]| {
            let known = |name: &String| known.parameters.contains(name) || self.parameters.contains(name);
            let unknown = by.iter().find(|name| !known(name))?;
            Some(format!("does not name the search parameter `{unknown}` of {name}, and may pass it over"))
        };
        match deed {
            Deed::Read => interaction("read"),
            Deed::Create => interaction("create"),
            Deed::Update => interaction("update"),
            Deed::Patch => interaction("patch"),
            Deed::CreateWhere(by) => flag(known.creates_where, "conditionalCreate").or_else(|| search(by)),
            Deed::ChangeWhere(by) => flag(known.updates_where, "conditionalUpdate").or_else(|| search(by)),
            Deed::Search(by) => interaction("search-type").or_else(|| search(by)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    resource_type: String,
    #[serde(default)]
    fhir_version: String,
    #[serde(default)]
    rest: Vec<Rest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rest {
    #[serde(default)]
    mode: String,
    #[serde(default)]
    resource: Vec<Resource>,
    #[serde(default)]
    interaction: Vec<Coded>,
    #[serde(default)]
    operation: Vec<Named>,
    #[serde(default)]
    search_param: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    interaction: Vec<Coded>,
    #[serde(default)]
    search_param: Vec<Named>,
    #[serde(default)]
    conditional_create: bool,
    #[serde(default)]
    conditional_update: bool,
}

impl Resource {
    fn known(self) -> Type {
        Type {
            interactions: self.interaction.into_iter().map(|one| one.code).collect(),
            parameters: self.search_param.into_iter().map(|one| one.name).collect(),
            creates_where: self.conditional_create,
            updates_where: self.conditional_update,
        }
    }
}

#[derive(Deserialize)]
struct Coded {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// The search parameters that a query is made of, without modifiers and chains.
pub(super) fn parameters(query: &str) -> Vec<String> {
    let names = url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
    names.map(|(name, _)| name.split([':', '.']).next().unwrap_or_default().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement() -> Capabilities {
        let body = json!({
            "resourceType": "CapabilityStatement", "fhirVersion": "4.0.1",
            "rest": [{
                "mode": "server", "interaction": [{ "code": "batch" }], "searchParam": [{ "name": "_tag" }],
                "resource": [
                    { "type": "Patient", "conditionalCreate": true, "interaction": [{ "code": "create" }],
                      "searchParam": [{ "name": "identifier" }] },
                ],
            }],
        });
        Capabilities::read(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_a_server_does_not_name_it_cannot_do() {
        let statement = statement();
        let of = |deed| Need::Of("Patient".to_owned(), deed);
        let by = |name: &str| vec![name.to_owned()];
        for able in [
            Need::Whole("batch"),
            of(Deed::Create),
            of(Deed::CreateWhere(by("identifier"))),
            of(Deed::CreateWhere(by("_tag"))),
        ] {
            assert_eq!(statement.lack(&able), None, "{able:?}");
        }
        let lack = |need: &Need| statement.lack(need).unwrap();
        assert_eq!(lack(&Need::Whole("transaction")), "does not name the interaction `transaction`");
        assert!(lack(&of(Deed::CreateWhere(by("name")))).contains("search parameter `name` of Patient"));
        assert!(lack(&of(Deed::ChangeWhere(by("identifier")))).contains("conditionalUpdate"));
        assert!(lack(&Need::Of("Slot".to_owned(), Deed::Create)).contains("the type Slot"));
        assert!(lack(&Need::Operation("process-message")).contains("$process-message"));
    }

    #[test]
    fn what_is_no_statement_of_r4_is_refused() {
        for (body, words) in [
            ("<html>", "no CapabilityStatement"),
            ("{\"resourceType\": \"Patient\"}", "no CapabilityStatement"),
            ("{\"resourceType\": \"CapabilityStatement\", \"fhirVersion\": \"5.0.0\"}", "`5.0.0`"),
        ] {
            assert!(Capabilities::read(body.as_bytes()).unwrap_err().contains(words), "{body}");
        }
    }

    #[test]
    fn a_query_names_its_parameters_without_modifiers() {
        assert_eq!(
            parameters("identifier=a%7Cb&name:exact=x&subject.identifier=y"),
            ["identifier", "name", "subject"]
        );
    }
}
