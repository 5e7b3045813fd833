//! The texts of all scripts, and the names of all functions.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use rhai::{AST, Engine};
use serde_json::Value;

use crate::lint::{Calls, Names};

/// What Relais ships: name and text.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("relais/ack_to_fhir", include_str!("../../ack_to_fhir.rhai")),
    ("relais/adt_to_fhir", include_str!("../../adt_to_fhir.rhai")),
    ("relais/fhir/acknowledgement", include_str!("../../fhir/acknowledgement.rhai")),
    ("relais/fhir/admission", include_str!("../../fhir/admission.rhai")),
    ("relais/fhir/any", include_str!("../../fhir/any.rhai")),
    ("relais/fhir/clinical", include_str!("../../fhir/clinical.rhai")),
    ("relais/fhir/document", include_str!("../../fhir/document.rhai")),
    ("relais/fhir/imaging", include_str!("../../fhir/imaging.rhai")),
    ("relais/fhir/message", include_str!("../../fhir/message.rhai")),
    ("relais/fhir/order", include_str!("../../fhir/order.rhai")),
    ("relais/fhir/patient", include_str!("../../fhir/patient.rhai")),
    ("relais/fhir/placer", include_str!("../../fhir/placer.rhai")),
    ("relais/fhir/report", include_str!("../../fhir/report.rhai")),
    ("relais/fhir/request", include_str!("../../fhir/request.rhai")),
    ("relais/fhir/results", include_str!("../../fhir/results.rhai")),
    ("relais/fhir/specimen", include_str!("../../fhir/specimen.rhai")),
    ("relais/fhir/visit", include_str!("../../fhir/visit.rhai")),
    ("relais/fhir_to_order", include_str!("../../fhir_to_order.rhai")),
    ("relais/hl7", include_str!("../../hl7.rhai")),
    ("relais/imaging_study", include_str!("../../imaging_study.rhai")),
    ("relais/instance_header", include_str!("../../instance_header.rhai")),
    ("relais/mdm_to_fhir", include_str!("../../mdm_to_fhir.rhai")),
    ("relais/order_to_fhir", include_str!("../../order_to_fhir.rhai")),
    ("relais/oru_to_fhir", include_str!("../../oru_to_fhir.rhai")),
    ("relais/to_fhir", include_str!("../../to_fhir.rhai")),
    ("relais/to_fhir_message", include_str!("../../to_fhir_message.rhai")),
];

/// Functions that Rhai knows without having them registered; 0 stands for any number of arguments.
const BUILT_IN: &[(&str, usize)] = &[
    ("Fn", 1),
    ("call", 0),
    ("curry", 0),
    ("is_def_fn", 2),
    ("is_def_var", 1),
    ("is_shared", 1),
    ("type_of", 1),
];

/// Functions of Rhai's that no step may call.
pub(crate) const WITHHELD: &[&str] = &["sleep"];

/// Functions by name and number of parameters.
type Functions = BTreeMap<String, BTreeSet<usize>>;

/// Scripts by full name (`scripts/clean.rhai`, `relais/hl7`), and Rhai's own functions.
pub(crate) struct Shelf {
    scripts: BTreeMap<String, Script>,
    natives: &'static Functions,
    /// What can be read off a value: `name` of a segment.
    counts_any: BTreeSet<&'static str>,
}

#[derive(Clone)]
struct Script {
    text: Cow<'static, str>,
    /// Those that it defines for others.
    functions: BTreeSet<(String, usize)>,
    calls: Arc<Calls>,
}

/// What is the same for every project, and takes a while to find out.
struct Known {
    shipped: BTreeMap<String, Script>,
    natives: Functions,
}

impl Shelf {
    pub(crate) fn new(engine: &Engine) -> Self {
        static KNOWN: OnceLock<Known> = OnceLock::new();
        let known = KNOWN.get_or_init(|| Known::with(engine));
        Self {
            scripts: known.shipped.clone(),
            natives: &known.natives,
            counts_any: BUILT_IN.iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect(),
        }
    }

    pub(crate) fn put(&mut self, engine: &Engine, name: String, text: String) {
        self.scripts.insert(name, Script::of(engine, text.into()));
    }

    /// The full name of a script as it was written: `clean`, `clean.rhai`, `scripts/clean.rhai`, `relais/hl7`.
    pub(crate) fn find(&self, written: &str) -> Option<String> {
        let bare = written.strip_prefix("./").unwrap_or(written);
        [bare.to_owned(), format!("scripts/{bare}"), format!("scripts/{bare}.rhai")]
            .into_iter()
            .find(|name| self.scripts.contains_key(name))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.scripts.keys()
    }

    /// The scripts of the project itself.
    pub(crate) fn own(&self) -> impl Iterator<Item = &String> {
        self.scripts.keys().filter(|name| !SHIPPED.iter().any(|(shipped, _)| shipped == name))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.scripts.get(name).map(|script| &*script.text)
    }

    /// What a script defines, calls and imports.
    pub(crate) fn calls(&self, name: &str) -> Option<&Calls> {
        self.scripts.get(name).map(|script| &*script.calls)
    }

    /// Whether a script has a function of so many parameters.
    pub(crate) fn has_function(&self, script: &str, name: &str, parameters: usize) -> bool {
        self.scripts
            .get(script)
            .is_some_and(|script| script.functions.contains(&(name.to_owned(), parameters)))
    }

    pub(crate) fn natives(&self) -> impl Iterator<Item = &str> + Clone {
        self.natives.keys().map(String::as_str)
    }

    /// Whether the language has a function of so many parameters.
    pub(crate) fn has_native(&self, name: &str, parameters: usize) -> bool {
        self.counts_any.contains(name)
            || self.natives.get(name).is_some_and(|counts| counts.contains(&parameters))
    }
}

impl Known {
    fn with(engine: &Engine) -> Self {
        let script = |(name, text): &(&str, &'static str)| {
            ((*name).to_owned(), Script::of(engine, Cow::Borrowed(*text)))
        };
        Self { shipped: SHIPPED.iter().map(script).collect(), natives: natives(engine) }
    }
}

impl Script {
    /// Of one that does not compile nothing is known here; what is wrong with it is told elsewhere.
    fn of(engine: &Engine, text: Cow<'static, str>) -> Self {
        let ast = engine.compile_with_scope(&Names::ALL.scope(), &text).unwrap_or_default();
        Self { functions: functions_of(&ast), calls: Arc::new(Calls::of(&ast)), text }
    }
}

/// The functions a script defines for others.
fn functions_of(ast: &AST) -> BTreeSet<(String, usize)> {
    ast.iter_functions()
        .filter(|function| function.access == rhai::FnAccess::Public)
        .map(|function| (function.name.to_owned(), function.params.len()))
        .collect()
}

fn natives(engine: &Engine) -> Functions {
    let mut natives = Functions::new();
    let listed = engine.gen_fn_metadata_to_json(true).unwrap_or_default();
    let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
    for function in listed["functions"].as_array().into_iter().flatten() {
        let (Some(name), Some(count)) = (function["name"].as_str(), function["numParams"].as_u64()) else {
            continue;
        };
        if !WITHHELD.contains(&name) {
            natives.entry(name.to_owned()).or_default().insert(count as usize);
        }
    }
    for (name, count) in BUILT_IN {
        natives.entry((*name).to_owned()).or_default().insert(*count);
    }
    natives
}
