//! What is known of a message before it comes: whether a step behind a script still sees HL7.

use rhai::{AST, Expr, Stmt};

use crate::Format;

/// What `msg` is at a place of the channel, as far as its file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Hl7,
    Json,
    Xml,
    /// CSV or fixed width.
    Rows,
    Hprim,
    Dicom,
    Text,
    Binary,
    /// A script before it may have made something else.
    Unknown,
}

impl Shape {
    pub(crate) fn of(format: &Format) -> Self {
        match format {
            Format::Hl7 => Self::Hl7,
            Format::Json => Self::Json,
            Format::Xml => Self::Xml,
            Format::Csv(_) | Format::Fixed(_) => Self::Rows,
            Format::Hprim => Self::Hprim,
            Format::Dicom => Self::Dicom,
            Format::Text => Self::Text,
            Format::Binary => Self::Binary,
        }
    }

    /// What it is after a script.
    pub(crate) fn after(self, ast: &AST) -> Self {
        if keeps_message(ast) { self } else { Self::Unknown }
    }
}

/// Whether the script surely ends with `msg` or with nothing.
fn keeps_message(ast: &AST) -> bool {
    let returns_message = |statement: &Stmt| match statement {
        Stmt::Return(Some(value), flags, _) => flags.contains(rhai::ASTFlags::BREAK) || is_message(value),
        _ => true,
    };
    let mut sure = true;
    for statement in ast.statements() {
        statement.walk(&mut Vec::new(), &mut |nodes| {
            if let Some(rhai::ASTNode::Stmt(statement)) = nodes.last() {
                sure &= returns_message(statement);
            }
            sure
        });
    }
    sure && ast.statements().last().is_none_or(ends_with_message)
}

fn ends_with_message(last: &Stmt) -> bool {
    match last {
        Stmt::Expr(value) => is_message(value),
        Stmt::If(branches, _) => {
            let ends = |block: &rhai::StmtBlock| block.statements().last().is_none_or(ends_with_message);
            ends(&branches.body) && ends(&branches.branch)
        }
        // These have no value; what returns was looked at.
        Stmt::Noop(_)
        | Stmt::Assignment(_)
        | Stmt::Var(..)
        | Stmt::Import(..)
        | Stmt::Export(..)
        | Stmt::While(..)
        | Stmt::For(..)
        | Stmt::Do(..)
        | Stmt::Return(..) => true,
        _ => false,
    }
}

fn is_message(value: &Expr) -> bool {
    matches!(value, Expr::Unit(_)) || matches!(value, Expr::Variable(variable, ..) if &*variable.1 == "msg")
}
