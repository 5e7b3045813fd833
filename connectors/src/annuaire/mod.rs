//! The French Annuaire Santé, kept in step, and a server that plays it.

pub mod mock;
