//! Finds functions that are kept where values are kept: a chain of functions in functions has no bound.
//!
//! A function that reads the variables around it holds them, and what they hold. Were it data, a loop could put
//! one into the next for ever, and what is nested without bound is dropped by recursion without bound, which ends
//! the process; two that hold each other are never dropped at all. So a function is no data here: it stands in a
//! `let` that is never assigned to, is called, or is handed to what calls it and does not keep it. Then one can
//! hold those alone that stand before it in the text: they are as few as the text has, and hold each other never.
//!
//! One that reads nothing around it holds nothing, and may be a member of a map: `m.twice(2)`. What comes back from
//! such a member is not known, so code that has any hands no other function to a method; and as nobody knows what
//! another script does with its maps, scripts that are imported or import have none.

use std::collections::BTreeSet;

use rhai::{AST, ASTFlags, ASTNode, Array, Dynamic, Expr, FnCallExpr, Map, Position, Stmt};

/// Functions of lists and maps that call what they are handed, and do not keep it.
const CALL_THEIR_FIRST: &[&str] = &[
    "all",
    "dedup",
    "drain",
    "filter",
    "find",
    "find_map",
    "for_each",
    "index_of",
    "map",
    "order",
    "reduce",
    "reduce_rev",
    "retain",
    "some",
    "sort",
];

/// The same where a list or a name stands before it.
const CALL_THEIR_SECOND: &[&str] = &["change", "zip"];

/// Where the code keeps functions as if they were data. `alone`: it neither imports a script nor is imported.
pub(crate) fn kept(ast: &AST, alone: Alone) -> Vec<Position> {
    let mut search = Search::of(ast, alone);
    loop {
        let known = (search.holders.len(), search.has_loose);
        search.kept.clear();
        ast.walk(&mut |nodes: &[ASTNode<'_>]| {
            search.look(nodes);
            true
        });
        // A name that was found to hold a function is looked for everywhere.
        if (search.holders.len(), search.has_loose) == known {
            return search.kept;
        }
    }
}

/// Whether code shares its values with other scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    Yes,
    No,
}

struct Search {
    alone: Alone,
    /// Some function that reads nothing around it is data.
    has_loose: bool,
    /// Names of variables and parameters that hold functions.
    holders: BTreeSet<String>,
    /// The code's own functions: name and parameters.
    functions: Vec<(String, Vec<String>)>,
    kept: Vec<Position>,
}

impl Search {
    fn of(ast: &AST, alone: Alone) -> Self {
        let parameters = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let functions =
            ast.iter_functions().map(|function| (function.name.to_owned(), parameters(function.params)));
        let functions = functions.collect();
        Self { alone, has_loose: false, holders: BTreeSet::new(), functions, kept: Vec::new() }
    }

    fn look(&mut self, nodes: &[ASTNode<'_>]) {
        match nodes {
            [.., ASTNode::Stmt(Stmt::Export(export, position))] if self.holders.contains(&*export.0.name) => {
                self.kept.push(*position);
            }
            // What a function reads of what stands around it is a block of its own, which stands for the function.
            [.., ASTNode::Expr(Expr::Stmt(block)), ASTNode::Stmt(Stmt::FnCall(..))]
            | [
                ..,
                ASTNode::Expr(Expr::Stmt(block)),
                ASTNode::Stmt(Stmt::Expr(_)),
                ASTNode::Expr(Expr::FnCall(..)),
            ] if is_reader(block.statements()) => {}
            [.., ASTNode::Stmt(Stmt::FnCall(call, position))] if call.name == "curry" => {
                self.kept.push(*position);
            }
            [above @ .., ASTNode::Expr(expression)]
                if self.is_function(expression) && !self.may_stand(expression, above) =>
            {
                self.note(expression);
            }
            _ => {}
        }
    }

    /// Notes a function that is data.
    fn note(&mut self, function: &Expr) {
        if self.alone == Alone::Yes && reads_nothing(function) {
            self.has_loose = true;
        } else {
            self.kept.push(function.position());
        }
    }

    fn is_function(&self, expression: &Expr) -> bool {
        match expression {
            Expr::DynamicConstant(constant, ..) => holds_function(constant),
            Expr::FnCall(call, ..) => makes_function(call),
            Expr::Stmt(block) => is_reader(block.statements()),
            Expr::Dot(pair, ..) => is_method(&pair.rhs, "curry"),
            Expr::Variable(variable, ..) => {
                self.holders.contains(&*variable.1)
                    || (variable.0.is_none() && self.functions.iter().any(|(name, _)| *name == *variable.1))
            }
            _ => false,
        }
    }

    /// Whether a function may stand here. Notes who is to hold it.
    fn may_stand(&mut self, function: &Expr, above: &[ASTNode<'_>]) -> bool {
        if matches!(function, Expr::DynamicConstant(constant, ..) if !constant.is_fnptr()) {
            return false;
        }
        match above.last() {
            Some(ASTNode::Stmt(Stmt::Var(variable, flags, _))) if !flags.contains(ASTFlags::EXPORTED) => {
                self.holders.insert(variable.0.name.to_string());
                true
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, _))) => {
                !self.has_loose && self.is_called_by(call, function, 0)
            }
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => {
                self.is_called_by(call, function, 1) || self.is_read_or_called(call, function)
            }
            Some(ASTNode::Expr(Expr::Dot(pair, ..))) => {
                std::ptr::eq(&raw const pair.lhs, function) && is_called_next(&pair.rhs)
            }
            _ => false,
        }
    }

    /// `list.filter(|x| …)`, or a function of the code's own whose parameter is held to the same.
    fn is_called_by(&mut self, call: &FnCallExpr, function: *const Expr, before: usize) -> bool {
        let place = call.args.iter().position(|argument| std::ptr::eq(argument, function));
        let Some(place) = place.filter(|_| !call.is_qualified() && !call.is_operator_call()) else {
            return false;
        };
        let own = |(name, parameters): &&(String, Vec<String>)| {
            **name == *call.name && parameters.len() == call.args.len()
        };
        let known = self.functions.iter().filter(own).map(|(_, parameters)| parameters[place].clone());
        let parameters: Vec<String> = known.collect();
        if !parameters.is_empty() {
            self.holders.extend(parameters);
            return true;
        }
        let is_own = self.functions.iter().any(|(name, _)| **name == *call.name);
        !is_own
            && (CALL_THEIR_FIRST.contains(&&*call.name) && place == before
                || CALL_THEIR_SECOND.contains(&&*call.name) && place == before + 1)
    }

    /// `call(f, x)`, or what a function reads of what stands around it.
    fn is_read_or_called(&self, call: &FnCallExpr, function: *const Expr) -> bool {
        if call.is_qualified() {
            return false;
        }
        let is_first = call.args.first().is_some_and(|first| std::ptr::eq(first, function));
        match &*call.name {
            "call" => is_first,
            "curry" => is_first || call.args.iter().any(|argument| self.is_same_variable(argument, function)),
            _ => false,
        }
    }

    fn is_same_variable(&self, argument: &Expr, function: *const Expr) -> bool {
        std::ptr::eq(argument, function)
            && matches!(argument, Expr::Variable(variable, ..) if self.holders.contains(&*variable.1))
    }
}

/// Whether a block is a function that reads what stands around it: the reading, and the function.
fn is_reader(block: &[Stmt]) -> bool {
    match block {
        [Stmt::Share(_) | Stmt::Noop(_), Stmt::FnCall(call, _)] => call.name == "curry",
        [Stmt::Share(_) | Stmt::Noop(_), Stmt::Expr(function)] => {
            matches!(&**function, Expr::FnCall(call, _) if call.name == "curry")
        }
        _ => false,
    }
}

/// A function as it is written, that has nothing beside its arguments.
fn reads_nothing(function: &Expr) -> bool {
    match function {
        Expr::DynamicConstant(..) => true,
        Expr::FnCall(call, _) => call.name == "Fn",
        _ => false,
    }
}

fn makes_function(call: &FnCallExpr) -> bool {
    !call.is_qualified() && matches!(&*call.name, "Fn" | "curry")
}

/// `.call(…)`, and what follows it, or `.curry(…)`, which is a function again.
fn is_called_next(right: &Expr) -> bool {
    match right {
        Expr::Dot(pair, ..) if is_method(&pair.lhs, "curry") => {
            !is_method(&pair.rhs, "curry") && is_called_next(&pair.rhs)
        }
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => is_method(&pair.lhs, "call"),
        only => is_method(only, "call") || is_method(only, "curry"),
    }
}

fn is_method(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::MethodCall(call, _) if call.name == name)
}

fn holds_function(constant: &Dynamic) -> bool {
    constant.is_fnptr()
        || constant.read_lock::<Array>().is_some_and(|list| list.iter().any(holds_function))
        || constant.read_lock::<Map>().is_some_and(|map| map.values().any(holds_function))
}
