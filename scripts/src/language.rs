//! The Rhai that scripts run in: what it can do, what it cannot, and how far it may go.

use rhai::{
    Engine, INT, Module,
    packages::{
        ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage,
        BasicMapPackage, BasicMathPackage, BasicStringPackage, BitFieldPackage, LanguageCorePackage,
        LogicPackage, MoreStringPackage, Package,
    },
};

use crate::{dicom, elements, functions, handle, library::WITHHELD, nested, part, pieces, run, sheet, tree};

/// The longest text that a script may make: a message of 64 MB, and no more.
pub(crate) const LONGEST_TEXT: usize = 64 << 20;

/// The most elements that a list may have, those of the lists in it counted.
pub(crate) const LARGEST_LIST: usize = 100_000;

/// The most members that a map may have, those of the maps in it counted.
const LARGEST_MAP: usize = 100_000;

/// Expressions may stand in each other so deep; each term of `a + b + c` is up to three.
const DEEPEST_EXPRESSION: usize = 500;

/// Functions that call each other may stand so deep.
const DEEPEST_CALL: usize = 32;

/// A language without files, clock, printing or evaluation of text.
pub(crate) fn new() -> Engine {
    let mut engine = Engine::new_raw();
    register_packages(&mut engine);
    limit(&mut engine);
    engine.set_strict_variables(true);
    for word in ["eval", "print", "debug"] {
        engine.disable_symbol(word);
    }
    engine.on_progress(run::progress);
    handle::register(&mut engine);
    tree::register(&mut engine);
    sheet::register(&mut engine);
    elements::register(&mut engine);
    dicom::register(&mut engine);
    part::register(&mut engine);
    nested::register(&mut engine);
    pieces::register(&mut engine);
    functions::register(&mut engine);
    for name in WITHHELD {
        engine.register_fn(*name, |_: INT| functions::broke::<()>("a step never waits"));
    }
    engine
}

/// Rhai's own packages, without its clock: in one module, as each is looked through for each function that is called.
fn register_packages(engine: &mut Engine) {
    let mut all = Module::new();
    LanguageCorePackage::init(&mut all);
    ArithmeticPackage::init(&mut all);
    LogicPackage::init(&mut all);
    BitFieldPackage::init(&mut all);
    BasicMathPackage::init(&mut all);
    BasicFnPackage::init(&mut all);
    BasicIteratorPackage::init(&mut all);
    BasicStringPackage::init(&mut all);
    MoreStringPackage::init(&mut all);
    BasicArrayPackage::init(&mut all);
    BasicBlobPackage::init(&mut all);
    BasicMapPackage::init(&mut all);
    all.register_lazy_functions();
    all.build_index();
    engine.register_global_module(all.into());
}

fn limit(engine: &mut Engine) {
    engine
        .set_max_call_levels(DEEPEST_CALL)
        .set_max_expr_depths(DEEPEST_EXPRESSION, DEEPEST_EXPRESSION)
        .set_max_string_size(LONGEST_TEXT)
        .set_max_array_size(LARGEST_LIST)
        .set_max_map_size(LARGEST_MAP)
        .set_max_variables(1000)
        .set_max_functions(1000)
        .set_max_modules(100);
}
