//! What HL7 v2 calls code systems and authorities, and what FHIR calls them.

use std::{borrow::Cow, fmt::Write};

/// Names of HL7's table 0396 and what is seen in their place.
const CODE_SYSTEMS: &[(&str, &str)] = &[
    ("LN", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMED-CT", "http://snomed.info/sct"),
    ("SNOMEDCT", "http://snomed.info/sct"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("I9", "http://hl7.org/fhir/sid/icd-9"),
    ("ICD9", "http://hl7.org/fhir/sid/icd-9"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD9CM", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD-10", "http://hl7.org/fhir/sid/icd-10"),
    ("CIM10", "http://hl7.org/fhir/sid/icd-10"),
    ("CIM-10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("I10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("C5", "http://www.ama-assn.org/go/cpt"),
    ("CPT", "http://www.ama-assn.org/go/cpt"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("MVX", "http://hl7.org/fhir/sid/mvx"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("ATC", "http://www.whocc.no/atc"),
    ("CDCREC", "urn:oid:2.16.840.1.113883.6.238"),
    ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
    ("ISO3166_1", "urn:iso:std:iso:3166"),
    ("ISO+", "http://terminology.hl7.org/CodeSystem/ISO+"),
    ("CCAM", "urn:oid:1.2.250.1.213.2.5"),
    // Their FHIR successors hold the same codes.
    ("HL70078", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"),
    ("HL70003", "http://terminology.hl7.org/CodeSystem/v2-0003"),
];

/// The URI of a code system by the name that HL7 v2 or an OID gives it; none for a name of somebody's own.
pub(super) fn code_system(name: &str) -> Option<Cow<'static, str>> {
    if let Some((_, system)) = CODE_SYSTEMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(Cow::Borrowed(system));
    }
    let table = name.strip_prefix("HL7").map(|table| table.trim_start_matches('-'));
    if let Some(table) = table.filter(|table| table.len() == 4 && table.bytes().all(|b| b.is_ascii_digit())) {
        return Some(Cow::Owned(format!("http://terminology.hl7.org/CodeSystem/v2-{table}")));
    }
    uri(name).map(Cow::Owned)
}

/// A name that is an address already: a URI, or an OID.
pub(super) fn uri(name: &str) -> Option<String> {
    if is_oid(name) {
        return Some(format!("urn:oid:{name}"));
    }
    let is_uri = ["http://", "https://", "urn:"].iter().any(|scheme| name.starts_with(scheme));
    (is_uri && !name.contains(char::is_whitespace)).then(|| name.to_owned())
}

/// `1.2.250.1.213.1.4.8`: arcs without leading zeros.
pub(super) fn is_oid(text: &str) -> bool {
    let sound = |arc: &str| {
        !arc.is_empty()
            && arc.bytes().all(|byte| byte.is_ascii_digit())
            && (arc == "0" || !arc.starts_with('0'))
    };
    let mut arcs = text.split('.');
    matches!(arcs.next(), Some("0" | "1" | "2")) && text.contains('.') && arcs.all(sound)
}

/// `f81d4fae-7dec-11d0-a765-00a0c91e6bf6`.
pub(super) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name of somebody's own as a URI: `urn:id:REDDING%20HOSPITAL`.
pub(super) fn own(name: &str) -> String {
    let mut uri = String::from("urn:id:");
    for byte in name.trim().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a string takes all that is written");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tables_and_oids_become_the_uris_that_fhir_knows() {
        assert_eq!(code_system("ln").unwrap(), "http://loinc.org");
        assert_eq!(code_system("HL70070").unwrap(), "http://terminology.hl7.org/CodeSystem/v2-0070");
        assert_eq!(code_system("2.16.840.1").unwrap(), "urn:oid:2.16.840.1");
        assert_eq!(code_system("HL7nnnn"), None);
        assert_eq!(code_system("99LAB"), None);
        assert_eq!(own("REDDING HOSPITAL"), "urn:id:REDDING%20HOSPITAL");
        assert!(!is_oid("1.02.3") && !is_oid("12") && !is_oid("3.1") && is_oid("2.16.0.1"));
        assert!(is_uuid("426d2726-51fc-89fe-a946-8596e80a80eb") && !is_uuid("426d2726"));
    }
}
