//! Finds the lines of a message.
