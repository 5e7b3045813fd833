//! What code is given by name: `msg`, `out`, `source`, `ctx`, `responses`, `response`, `ended`.

use engine::{Answered, Context, NotWhole};
use rhai::{Dynamic, Engine, Map, Scope};

use crate::{
    ending::Stopped,
    form::Body,
    functions::{Asks, Responses},
    json,
    lint::Names,
};

/// All that a piece of code may see; only what it reads is made.
pub(crate) struct Given<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) msg: &'a Body,
    pub(crate) out: Option<&'a Body>,
    pub(crate) context: &'a Context,
    /// `response` or `ended`, where there is one.
    pub(crate) came_back: Dynamic,
}

impl<'a> Given<'a> {
    pub(crate) fn new(engine: &'a Engine, msg: &'a Body, context: &'a Context) -> Self {
        Self { engine, msg, out: None, context, came_back: Dynamic::UNIT }
    }

    pub(crate) fn scope(&self, reads: Names) -> Result<Scope<'static>, Stopped> {
        let mut scope = Scope::new();
        for name in reads.list() {
            let value = self.value(name);
            scope.push_dynamic(name, value.map_err(|why| Stopped::broke(why.to_string()))?);
        }
        Ok(scope)
    }

    fn value(&self, name: &str) -> Result<Dynamic, NotWhole> {
        Ok(match name {
            "msg" => self.msg.value()?,
            "out" => self.out.unwrap_or(self.msg).value()?,
            "source" => json::map_to_dynamic(&self.context.source),
            "ctx" => Dynamic::from(Asks),
            "responses" => Dynamic::from(Responses),
            _ => self.came_back.clone(),
        })
    }
}

/// An answer as scripts see it: `body`, text or `()`, and `facts`.
pub(crate) fn answer(answered: &Answered) -> Map {
    let body = answered.body.as_deref().map_or(Dynamic::UNIT, Into::into);
    Map::from([("body".into(), body), ("facts".into(), json::map_to_dynamic(&answered.facts))])
}
