//! What a script may know beside the message: each answer is recorded, so that the message can be run again.

use rhai::{Dynamic, INT, ImmutableString, plugin::*};

use super::{Outcome, broke};
use crate::{given::answer, run, time::Time};

/// `ctx`: stands for what the running step may ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks;

/// `responses`: what the destinations answered that these steps waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Responses;

#[export_module]
pub(crate) mod functions {
    /// The time, in the channel's zone.
    ///
    /// ```rhai
    /// ctx.now().hl7() == "20260301080000+0100"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn now(_ctx: &mut Asks) -> Outcome<Time> {
        Ok(Time::at(run::ask(engine::Context::now)?))
    }

    /// A new identifier: 32 hexadecimal digits that nobody else has.
    ///
    /// ```rhai
    /// ctx.id().len() == 32
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn id(_ctx: &mut Asks) -> Outcome<ImmutableString> {
        Ok(run::ask(engine::Context::id)?.into())
    }

    /// A random whole number, not negative.
    ///
    /// ```rhai
    /// ctx.random() >= 0
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn random(_ctx: &mut Asks) -> Outcome<INT> {
        Ok((run::ask(engine::Context::random)? >> 1) as INT)
    }

    /// A random whole number from 0, below a bound.
    ///
    /// ```rhai
    /// ctx.random(6) < 6
    /// ```
    #[rhai_fn(name = "random", return_raw, pure)]
    pub fn random_below(_ctx: &mut Asks, bound: INT) -> Outcome<INT> {
        if bound < 1 {
            return broke("`ctx.random` needs a bound of 1 or more");
        }
        Ok((run::ask(engine::Context::random)? % bound as u64) as INT)
    }

    /// What a destination answered that this one waits for (`after:`): its `body`, text or `()`, and its
    /// `facts`; `()` if it was not chosen.
    ///
    /// ```rhai
    /// responses["archive"].body == "stored" && responses["nobody"] == ()
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn response(_responses: &mut Responses, destination: &str) -> Outcome<Dynamic> {
        let answered = run::ask(|context| context.response(destination).map(answer))?;
        Ok(answered.map_or(Dynamic::UNIT, Dynamic::from_map))
    }

    /// The channel's name.
    ///
    /// ```rhai
    /// ctx.channel == "lab-results"
    /// ```
    #[rhai_fn(get = "channel", return_raw, pure)]
    pub fn channel(_ctx: &mut Asks) -> Outcome<ImmutableString> {
        run::ask(|context| ImmutableString::from(&*context.channel))
    }
}
