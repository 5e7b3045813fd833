//! `import "clean" as clean;`: the project's own scripts and the shipped ones, and no other file.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::{self, ThreadId},
};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use super::Shelf;
use crate::lint::Names;

/// Makes each imported script a module once.
pub(super) struct Imports {
    shelf: Arc<Shelf>,
    modules: RwLock<BTreeMap<String, Shared<Module>>>,
    /// Those that a thread is making: a script that comes to import itself is found out.
    begun: Mutex<HashSet<(ThreadId, String)>>,
}

impl Imports {
    pub(super) fn new(shelf: Arc<Shelf>) -> Self {
        Self { shelf, modules: RwLock::default(), begun: Mutex::default() }
    }

    fn make(&self, engine: &Engine, name: &str) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let text = self.shelf.text(name).unwrap_or_default();
        // Its functions are given all they need: at its top level there is no message.
        let mut ast = engine.compile_with_scope(&Names::default().scope(), text)?;
        ast.set_source(name);
        Ok(Module::eval_ast_as_new(Scope::new(), &ast, engine)?.into())
    }

    fn begin(&self, name: &str) -> bool {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(key(name))
    }

    fn end(&self, name: &str) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(name));
    }
}

fn key(name: &str) -> (ThreadId, String) {
    (thread::current().id(), name.to_owned())
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let name = self
            .shelf
            .find(path)
            .ok_or_else(|| Box::new(EvalAltResult::ErrorModuleNotFound(path.to_owned(), position)))?;
        if let Some(module) = self.modules.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Arc::clone(module));
        }
        if !self.begin(&name) {
            return Err(format!("`{name}` imports itself").into());
        }
        let made = self.make(engine, &name);
        self.end(&name);
        let module =
            made.map_err(|error| Box::new(EvalAltResult::ErrorInModule(name.clone(), error, position)))?;
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(modules.entry(name).or_insert(module)))
    }
}
