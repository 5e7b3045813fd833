//! Functions that Rhai would take for each other: where several scripts run together, it finds the function of a plain call by
//! its name and its number of parameters alone, in whichever of them it finds one first.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::Found;
use crate::library::Shelf;

/// A function's name, and how many parameters it has.
type Signature = (String, usize);

/// What a script defines, calls by plain names, and imports.
#[derive(Default)]
pub(crate) struct Calls {
    defined: BTreeSet<Signature>,
    called: BTreeMap<Signature, Position>,
    /// Names that may stand for a function that is handed on.
    named: BTreeSet<String>,
    /// As it is written, and where.
    imports: BTreeMap<String, Position>,
}

impl Calls {
    pub(crate) fn of(ast: &AST) -> Self {
        let functions =
            ast.iter_functions().map(|function| (function.name.to_owned(), function.params.len()));
        let mut calls = Self { defined: functions.collect(), ..Self::default() };
        ast.walk(&mut |nodes: &[ASTNode<'_>]| {
            match nodes.last() {
                Some(
                    ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))
                    | ASTNode::Stmt(Stmt::FnCall(call, position)),
                ) => calls.call(call, *position),
                Some(ASTNode::Expr(Expr::Variable(variable, ..))) => {
                    calls.named.insert(variable.1.to_string());
                }
                Some(ASTNode::Stmt(Stmt::Import(import, ..))) => {
                    if let Expr::StringConstant(script, position) = &import.0 {
                        calls.imports.entry(script.to_string()).or_insert(*position);
                    }
                }
                _ => {}
            }
            true
        });
        calls
    }

    fn call(&mut self, call: &FnCallExpr, position: Position) {
        if !call.is_operator_call() && !call.is_qualified() {
            self.called.entry((call.name.to_string(), call.args.len())).or_insert(position);
        }
    }

    /// Whether Rhai looks for such a function while this script runs.
    fn looks_for(&self, wanted: &Signature) -> bool {
        self.called.contains_key(wanted) || (self.defined.contains(wanted) && self.named.contains(&wanted.0))
    }
}

/// What would be mixed up where code runs with all that it imports. What an imported script mixes up by itself is told of
/// that one.
pub(super) fn mixed(own: &Calls, shelf: &Shelf) -> Vec<Found> {
    let branches: Vec<(Position, BTreeSet<String>)> =
        own.imports.iter().map(|(script, position)| (*position, reached(script, shelf))).collect();
    let all: BTreeSet<&String> = branches.iter().flat_map(|(_, scripts)| scripts).collect();
    let together: Vec<Script<'_>> = all
        .iter()
        .filter_map(|name| Some(Script { name: name.as_str(), calls: shelf.calls(name)? }))
        .chain([Script { name: "", calls: own }])
        .collect();
    let told_elsewhere = |one: &Script<'_>, other: &Script<'_>| {
        branches.iter().any(|(_, scripts)| scripts.contains(one.name) && scripts.contains(other.name))
    };
    let pairs = together.iter().flat_map(|giving| together.iter().map(move |looking| (giving, looking)));
    let mut found = BTreeMap::new();
    for (giving, looking) in
        pairs.filter(|(one, other)| one.name != other.name && !told_elsewhere(one, other))
    {
        let Some(signature) = giving.is_taken_by(looking, shelf) else { continue };
        let imported = if giving.name.is_empty() { looking.name } else { giving.name };
        let called = own.called.get(signature).filter(|_| looking.name.is_empty());
        let import = branches.iter().find(|(_, scripts)| scripts.contains(imported));
        let position = called.or(import.map(|(position, _)| position)).copied().unwrap_or_default();
        found.entry(signature).or_insert_with(|| told(signature, (giving.name, looking.name), position));
    }
    found.into_values().collect()
}

/// One of several scripts that run together. Without a name: the code that imports the others.
struct Script<'a> {
    name: &'a str,
    calls: &'a Calls,
}

impl<'a> Script<'a> {
    /// The first of its functions that another script would come to call unawares: that one looks for such a function
    /// while it runs below this one, or after this one has found its own.
    fn is_taken_by(&self, looking: &Script<'_>, all: &Shelf) -> Option<&'a Signature> {
        let runs_below = || {
            self.name.is_empty()
                || self.calls.imports.keys().any(|one| reached(one, all).contains(looking.name))
        };
        self.calls.defined.iter().find(|signature| {
            let is_sought = looking.calls.looks_for(signature) && !signature.0.starts_with("anon$");
            let has_own = looking.calls.defined.contains(*signature);
            is_sought && (self.calls.looks_for(signature) || (!has_own && runs_below()))
        })
    }
}

/// A script, and all that it comes to import.
fn reached(script: &str, shelf: &Shelf) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![script.to_owned()];
    while let Some(written) = ahead.pop() {
        let Some(name) = shelf.find(&written) else { continue };
        if reached.insert(name.clone()) {
            ahead.extend(shelf.calls(&name).into_iter().flat_map(|calls| calls.imports.keys().cloned()));
        }
    }
    reached
}

fn told(signature: &Signature, (giving, looking): (&str, &str), position: Position) -> Found {
    let name = &signature.0;
    let of = |script: &str| match script {
        "" => "here".to_owned(),
        script => format!("in `{script}`"),
    };
    Found {
        code: "function-mixed",
        position,
        message: format!(
            "the function `{name}` {} would also be called where `{name}` is meant {}",
            of(giving),
            of(looking)
        ),
        help: Some("give it another name: scripts that run together have one function of a name".to_owned()),
    }
}
