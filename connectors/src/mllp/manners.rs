//! What a sender wants to hear, by the channel's mode and the message's MSH-15 and MSH-16.

use engine::ReplyMode;
use formats::hl7::header::Header;

use super::answer::Speaker;

/// The answers a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// One answer, always.
    One(Speaker),
    /// One when it is kept, one when it was processed; each where it is wanted.
    Two { commit: Wanted, application: Wanted },
}

/// When an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Always,
    Never,
    Errors,
    Successes,
}

impl Wanted {
    /// A value that the standard does not know asks for an answer: silence must be wanted.
    fn read(value: &[u8]) -> Self {
        match value {
            b"" | b"NE" => Self::Never,
            b"ER" => Self::Errors,
            b"SU" => Self::Successes,
            _ => Self::Always,
        }
    }

    pub(super) fn on_success(self) -> bool {
        matches!(self, Self::Always | Self::Successes)
    }

    pub(super) fn on_error(self) -> bool {
        matches!(self, Self::Always | Self::Errors)
    }
}

impl Manners {
    pub(super) fn of(message: &[u8], mode: ReplyMode) -> Self {
        let header = Header::read(message).ok();
        let field = |read: fn(&Header<'_>) -> Vec<u8>| header.as_ref().map(read).unwrap_or_default();
        let accept = field(|header| header.accept_acknowledgement().to_vec());
        let application = field(|header| header.application_acknowledgement().to_vec());
        match mode {
            ReplyMode::Original => Self::One(Speaker::Application),
            ReplyMode::Auto => Self::One(auto(&accept, &application)),
            ReplyMode::Enhanced if accept.is_empty() && application.is_empty() => {
                Self::One(Speaker::Application)
            }
            ReplyMode::Enhanced => {
                Self::Two { commit: Wanted::read(&accept), application: Wanted::read(&application) }
            }
        }
    }

    /// Who has the last word to the sender.
    pub(super) fn last(self) -> Speaker {
        match self {
            Self::One(speaker) => speaker,
            Self::Two { commit, application: Wanted::Never } if commit != Wanted::Never => Speaker::Commit,
            Self::Two { .. } => Speaker::Application,
        }
    }
}

fn auto(accept: &[u8], application: &[u8]) -> Speaker {
    let asks_for_commit = matches!(accept, b"AL" | b"ER" | b"SU");
    if asks_for_commit && matches!(application, b"" | b"NE") { Speaker::Commit } else { Speaker::Application }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manners(accept: &str, application: &str, mode: ReplyMode) -> Manners {
        let message = format!("MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.5|||{accept}|{application}\rPID|1\r");
        Manners::of(message.as_bytes(), mode)
    }

    #[test]
    fn auto_speaks_for_the_commit_only_where_nothing_else_is_asked_for() {
        for accept in ["AL", "ER", "SU"] {
            assert_eq!(manners(accept, "", ReplyMode::Auto), Manners::One(Speaker::Commit));
            assert_eq!(manners(accept, "NE", ReplyMode::Auto), Manners::One(Speaker::Commit));
            assert_eq!(manners(accept, "AL", ReplyMode::Auto), Manners::One(Speaker::Application));
        }
        for accept in ["", "NE"] {
            assert_eq!(manners(accept, "NE", ReplyMode::Auto), Manners::One(Speaker::Application));
        }
    }

    #[test]
    fn enhanced_follows_the_letter() {
        assert_eq!(manners("", "", ReplyMode::Enhanced), Manners::One(Speaker::Application));
        let two = |commit, application| Manners::Two { commit, application };
        assert_eq!(manners("AL", "NE", ReplyMode::Enhanced), two(Wanted::Always, Wanted::Never));
        assert_eq!(manners("ER", "SU", ReplyMode::Enhanced), two(Wanted::Errors, Wanted::Successes));
        assert_eq!(manners("", "AL", ReplyMode::Enhanced), two(Wanted::Never, Wanted::Always));
    }

    #[test]
    fn original_hears_nothing_of_either() {
        assert_eq!(manners("AL", "NE", ReplyMode::Original), Manners::One(Speaker::Application));
        assert_eq!(Manners::of(b"junk", ReplyMode::Auto), Manners::One(Speaker::Application));
    }
}
