//! Looks through compiled code for what could never work: names, paths, tables that do not exist.

mod mixed;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use formats::hl7;
use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Map, Position, Scope, Stmt};

pub(crate) use mixed::Calls;

use crate::{
    callbacks::{self, Alone},
    library::Shelf,
    nearest::nearest,
    shape::Shape,
    table::Tables,
};

/// The names that code of some kind may read beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Names(u8);

impl Names {
    pub(crate) const MSG: Self = Self(1);
    pub(crate) const OUT: Self = Self(2);
    pub(crate) const SOURCE: Self = Self(4);
    pub(crate) const CTX: Self = Self(8);
    pub(crate) const RESPONSES: Self = Self(16);
    pub(crate) const RESPONSE: Self = Self(32);
    pub(crate) const ENDED: Self = Self(64);
    /// What every step may read.
    pub(crate) const STEP: Self = Self(1 | 4 | 8);
    pub(crate) const ALL: Self = Self(127);

    const LIST: [(Self, &'static str); 7] = [
        (Self::MSG, "msg"),
        (Self::OUT, "out"),
        (Self::SOURCE, "source"),
        (Self::CTX, "ctx"),
        (Self::RESPONSES, "responses"),
        (Self::RESPONSE, "response"),
        (Self::ENDED, "ended"),
    ];

    pub(crate) fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    pub(crate) fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    /// The names themselves.
    pub(crate) fn list(self) -> impl Iterator<Item = &'static str> {
        Self::LIST.into_iter().filter(move |(one, _)| self.has(*one)).map(|(_, name)| name)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::LIST.iter().find(|(_, known)| *known == name).map(|(one, _)| *one)
    }

    /// A scope that holds these names, to compile with.
    pub(crate) fn scope(self) -> Scope<'static> {
        let mut scope = Scope::new();
        for name in self.list() {
            scope.push_dynamic(name, Dynamic::UNIT);
        }
        scope
    }
}

/// What is known about where the code will run.
pub(crate) struct Surroundings<'a> {
    pub(crate) shelf: &'a Shelf,
    pub(crate) tables: &'a Tables,
    /// What `msg` is there.
    pub(crate) shape: Shape,
    /// Whether another script imports it.
    pub(crate) imported: bool,
    /// Whether it is a step on a response: only those have `sent()` and `retry()`.
    pub(crate) judges: bool,
    /// The names of the channel's destinations, where it is known which channel it is.
    pub(crate) destinations: Option<&'a [String]>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) code: &'static str,
    pub(crate) position: Position,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// What the look showed.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) found: Vec<Found>,
    pub(crate) reads: Names,
    pub(crate) tables: BTreeSet<String>,
    /// Those that are asked without a value for codes that no row has.
    pub(crate) strict_tables: BTreeSet<String>,
    pub(crate) imports: BTreeSet<String>,
}

/// Looks through all of it, its functions too.
pub(crate) fn look(ast: &AST, around: &Surroundings<'_>) -> Seen {
    let mut look = Look { around, own: Own::of(ast), seen: Seen::default() };
    ast.walk(&mut |nodes: &[ASTNode<'_>]| {
        match nodes.last() {
            Some(ASTNode::Expr(expression)) => look.expression(expression),
            Some(ASTNode::Stmt(statement)) => look.statement(statement),
            _ => {}
        }
        true
    });
    let shares = around.imported || !look.own.imports.is_empty();
    for position in callbacks::kept(ast, if shares { Alone::No } else { Alone::Yes }) {
        look.kept_function(position);
    }
    look.seen.found.extend(mixed::mixed(&Calls::of(ast), around.shelf));
    look.seen
}

/// What the code itself defines.
#[derive(Default)]
struct Own {
    functions: BTreeMap<String, BTreeSet<usize>>,
    /// What its functions call what they are given.
    parameters: BTreeSet<String>,
    /// Names that may hold a function: members of maps.
    members: BTreeSet<String>,
    /// `import "hl7" as hl7`: alias and script.
    imports: BTreeMap<String, String>,
}

impl Own {
    fn of(ast: &AST) -> Self {
        let mut own = Self::default();
        for function in ast.iter_functions() {
            own.functions.entry(function.name.to_owned()).or_default().insert(function.params.len());
            own.parameters.extend(function.params.iter().map(ToString::to_string));
        }
        ast.walk(&mut |nodes: &[ASTNode<'_>]| {
            match nodes.last() {
                Some(ASTNode::Expr(Expr::Map(map, ..))) => {
                    own.members.extend(map.0.iter().map(|(key, _)| key.name.to_string()));
                }
                Some(ASTNode::Expr(Expr::DynamicConstant(constant, ..))) => {
                    if let Some(map) = constant.read_lock::<Map>() {
                        own.members.extend(map.keys().map(ToString::to_string));
                    }
                }
                Some(ASTNode::Expr(Expr::Property(property, ..))) => {
                    own.members.insert(property.2.to_string());
                }
                Some(ASTNode::Stmt(Stmt::Import(import, ..))) => {
                    if let Expr::StringConstant(script, ..) = &import.0 {
                        own.imports.insert(import.1.name.to_string(), script.to_string());
                    }
                }
                _ => {}
            }
            true
        });
        own
    }
}

struct Look<'a, 'b> {
    around: &'a Surroundings<'b>,
    own: Own,
    seen: Seen,
}

impl Look<'_, '_> {
    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Variable(variable, ..) => {
                if let Some(name) = Names::named(&variable.1) {
                    self.seen.reads = self.seen.reads.and(name);
                }
            }
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::MethodCall(call, position) => self.method(call, *position),
            Expr::Index(pair, ..) => self.index(&pair.lhs, first_of(expression, &pair.rhs)),
            Expr::Dot(pair, ..) => self.dot(&pair.lhs, first_of(expression, &pair.rhs)),
            _ => {}
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::FnCall(call, position) => self.call(call, *position),
            Stmt::Import(import, position) => match &import.0 {
                Expr::StringConstant(script, position) => self.import(script, *position),
                _ => self.complain("unknown-script", *position, "an import names its script in quotes"),
            },
            _ => {}
        }
    }

    fn import(&mut self, script: &str, position: Position) {
        if let Some(name) = self.around.shelf.find(script) {
            self.seen.imports.insert(name);
            return;
        }
        let help = nearest(script, self.around.shelf.names().map(String::as_str));
        self.complain_with("unknown-script", position, format!("there is no script `{script}`"), help);
    }

    fn call(&mut self, call: &FnCallExpr, position: Position) {
        if call.is_operator_call() {
            return;
        }
        if call.is_qualified() {
            return self.call_imported(call, position);
        }
        match (&*call.name, &*call.args) {
            ("table", arguments) => self.table(arguments),
            ("refuse", [_, Expr::StringConstant(path, position)]) if self.around.shape == Shape::Hl7 => {
                self.path(path, *position);
            }
            _ => {}
        }
        let count = call.args.len();
        if self.is_function(&call.name, count, count) {
            return;
        }
        self.unknown_function(&call.name, count, position);
    }

    fn method(&mut self, call: &FnCallExpr, position: Position) {
        let count = call.args.len();
        if self.own.members.contains(&*call.name) || self.is_function(&call.name, count, count + 1) {
            return;
        }
        self.unknown_function(&call.name, count, position);
    }

    /// `own`: how many parameters a function of the code itself has; `native`: one of the language.
    fn is_function(&self, name: &str, own: usize, native: usize) -> bool {
        if !self.around.judges && matches!(name, "sent" | "retry") {
            return false;
        }
        self.own.functions.get(name).is_some_and(|counts| counts.contains(&own))
            || self.around.shelf.has_native(name, native)
    }

    fn call_imported(&mut self, call: &FnCallExpr, position: Position) {
        let alias = call.namespace.root().to_owned();
        let Some(script) = self.own.imports.get(&alias).and_then(|script| self.around.shelf.find(script))
        else {
            return;
        };
        if !self.around.shelf.has_function(&script, &call.name, call.args.len()) {
            let message = format!("`{script}` has no function `{}` of {}", call.name, count(call.args.len()));
            self.complain("unknown-function", position, message);
        }
    }

    fn unknown_function(&mut self, name: &str, parameters: usize, position: Position) {
        let known = self.around.shelf.natives().chain(self.own.functions.keys().map(String::as_str));
        let same_name = known.clone().any(|known| known == name);
        let message = match (name, same_name) {
            ("sent" | "retry", _) if !self.around.judges => format!("`{name}` is for `on_response` alone"),
            (_, true) => format!("no function `{name}` takes {}", count(parameters)),
            (_, false) => format!("there is no function `{name}`"),
        };
        let help = if same_name { None } else { nearest(name, known.clone()) };
        drop(known);
        self.complain_with("unknown-function", position, message, help);
    }

    fn index(&mut self, whole: &Expr, first: &Expr) {
        let (Expr::Variable(variable, ..), Expr::StringConstant(text, position)) = (whole, first) else {
            return;
        };
        match &*variable.1 {
            "msg" if matches!(self.around.shape, Shape::Hl7 | Shape::Dicom) => self.path(text, *position),
            "responses" => self.destination(text, *position),
            _ => {}
        }
    }

    fn dot(&mut self, whole: &Expr, first: &Expr) {
        if matches!(whole, Expr::Variable(variable, ..) if &*variable.1 == "ctx") {
            return self.of_context(first);
        }
        let is_message = matches!(whole, Expr::Variable(variable, ..) if &*variable.1 == "msg");
        if is_message && self.around.shape == Shape::Dicom {
            return self.dicom_dot(first);
        }
        if !is_message || self.around.shape != Shape::Hl7 {
            return;
        }
        match first {
            Expr::Property(property, position) => {
                let message = format!("an HL7 message has no `{}`", property.2);
                let help = Some("its fields are read by path: `msg[\"PID-3.1\"]`".to_owned());
                self.complain_with("not-a-path", *position, message, help);
            }
            Expr::MethodCall(call, _) => match (&*call.name, &*call.args) {
                ("has" | "part" | "repetitions", [Expr::StringConstant(path, position)]) => {
                    self.path(path, *position);
                }
                ("segments" | "groups", [Expr::StringConstant(name, position)]) => {
                    self.segment(name, *position);
                }
                ("insert", [name, after]) => {
                    if let Expr::StringConstant(name, position) = name {
                        self.segment(name, *position);
                    }
                    if let Expr::StringConstant(after, position) = after {
                        self.path(after, *position);
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// Of what is not in the message, one thing is no function.
    fn of_context(&mut self, first: &Expr) {
        let Expr::Property(property, position) = first else { return };
        if &*property.2 == "channel" || self.own.parameters.contains("ctx") {
            return;
        }
        let message = format!("`ctx` has no `{}`", property.2);
        let help = "it has `ctx.channel`, `ctx.id()`, `ctx.now()` and `ctx.random()`".to_owned();
        self.complain_with("unknown-variable", *position, message, Some(help));
    }

    fn dicom_dot(&mut self, first: &Expr) {
        match first {
            Expr::Property(property, position) => {
                let message = format!("a DICOM instance has no `{}`", property.2);
                let help = Some("its elements are read by path: `msg[\"PatientID\"]`".to_owned());
                self.complain_with("not-a-path", *position, message, help);
            }
            Expr::MethodCall(call, _) => {
                let takes_path =
                    matches!(&*call.name, "has" | "count" | "items" | "add" | "remove" | "bytes" | "set");
                if let [Expr::StringConstant(path, position), ..] = &*call.args
                    && takes_path
                {
                    self.path(path, *position);
                }
            }
            _ => {}
        }
    }

    fn kept_function(&mut self, position: Position) {
        let message = "a function is no value to be kept, changed or given back".to_owned();
        let help = "keep it in a `let`, call it, or hand it to `filter`, `map` and the like: `list.filter(|x| x > 1)`";
        self.complain_with("kept-function", position, message, Some(help.to_owned()));
    }

    fn destination(&mut self, name: &str, position: Position) {
        let Some(known) = self.around.destinations else { return };
        if !known.iter().any(|known| known == name) {
            let help = nearest(name, known.iter().map(String::as_str));
            self.complain_with(
                "unknown-destination",
                position,
                format!("there is no destination `{name}`"),
                help,
            );
        }
    }

    fn path(&mut self, path: &str, position: Position) {
        if self.around.shape == Shape::Dicom {
            if let Err(error) = formats::dicom::Path::parse(path) {
                let help = crate::dicom::nearest_keyword(&error);
                self.complain_with("not-a-path", position, error.to_string(), help);
            }
            return;
        }
        if let Err(error) = hl7::Path::parse(path) {
            self.complain("not-a-path", position, error.to_string());
        }
    }

    fn segment(&mut self, name: &str, position: Position) {
        let is_name = hl7::Path::parse(name).is_ok_and(|path| path.place().is_none());
        if !is_name {
            self.complain("not-a-path", position, format!("`{name}` is not the name of a segment"));
        }
    }

    fn complain(&mut self, code: &'static str, position: Position, message: impl Into<String>) {
        self.complain_with(code, position, message.into(), None);
    }

    fn complain_with(
        &mut self,
        code: &'static str,
        position: Position,
        message: String,
        help: Option<String>,
    ) {
        self.seen.found.push(Found { code, position, message, help });
    }
}

fn count(parameters: usize) -> String {
    match parameters {
        0 => "no argument".to_owned(),
        1 => "one argument".to_owned(),
        more => format!("{more} arguments"),
    }
}

/// What follows directly: of `msg["PID-5"].len()`, whose right side is a chain, the index alone.
fn first_of<'a>(whole: &Expr, right: &'a Expr) -> &'a Expr {
    let (Expr::Index(_, options, _) | Expr::Dot(_, options, _)) = whole else { return right };
    if options.contains(rhai::ASTFlags::BREAK) {
        return right;
    }
    match right {
        Expr::Index(pair, ..) | Expr::Dot(pair, ..) => &pair.lhs,
        other => other,
    }
}
