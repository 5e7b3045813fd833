//! The real binary, as people and programs use it.

mod command_line;
mod project;
mod running;
