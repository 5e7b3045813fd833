//! What a person can be needed for, when that begins, and what to do about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of state that needs a person. The worst stand first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    StoreTrouble,
    StoreRefuses,
    ChannelBroken,
    SourceDown,
    DestinationDown,
    DestinationStopped,
    Disk,
    Certificate,
    Silent,
    QueueOld,
    ErrorShare,
    GivenUp,
    SetAside,
    Unsure,
    Unmapped,
    Failed,
    Overdue,
    EditNotInForce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Critical,
    Warning,
}

/// A number from which on a person is needed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// So much, or more.
    From(f64),
    /// So much, or less.
    DownTo(f64),
}

impl Limit {
    /// Whether a number reaches it. What is open stays so until it is a fifth away from it: a number that moves around
    /// its limit opens nothing anew.
    pub(crate) fn is_reached(self, number: f64, is_open: bool) -> bool {
        match self {
            Self::From(limit) if is_open && limit > 1.0 => number >= limit * 0.8,
            Self::From(limit) => number >= limit,
            Self::DownTo(limit) if is_open => number <= limit * 1.2,
            Self::DownTo(limit) => number <= limit,
        }
    }

    /// The one that is reached earlier.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::From(one), Self::From(two)) => Self::From(one.min(two)),
            (Self::DownTo(one), Self::DownTo(two)) => Self::DownTo(one.max(two)),
            (first, _) => first,
        }
    }
}

impl Cause {
    pub(crate) const ALL: [Self; 18] = [
        Self::StoreTrouble,
        Self::StoreRefuses,
        Self::ChannelBroken,
        Self::SourceDown,
        Self::DestinationDown,
        Self::DestinationStopped,
        Self::Disk,
        Self::Certificate,
        Self::Silent,
        Self::QueueOld,
        Self::ErrorShare,
        Self::GivenUp,
        Self::SetAside,
        Self::Unsure,
        Self::Unmapped,
        Self::Failed,
        Self::Overdue,
        Self::EditNotInForce,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StoreTrouble => "store_trouble",
            Self::StoreRefuses => "store_refuses",
            Self::ChannelBroken => "channel_broken",
            Self::SourceDown => "source_down",
            Self::DestinationDown => "destination_down",
            Self::DestinationStopped => "destination_stopped",
            Self::Disk => "disk",
            Self::Certificate => "certificate",
            Self::Silent => "silent",
            Self::QueueOld => "queue_old",
            Self::ErrorShare => "error_share",
            Self::GivenUp => "given_up",
            Self::SetAside => "set_aside",
            Self::Unsure => "unsure",
            Self::Unmapped => "unmapped",
            Self::Failed => "failed",
            Self::Overdue => "overdue",
            Self::EditNotInForce => "edit_not_in_force",
        }
    }

    /// From when on a person is needed, where no rule says it: seconds, days, percent or a number, as it is measured.
    pub(crate) fn limit(self) -> Limit {
        match self {
            Self::Disk => Limit::DownTo(7.0),
            Self::Certificate => Limit::DownTo(30.0),
            Self::DestinationDown | Self::SourceDown => Limit::From(10.0),
            Self::QueueOld => Limit::From(900.0),
            Self::ErrorShare => Limit::From(25.0),
            // How long a silence may last is not the same twice: whoever measures it says when it is too long.
            Self::Silent => Limit::From(0.0),
            _ => Limit::From(1.0),
        }
    }

    pub(crate) fn severity(self, measure: f64) -> Severity {
        match self {
            Self::StoreTrouble
            | Self::StoreRefuses
            | Self::ChannelBroken
            | Self::SourceDown
            | Self::DestinationDown
            | Self::DestinationStopped => Severity::Critical,
            Self::Disk if measure < 1.0 => Severity::Critical,
            Self::Certificate if measure < 7.0 => Severity::Critical,
            _ => Severity::Warning,
        }
    }

    /// For so long it must not have been so before the episode closes.
    pub(crate) fn closes_after(self) -> Duration {
        match self {
            Self::DestinationDown | Self::SourceDown => Duration::from_secs(5),
            Self::ErrorShare => Duration::from_mins(5),
            Self::QueueOld => Duration::from_secs(30),
            _ => Duration::ZERO,
        }
    }

    /// What to do, as a code and in words.
    pub(crate) fn advice(self) -> (&'static str, &'static str) {
        match self {
            Self::StoreTrouble => ("see_reason", "repair what the reason names; the store goes on by itself"),
            Self::StoreRefuses | Self::Disk => {
                ("make_room", "free some room on the disk, or shorten `keep`; it goes on by itself")
            }
            Self::ChannelBroken | Self::EditNotInForce => {
                ("check_files", "`relais check` says what is wrong with the files, and where")
            }
            Self::SourceDown => {
                ("see_reason", "repair what the reason names; the channel takes messages again by itself")
            }
            Self::DestinationDown => {
                ("repair_receiver", "repair the receiver or the way to it; sending goes on by itself")
            }
            Self::DestinationStopped | Self::SetAside | Self::Unsure => {
                ("decide_delivery", "`relais show ID` says why; then `relais resend ID`, or `relais drop ID`")
            }
            Self::Certificate => ("renew_certificate", "put a renewed certificate in its place"),
            Self::Silent => {
                ("ask_the_sender", "ask whoever sends whether it still does, and look at the way here")
            }
            Self::QueueOld => ("look_at_queue", "`relais status` says what the first in the queue waits for"),
            Self::ErrorShare => {
                ("look_at_errors", "look at the latest: `relais find --state failed`, `--state refused`")
            }
            Self::GivenUp => {
                ("repair_and_resend", "repair the cause, then `relais resend --state given_up --to NAME`")
            }
            Self::Unmapped => (
                "add_rows",
                "`relais unmapped` lists the codes; with the rows in force the messages go on by themselves",
            ),
            Self::Failed => {
                ("repair_script", "`relais show ID` says at which step; repair it, then `relais resend ID`")
            }
            Self::Overdue => {
                ("ask_whoever_answers", "`relais overdue` lists the messages; ask whoever should answer")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_around_its_limit_opens_once_and_stays() {
        let age = Limit::From(900.0);
        assert!(!age.is_reached(899.0, false) && age.is_reached(900.0, false));
        assert!(age.is_reached(750.0, true) && !age.is_reached(700.0, true));
        let days = Limit::DownTo(30.0);
        assert!(!days.is_reached(30.1, false) && days.is_reached(30.0, false));
        assert!(days.is_reached(35.0, true) && !days.is_reached(37.0, true));
        let one = Limit::From(1.0);
        assert!(one.is_reached(1.0, false) && !one.is_reached(0.0, true), "one given up, and none");
    }

    #[test]
    fn a_rule_can_only_make_it_earlier() {
        assert_eq!(Limit::From(900.0).or(Limit::From(60.0)), Limit::From(60.0));
        assert_eq!(Limit::From(900.0).or(Limit::From(3600.0)), Limit::From(900.0));
        assert_eq!(Limit::DownTo(30.0).or(Limit::DownTo(60.0)), Limit::DownTo(60.0));
    }

    #[test]
    fn every_cause_is_called_as_it_is_written() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
        }
    }
}
