//! Signing in through a provider of accounts (`OpenID` Connect: authorization code, PKCE): what it says of who comes.

mod claims;
mod endpoint;
mod provider;
mod settings;
mod token;

pub use claims::{Claims, texts};
pub use provider::{Provider, Way};
pub use settings::Settings;

/// Why nobody comes in.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The provider does not answer, or not as one does.
    Away(String),
    /// It says no, to him or to us.
    Denied(String),
    /// What it says, or what is said in its name, does not hold.
    Unproven(String),
}
