//! Carries messages from a source to its destinations and loses none.
//!
//! One message takes eight steps in three legs; each leg ends in one durable
//! write, and a crash repeats only the leg it interrupted:
//!
//! | leg     | steps                      | ends with         |
//! |---------|----------------------------|-------------------|
//! | intake  | receive, store, ack        | [`Store::keep`]   |
//! | process | transform, route, queue    | [`Store::queue`]  |
//! | deliver | send, respond              | [`Store::settle`] |
//!
//! The engine knows no protocol, no YAML, no script language and no SQL. It meets them
//! through [`Source`], [`Destination`], [`Script`] and [`Store`].

mod arrivals;
mod attempts;
mod backlog;
mod caller;
mod channel;
mod connections;
mod content;
mod context;
mod destination;
mod diagnostic;
mod directory;
mod expect;
mod feeds;
pub mod glob;
mod group;
mod held;
mod history;
mod inlet;
mod line;
pub mod memory;
mod message;
mod mirror;
mod names;
mod observer;
mod outlet;
mod pace;
mod plan;
mod ports;
mod recovery;
mod register;
mod reply;
pub mod routing;
mod script;
mod shares;
mod source;
mod stop;
mod store;
mod why;

pub use attempts::{AttemptEnd, PastAttempt, PastAttempts, Settlement};
pub use backlog::{Backlog, FileGroup, Origin, TakeUp, UnprocessedFile, WaitingFile};
pub use channel::{Channel, ChannelState, ChannelView, LeftAsItWas, Past, Refusal, Retraced, Surroundings};
pub use connections::{Connected, ConnectionView, Connections};
pub use content::{Content, Hash, HeldFile, NotWhole, Reader, Spool, Stream, Stretch};
pub use context::{Answered, Context, Input, Inputs, Row, Stopwatch};
pub use destination::{
    Destination, DestinationSettings, Doubt, LateAnswer, Note, Outbound, Response, SendError,
};
pub use diagnostic::{Checks, Diagnostic, Path, Place, Severity};
pub use directory::{Directory, EmptyDirectory, Presence, Resource, Search, Term};
pub use expect::{Awaited, Expect, Expectations, Expected};
pub use feeds::{Feeds, Offer};
pub use group::{
    Gathered, Gathering, Gatherings, Group, Joins, Member, Membership, OpenGroups, Ripe, RunBody,
    facts_of_run, is_run,
};
pub use held::{Held, Looked, Missing, Standstill};
pub use history::{
    Ages, DeliveryRow, History, MessageRow, Overdue, Query, Reason, Shown, ShownLate, ShownPart,
    ShownPayload, ShownTimes, Tallied, TalliedDay, Times, Unit, Unmapped, Unsettled,
};
pub use inlet::{Answer, Inlet, Pending};
pub use memory::Memory;
pub use message::{Again, Bond, Facts, Inbound, Message, MessageId, Piece, Reading, Study, Unreadable};
pub use mirror::{
    Change, Changed, Mirror, Missed, Page, Removed, Seen, SyncName, SyncRow, Tenure, Wish, Wished, Written,
};
pub use names::{Clash, OtherBytes};
pub use observer::{Attempt, DeliveryOutcome, Failed, Observer, Stepped, Unobserved, Watch};
pub use outlet::{HeadView, OutletView};
pub use pace::Spots;
pub use plan::{
    Hours, Jitter, OnNack, OnResponse, Order, OutletPlan, Plan, QueueMode, Rate, Retry, WhenUnsure,
};
pub use ports::Ports;
pub use register::{BETWEEN, GivenRows, LookupError, Question, Register};
pub use reply::{
    Outcome, Promise, Reply, ReplyBody, ReplyMode, ReplyPolicy, ReplyWhen, ReplyWords, Silence, WhenFiltered,
};
pub use routing::{Goes, RoutedPiece};
pub use script::{CameBack, Cut, Ended, Halt, Judged, Leaving, Route, Script, Texts};
pub use shares::Shares;
pub use source::{Claim, OpenError, Opening, Source, SourceSettings, Trouble};
pub use stop::Stop;
pub use store::{
    Act, AnswerState, Arrival, Begin, Closed, Delivery, DeliveryId, DeliveryState, Done, Extent, Filling,
    Interrupted, Intervention, Kept, LATE_ANSWERS, MessageState, NewDelivery, Owed, Part, Position,
    Processed, Ran, ReadAhead, RepeatPolicy, Repeats, Sibling, Standing, Store, StoreError, StoredReply,
    Taken, Tally, Told, Waiting, abandoned, left_to,
};
pub use why::{Hindered, Hindrance, Why, WhyKind};
