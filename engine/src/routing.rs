//! Which destinations get what, and how a message fares by it. The same for a message on its way and for a channel's tests.

use crate::{Bond, Context, Halt, Leaving, Outcome, Piece, Route, Script};

/// A piece, the destinations it goes to, and how many filtered it by their own steps.
#[derive(Debug)]
pub struct RoutedPiece {
    pub piece: Piece,
    pub goes: Vec<Goes>,
    pub filtered: usize,
}

/// A destination that gets a piece.
#[derive(Debug)]
pub struct Goes {
    /// Its place in the file.
    pub outlet: usize,
    /// `None`: it waits for another one, and its steps run then.
    pub leaving: Option<Leaving>,
    /// The keys of one that waits.
    pub keys: Vec<String>,
}

/// Asks each destination of a channel whether it wants a piece, and what would leave.
///
/// A piece that stands apart takes its halt with it; any other one halts the message. One that is held holds the whole
/// message: it is run again whole.
pub fn route(
    script: &dyn Script,
    mut piece: Piece,
    outlets: usize,
    context: &Context,
) -> Result<RoutedPiece, Halt> {
    let (mut goes, mut filtered) = (Vec::new(), 0);
    if piece.halt.is_some() {
        return Ok(RoutedPiece { piece, goes, filtered });
    }
    for outlet in 0..outlets {
        match script.route(&piece, outlet, context) {
            Ok(Route::Left) => {}
            Ok(Route::Filtered) => filtered += 1,
            Ok(Route::Goes(leaving)) => {
                goes.push(Goes { outlet, leaving: Some(leaving), keys: Vec::new() });
            }
            Ok(Route::Later(keys)) => goes.push(Goes { outlet, leaving: None, keys }),
            Err(halt @ (Halt::Held(_) | Halt::Unavailable { .. })) => return Err(halt),
            Err(halt) if piece.bond == Bond::Apart => {
                piece.halt = Some(halt);
                return Ok(RoutedPiece { piece, goes: Vec::new(), filtered: 0 });
            }
            Err(halt) => return Err(halt),
        }
    }
    Ok(RoutedPiece { piece, goes, filtered })
}

/// One outcome for the whole message: accepted if anything goes, else why nothing does. `outlets`: how many destinations
/// the channel has.
pub fn outcome(pieces: &[RoutedPiece], outlets: usize) -> Outcome {
    let goes = pieces.iter().any(|routed| !routed.goes.is_empty());
    let filtered = pieces.iter().any(|routed| routed.filtered > 0);
    let halted = !pieces.is_empty() && pieces.iter().all(|routed| routed.piece.halt.is_some());
    let worst = pieces
        .iter()
        .filter_map(|routed| routed.piece.halt.as_ref().map(Halt::outcome))
        .find(|outcome| *outcome != Outcome::Filtered);
    match worst {
        Some(outcome) if halted => outcome,
        _ if goes || (outlets == 0 && !halted) => Outcome::Accepted,
        _ if filtered || halted || pieces.is_empty() => Outcome::Filtered,
        _ => Outcome::Unrouted,
    }
}
