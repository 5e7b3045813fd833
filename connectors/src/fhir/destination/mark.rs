//! The mark that a delivery leaves on what it creates, by which a second try finds it.
//!
//! It is made of the effect's identity: the same at each attempt, and on nothing else.

use engine::Hash;
use serde_json::{Map, Value, json};

/// Types of R4 without an `identifier`, or with a single one that is the resource's own.
const TAGGED: &[&str] = &[
    "AdverseEvent",
    "AuditEvent",
    "Binary",
    "Bundle",
    "CapabilityStatement",
    "CompartmentDefinition",
    "Composition",
    "ConceptMap",
    "GraphDefinition",
    "ImplementationGuide",
    "Linkage",
    "MedicationKnowledge",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductUndesirableEffect",
    "MessageHeader",
    "NamingSystem",
    "OperationDefinition",
    "OperationOutcome",
    "Parameters",
    "Provenance",
    "QuestionnaireResponse",
    "SearchParameter",
    "SpecimenDefinition",
    "Subscription",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
    "TerminologyCapabilities",
    "TestReport",
    "TestScript",
    "VerificationResult",
];

/// The search parameter that finds the mark on a resource of this type.
pub(super) fn parameter(name: &str) -> &'static str {
    if TAGGED.contains(&name) { "_tag" } else { "identifier" }
}

/// A mark of one effect.
pub(super) struct Mark<'s> {
    system: &'s str,
    value: String,
}

impl<'s> Mark<'s> {
    /// Of the delivery as a whole.
    pub(super) fn of(system: &'s str, effect: Hash) -> Self {
        Self { system, value: effect.to_string() }
    }

    /// Of one entry of a bundle.
    pub(super) fn of_entry(system: &'s str, effect: Hash, entry: usize) -> Self {
        Self::of(system, Hash::of(&[&effect.0, &(entry as u64).to_be_bytes()]))
    }

    /// The condition by which a resource of this type is found that bears it.
    pub(super) fn condition(&self, name: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair(parameter(name), &format!("{}|{}", self.system, self.value));
        query.finish()
    }

    /// Puts it on a resource of this type.
    pub(super) fn put(&self, name: &str, resource: &mut Map<String, Value>) {
        if parameter(name) == "identifier" {
            let identifier = json!({ "system": self.system, "value": self.value });
            add(resource, "identifier", identifier);
            return;
        }
        let meta = resource.entry("meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            add(meta, "tag", json!({ "system": self.system, "code": self.value }));
        }
    }

    /// As the identifier of a bundle that has none.
    pub(super) fn identify(&self, bundle: &mut Map<String, Value>) {
        let identifier = json!({ "system": self.system, "value": self.value });
        bundle.entry("identifier").or_insert(identifier);
    }
}

/// Adds to a list, which begins with it where there is none. What stands there and is no list is left to the server.
fn add(object: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(list) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(mut resource: Value) -> Value {
        let mark = Mark { system: "urn:x", value: "7".to_owned() };
        let name = resource["resourceType"].as_str().unwrap().to_owned();
        mark.put(&name, resource.as_object_mut().unwrap());
        resource
    }

    #[test]
    fn a_mark_stands_beside_a_resources_own_identifiers() {
        let marked = marked(json!({ "resourceType": "Observation", "identifier": [{ "value": "1" }] }));
        assert_eq!(marked["identifier"], json!([{ "value": "1" }, { "system": "urn:x", "value": "7" }]));
    }

    #[test]
    fn a_type_without_identifiers_bears_it_as_a_tag() {
        let marked = marked(json!({ "resourceType": "Provenance" }));
        assert_eq!(marked["meta"]["tag"], json!([{ "system": "urn:x", "code": "7" }]));
        let mark = Mark { system: "urn:x", value: "7".to_owned() };
        assert_eq!(mark.condition("Provenance"), "_tag=urn%3Ax%7C7");
        assert_eq!(mark.condition("Patient"), "identifier=urn%3Ax%7C7");
    }
}
