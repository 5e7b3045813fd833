//! One connection that carries many requests at once: HTTP/2, where a server offers it in its greeting.
//!
//! What may have been touched is told as strictly as on a connection for one request at a time: a request is untouched where
//! nothing at all left since it was handed over, where it was handed back, or where the server says itself that it did not
//! look at it (a stream refused, or beyond the last one that a GOAWAY names).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use engine::{Hindered, Hindrance};
use h2::Reason;
use hyper::{
    Request,
    client::conn::{TrySendError, http2},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, Socket};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::{
    link::{Answer, LONGEST_HEAD, MOMENT, Unanswered, cause},
    payload::Payload,
    taking::Taking,
    tally::{Counted, Tally},
};
use crate::wire::{self, Peer, Wire};

/// An open connection. Requests share it.
pub(crate) struct Many {
    asking: http2::SendRequest<Payload>,
    socket: Socket,
    tally: Arc<Tally>,
    tasks: Tasks,
    under_way: AtomicUsize,
    used: Mutex<Instant>,
    is_left: AtomicBool,
}

impl Many {
    /// Greets, and waits for the server's first word: one that does not like our certificate says so only then.
    pub(crate) async fn open(wire: Wire, deadline: Instant) -> Result<Self, Hindered> {
        let socket = SockRef::from(wire.socket()).try_clone().map_err(|error| error.to_string())?;
        let tally = Arc::<Tally>::default();
        let tasks = Tasks::default();
        let (asking, connection) = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .max_header_list_size(LONGEST_HEAD as u32)
            .handshake(TokioIo::new(Counted::new(wire, Arc::clone(&tally))))
            .await
            .map_err(|error| error.to_string())?;
        tasks.execute(async {
            // What it ended by is told to each request, and kept in the tally.
            let _ = connection.await;
        });
        let many = Self {
            asking,
            socket,
            tally,
            tasks,
            under_way: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            is_left: AtomicBool::new(false),
        };
        match timeout_at(deadline, many.tally.first_word()).await {
            Ok(true) => Ok(many),
            Ok(false) => Err(many.fault().into()),
            Err(_) => Err(wire::late()),
        }
    }

    /// Whether a request may go out on it: it was used lately, and the server has not hung up. What the server has said in
    /// the meantime is read before.
    pub(crate) async fn is_usable(&self, idle: Duration) -> bool {
        if self.is_left.load(Ordering::SeqCst) || self.used().elapsed() > idle {
            return false;
        }
        let until = Instant::now() + MOMENT;
        loop {
            if self.asking.is_closed() {
                return false;
            }
            match wire::look_at(&SockRef::from(&self.socket)) {
                Peer::Gone => return false,
                Peer::Silent => return true,
                // Answers to others come all the time.
                Peer::Speaking if self.under_way.load(Ordering::SeqCst) > 0 => return true,
                Peer::Speaking if Instant::now() > until => return true,
                Peer::Speaking => sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Lets nobody begin anything on it any more.
    pub(crate) fn leave(&self) {
        self.is_left.store(true, Ordering::SeqCst);
    }

    /// Asks, and waits for the whole answer.
    pub(crate) async fn ask(
        &self,
        request: Request<Payload>,
        taking: &mut Taking<'_>,
        deadline: Instant,
    ) -> Result<Answer, Unanswered> {
        let _under_way = UnderWay::begin(self);
        let before = self.tally.written();
        let mut asking = self.asking.clone();
        let came = match timeout_at(deadline, asking.try_send_request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.explain(error, before)),
            Err(_) => {
                // It may be dead without a word: whoever comes next does not wait for it too.
                self.leave();
                return Err(self.told(before, Hindered::by(Hindrance::NoAnswer, "no answer came in time")));
            }
        };
        let (head, body) = came.into_parts();
        let body = taking.take(&head, body, deadline).await;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn explain(&self, mut error: TrySendError<Request<Payload>>, before: u64) -> Unanswered {
        if error.take_message().is_some() {
            return Unanswered::Untouched(self.fault().into());
        }
        let error = error.into_error();
        let said: Option<&h2::Error> = cause(&error).filter(|said: &&h2::Error| said.is_remote());
        if said.is_some_and(|said| said.is_go_away() || said.reason() == Some(Reason::REFUSED_STREAM)) {
            return Unanswered::Untouched("the server did not take the request (HTTP/2)".into());
        }
        match said.and_then(h2::Error::reason) {
            Some(reason) => {
                self.told(before, format!("the server broke the request off (HTTP/2, {reason:?})"))
            }
            None => self.told(before, self.fault()),
        }
    }

    /// By what left on the connection since a request was handed over.
    fn told(&self, before: u64, why: impl Into<Hindered>) -> Unanswered {
        let why = why.into();
        if self.tally.written() == before { Unanswered::Untouched(why) } else { Unanswered::Touched(why) }
    }

    fn fault(&self) -> String {
        self.tally.fault().unwrap_or_else(|| "the server hung up before it answered".to_owned())
    }

    fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

/// A request of a connection, from when it is handed over until it is answered or given up.
struct UnderWay<'m>(&'m Many);

impl<'m> UnderWay<'m> {
    fn begin(many: &'m Many) -> Self {
        many.under_way.fetch_add(1, Ordering::SeqCst);
        Self(many)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// What keeps a connection reading and writing. It ends with the connection's last user.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, work: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async {
            let _ = work.await;
        });
    }
}
