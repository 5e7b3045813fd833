//! Functions of several scripts that Rhai would take for each other are told; those that it keeps apart are not.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod channel;

use channel::{Channel, Project};
use rhai::{Engine, Module, Scope, module_resolvers::StaticModuleResolver};
use scripts::Library;

/// What Rhai itself makes of a script that imports `a` and `b`.
fn ran(a: &str, b: &str, code: &str) -> String {
    let mut engine = Engine::new();
    let mut modules = StaticModuleResolver::new();
    for (name, text) in [("a", a), ("b", b)] {
        let ast = engine.compile(text).unwrap();
        modules.insert(name, Module::eval_ast_as_new(Scope::new(), &ast, &engine).unwrap());
    }
    engine.set_module_resolver(modules);
    engine.eval::<String>(code).unwrap()
}

fn told(a: &str, b: &str, code: &str) -> Vec<String> {
    let channel = Channel::hl7().with_file("scripts/a.rhai", a).with_file("scripts/b.rhai", b).script(code);
    channel.faults()
}

const TIDY_A: &str = "fn tidy(x) { x + \"A\" } fn name(x) { tidy(tidy(x)) }";
const TIDY_B: &str = "fn tidy(x) { x + \"B\" } fn name(x) { tidy(tidy(x)) }";
const BOTH: &str = "import \"a\" as a; import \"b\" as b; a::name(\"\") + b::name(\"\")";

#[test]
fn what_is_told_is_what_rhai_mixes_up() {
    assert_eq!(ran(TIDY_A, TIDY_B, BOTH), "AAAA", "Rhai keeps them apart now: the check can go");
    let below = "import \"a\" as a; fn to_upper(x) { \"mine\" } a::name(\"x\")";
    assert_eq!(ran("fn name(x) { to_upper(x) }", "", below), "mine");
}

#[test]
fn functions_that_would_be_taken_for_each_other_are_told_with_the_place() {
    let faults = told(TIDY_A, TIDY_B, BOTH);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].starts_with("function-mixed steps.0.script Inside { line: 1, column: 8 }"),
        "{faults:?}"
    );
    assert!(
        faults[0].contains(
            "`tidy` in `scripts/a.rhai` would also be called where `tidy` is meant in `scripts/b.rhai`"
        ),
        "{faults:?}"
    );
    let own = "import \"a\" as a;\nfn tidy(x) { x }\ntidy(a::name(\"\"))";
    let faults = told(TIDY_A, "", own);
    assert!(
        faults[0].starts_with("function-mixed steps.0.script Inside { line: 3, column: 1 }"),
        "{faults:?}"
    );
    // One that Rhai has, for whatever is called below.
    let below = "import \"a\" as a; fn to_upper(x) { x } a::name(msg)";
    let faults = told("fn name(x) { to_upper(x) }", "", below);
    assert!(faults[0].contains("`to_upper` here would also be called"), "{faults:?}");
}

#[test]
fn what_comes_together_in_a_script_is_told_of_that_script() {
    let third = "import \"a\" as a; fn tidy(x) { x } fn all(x) { tidy(a::name(x)) }";
    let project = Project::new().file("scripts/a.rhai", TIDY_A).file("scripts/b.rhai", third);
    let project = project.file("scripts/c.rhai", "import \"b\" as b; b::all(\"\")");
    let (_, faults) = Library::load(project.root());
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((fault.file.to_str(), fault.line, fault.column), (Some("scripts/b.rhai"), 1, 47));
    assert_eq!(fault.diagnostic.code, "function-mixed");
}

#[test]
fn functions_that_rhai_keeps_apart_may_share_a_name() {
    for (a, b, code) in [
        // Called by the names of their scripts alone.
        (
            "fn convert(x) { x }",
            "fn convert(x) { x }",
            "import \"a\" as a; import \"b\" as b; a::convert(b::convert(\"\"))",
        ),
        // Of another number of parameters.
        (
            TIDY_A,
            "fn tidy(x, y) { x } fn other(x) { tidy(x, x) }",
            "import \"a\" as a; import \"b\" as b; a::name(b::other(\"\"))",
        ),
        // A variable of that name.
        (TIDY_A, "fn name(tidy) { tidy }", BOTH),
        // They never run together.
        (TIDY_A, TIDY_B, "import \"a\" as a; a::name(\"\")"),
    ] {
        assert_eq!(told(a, b, code), [""; 0], "{code}");
    }
}
