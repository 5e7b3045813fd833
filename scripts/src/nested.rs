//! Lists and maps as text and beside each other, where Rhai's own functions would go down without a bound.
//!
//! Rhai shows and compares what is nested by calling itself, a kilobyte of stack for each list in a list; these do
//! the same as far as anybody nests data, and say so beyond.

use rhai::{Array, Dynamic, Engine, EvalAltResult, Map, NativeCallContext};

use crate::functions::{Outcome, broke};

/// As deep as JSON goes, and as deep as lists and maps are shown and compared.
pub(crate) const DEEPEST: usize = 128;

/// Whether nothing in a value stands deeper than the bound.
pub(crate) fn is_shallow(value: &Dynamic) -> bool {
    is_within(value, DEEPEST)
}

fn is_within(value: &Dynamic, left: usize) -> bool {
    if let Some(list) = value.read_lock::<Array>() {
        return left > 0 && list.iter().all(|item| is_within(item, left - 1));
    }
    if let Some(map) = value.read_lock::<Map>() {
        return left > 0 && map.values().all(|item| is_within(item, left - 1));
    }
    true
}

fn is_shallow_list(list: &Array) -> bool {
    list.iter().all(|item| is_within(item, DEEPEST - 1))
}

fn is_shallow_map(map: &Map) -> bool {
    map.values().all(|item| is_within(item, DEEPEST - 1))
}

/// Stands for Rhai's own functions of these names.
pub(crate) fn register(engine: &mut Engine) {
    for name in ["to_string", "to_debug"] {
        engine.register_fn(name, |context: NativeCallContext<'_>, list: &mut Array| {
            list_as_text(&context, list)
        });
        engine.register_fn(name, |context: NativeCallContext<'_>, map: &mut Map| map_as_text(&context, map));
    }
    engine
        .register_fn("==", |context: NativeCallContext<'_>, left: &mut Array, right: Array| {
            are_lists_equal(&context, left, right)
        })
        .register_fn("!=", |context: NativeCallContext<'_>, left: &mut Array, right: Array| {
            are_lists_equal(&context, left, right).map(|equal| !equal)
        })
        .register_fn("==", |context: NativeCallContext<'_>, left: &mut Map, right: Map| {
            are_maps_equal(&context, left, right)
        })
        .register_fn("!=", |context: NativeCallContext<'_>, left: &mut Map, right: Map| {
            are_maps_equal(&context, left, right).map(|equal| !equal)
        });
}

fn list_as_text(context: &NativeCallContext<'_>, list: &mut Array) -> Outcome<String> {
    if !is_shallow_list(list) {
        return Ok("[…]".to_owned());
    }
    let items: Vec<String> = list.iter_mut().map(|item| shown(context, item)).collect::<Result<_, _>>()?;
    Ok(format!("[{}]", items.join(", ")))
}

fn map_as_text(context: &NativeCallContext<'_>, map: &mut Map) -> Outcome<String> {
    if !is_shallow_map(map) {
        return Ok("#{…}".to_owned());
    }
    let member = |(name, item): (&rhai::Identifier, &mut Dynamic)| {
        shown(context, item).map(|item| format!("{name:?}: {item}"))
    };
    let members: Vec<String> = map.iter_mut().map(member).collect::<Result<_, _>>()?;
    Ok(format!("#{{{}}}", members.join(", ")))
}

fn shown(context: &NativeCallContext<'_>, item: &mut Dynamic) -> Outcome<String> {
    let shown = context.call_native_fn_raw("to_debug", true, &mut [item])?;
    Ok(shown.into_string().unwrap_or_default())
}

fn are_lists_equal(context: &NativeCallContext<'_>, left: &mut Array, mut right: Array) -> Outcome<bool> {
    if !is_shallow_list(left) || !is_shallow_list(&right) {
        return broke(format!("lists that are nested deeper than {DEEPEST} are not compared"));
    }
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.iter_mut().zip(&mut right) {
        if !are_equal(context, left, right)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn are_maps_equal(context: &NativeCallContext<'_>, left: &mut Map, mut right: Map) -> Outcome<bool> {
    if !is_shallow_map(left) || !is_shallow_map(&right) {
        return broke(format!("maps that are nested deeper than {DEEPEST} are not compared"));
    }
    if left.len() != right.len() {
        return Ok(false);
    }
    for (name, left) in left {
        let Some(right) = right.get_mut(name) else { return Ok(false) };
        if !are_equal(context, left, right)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What cannot be compared is different where it is of different kinds.
fn are_equal(context: &NativeCallContext<'_>, left: &mut Dynamic, right: &mut Dynamic) -> Outcome<bool> {
    let is_same_kind = left.type_id() == right.type_id();
    match context.call_native_fn_raw("==", true, &mut [left, right]) {
        Ok(equal) => Ok(equal.as_bool().unwrap_or(false)),
        Err(error) => match *error {
            EvalAltResult::ErrorFunctionNotFound(..) if !is_same_kind => Ok(false),
            _ => Err(error),
        },
    }
}
