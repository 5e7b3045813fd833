//! Coded elements (CE, CWE, CNE, ID, IS) as FHIR's `CodeableConcept`.

use rhai::Map;

use super::{Element, Parts, Site, parts};

/// Where a coding stands: code, display, system, version.
const CODINGS: [[usize; 4]; 3] = [[1, 2, 3, 7], [4, 5, 6, 8], [10, 11, 12, 13]];

/// A coded element; `table` names the code system of codes that name none themselves.
pub(crate) fn concept(parts: &Parts<'_>, table: &str, site: &Site) -> Option<Map> {
    if parts.is_empty() {
        return None;
    }
    let mut codings = Vec::new();
    for [code, display, system, version] in CODINGS {
        let code = parts::code(parts.text(code));
        if code.is_empty() {
            continue;
        }
        let named = parts.text(system);
        let name = if named.is_empty() && codings.is_empty() { table } else { &named };
        let coding = Element::default().with("code", code).with("display", parts.text(display));
        codings.push(coding.with("system", &*site.codes(name)).with("version", parts.text(version)));
    }
    let text = parts.first_of(&[9, 2, 5, 11]);
    Element::default().with("coding", codings).with("text", text).map()
}
