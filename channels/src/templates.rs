//! The channels that Relais ships, for a new project to begin with.

use std::sync::OnceLock;

use crate::schema;

/// Something `relais new` can begin with.
pub struct Template {
    pub name: &'static str,
    pub summary: &'static str,
    /// Paths relative to the new project, and what stands in them.
    pub files: Vec<(&'static str, String)>,
}

/// A shipped file: its path in a project, and what stands in it.
type Shipped = (&'static str, &'static str);

const LAB_RESULTS: Shipped = ("channels/lab-results.yaml", include_str!("../lab-results.yaml"));
const ARCHIVE: Shipped = ("channels/archive.yaml", include_str!("../archive.yaml"));
const ROUTER: Shipped = ("channels/router.yaml", include_str!("../router.yaml"));
const ADMISSIONS: Shipped = ("channels/admissions.yaml", include_str!("../admissions.yaml"));
const ORDERS: Shipped = ("channels/orders.yaml", include_str!("../orders.yaml"));
const WEB_ORDERS: Shipped = ("channels/web-orders.yaml", include_str!("../web-orders.yaml"));
const WORKLIST: Shipped = ("channels/worklist.yaml", include_str!("../worklist.yaml"));
const PATIENTS_TO_FHIR: Shipped =
    ("channels/patients-to-fhir.yaml", include_str!("../patients-to-fhir.yaml"));

const POTASSIUM: Shipped = ("messages/potassium-high.hl7", include_str!("../../messages/potassium-high.hl7"));
const POTASSIUM_DELIVERED: Shipped =
    ("messages/potassium-high.delivered.hl7", include_str!("../../messages/potassium-high.delivered.hl7"));
const WITHOUT_PATIENT: Shipped =
    ("messages/result-without-patient.hl7", include_str!("../../messages/result-without-patient.hl7"));
const ADMISSION: Shipped = ("messages/admission.hl7", include_str!("../../messages/admission.hl7"));
const ADMISSION_IN_FHIR: Shipped =
    ("messages/admission.fhir.json", include_str!("../../messages/admission.fhir.json"));
const ORDER: Shipped = ("messages/order.hl7", include_str!("../../messages/order.hl7"));
const QUERY: Shipped = ("messages/query.hl7", include_str!("../../messages/query.hl7"));
const WEB_ORDER: Shipped = ("messages/web-order.json", include_str!("../../messages/web-order.json"));
const WEB_ORDER_WITHOUT_PATIENT: Shipped = (
    "messages/web-order-without-patient.json",
    include_str!("../../messages/web-order-without-patient.json"),
);
const IMAGING_ORDER: Shipped =
    ("messages/imaging-order.hl7", include_str!("../../messages/imaging-order.hl7"));
const IMAGING_ORDER_CANCELLED: Shipped =
    ("messages/imaging-order-cancelled.hl7", include_str!("../../messages/imaging-order-cancelled.hl7"));

const SETTINGS: &str = "\
# The server's settings. Everything has a default: these are the defaults.
listen: 127.0.0.1:8600
store: { path: data }
log: { format: text, level: info }
reload: on_change
";

const IGNORED: &str = "# What a running server writes.\n/data\n/out\n";

/// Every template, the one to begin with first.
pub fn templates() -> &'static [Template] {
    static TEMPLATES: OnceLock<Vec<Template>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        vec![
            Template {
                name: "lab-results",
                summary: "results over MLLP, cleaned, each written to a file",
                files: project(&[LAB_RESULTS, POTASSIUM, POTASSIUM_DELIVERED, WITHOUT_PATIENT, ADMISSION]),
            },
            Template {
                name: "archive",
                summary: "every message over MLLP as it came, one file a day",
                files: project(&[ARCHIVE, POTASSIUM]),
            },
            Template {
                name: "router",
                summary: "one MLLP port, a channel of its own for each kind of message",
                files: project(&[ROUTER, ADMISSIONS, ORDERS, ADMISSION, ORDER, QUERY]),
            },
            Template {
                name: "web-orders",
                summary: "orders over HTTP, each written to a file",
                files: project(&[WEB_ORDERS, WEB_ORDER, WEB_ORDER_WITHOUT_PATIENT]),
            },
            Template {
                name: "patients-to-fhir",
                summary: "patients of ADT messages, kept up to date on a FHIR server",
                files: project(&[PATIENTS_TO_FHIR, ADMISSION, ADMISSION_IN_FHIR, POTASSIUM]),
            },
            Template {
                name: "worklist",
                summary: "imaging orders over MLLP, each an entry of a modality worklist",
                files: project(&[WORKLIST, IMAGING_ORDER, IMAGING_ORDER_CANCELLED]),
            },
        ]
    })
}

/// The shipped files, with what every project has.
fn project(shipped: &[Shipped]) -> Vec<(&'static str, String)> {
    // In this repository the schema stands among the reference pages.
    let own = |text: &str| text.replace("../docs/reference/channel.schema.json", "../channel.schema.json");
    let schema = serde_json::to_string_pretty(&schema()).expect("a schema is JSON") + "\n";
    let mut files = vec![
        ("relais.yaml", SETTINGS.to_owned()),
        (".gitignore", IGNORED.to_owned()),
        ("channel.schema.json", schema),
    ];
    files.extend(shipped.iter().map(|(path, text)| (*path, own(text))));
    files
}
