//! How many files and connections the process may have open at once.

use engine::Plan;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the server opens beside its connections: the store's files, its own sockets, what watches the project.
const OWN: u64 = 256;

/// As many as the system lets us, for us and our children; returns how many that is, or `None` where there is no limit.
pub(crate) fn allow_most() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // Where it stays low, `enough` says so, and what is too much fails in words.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

/// Says, where they are not, that these are too few for what the channels let in and send to.
pub(crate) fn say_if_too_few<'a>(allowed: Option<u64>, plans: impl Iterator<Item = &'a Plan>) {
    let wanted = OWN + plans.map(connections).sum::<u64>();
    if let Some(allowed) = allowed.filter(|allowed| *allowed < wanted) {
        tracing::warn!(
            allowed,
            wanted,
            "fewer open files are allowed than the channels may have connections: raise the limit (`LimitNOFILE` of the service, `ulimit -Hn`), or lower `connections`"
        );
    }
}

fn connections(plan: &Plan) -> u64 {
    let sends = plan.outlets.iter().map(|outlet| outlet.workers.max(1)).sum::<usize>();
    (plan.source.connections() + sends) as u64
}
