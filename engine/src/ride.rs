//! A message's way, gone by the task of whoever waits for its answer.
//!
//! A task for each message has to be made, and has to wake its sender's at the end: that costs more than what stands
//! between. So the sender's own task goes the way, and a task is begun only for what is left of it: where the answer comes
//! before the end of the way, and where the sender goes first.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// A message's way from its sender's bytes to its end.
pub(crate) type Way = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A way that ends, whatever becomes of the one who goes it.
pub(crate) struct Ride {
    /// What is left of it.
    way: Option<Way>,
    runtime: Handle,
}

impl Ride {
    pub(crate) fn new(way: Way) -> Self {
        Self { way: Some(way), runtime: Handle::current() }
    }

    /// Goes on until there is an answer.
    pub(crate) async fn until<T>(mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        poll_fn(|context| {
            self.go(context);
            answer.as_mut().poll(context)
        })
        .await
    }

    /// A panic ends the way, not the sender's connection: who waits hears that from the end that was dropped.
    fn go(&mut self, context: &mut Context<'_>) {
        let Some(mut way) = self.way.take() else { return };
        match catch_unwind(AssertUnwindSafe(|| way.as_mut().poll(context))) {
            Ok(Poll::Pending) => self.way = Some(way),
            Ok(Poll::Ready(())) => {}
            Err(_) => tracing::error!("a bug cut the way of a message; report it, with the log"),
        }
    }
}

impl Drop for Ride {
    fn drop(&mut self) {
        if let Some(way) = self.way.take() {
            self.runtime.spawn(way);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::Ride;

    /// A way that answers half way, and tells when it has ended.
    fn way() -> (Ride, oneshot::Receiver<u8>, oneshot::Sender<()>, oneshot::Receiver<()>) {
        let (answer, answered) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let ride = Ride::new(Box::pin(async move {
            // Whoever waited may have gone.
            let _ = answer.send(7);
            may_go_on.await.expect("it is let go on");
            end.send(()).expect("somebody looks");
        }));
        (ride, answered, go_on, ended)
    }

    #[tokio::test]
    async fn what_is_left_after_the_answer_is_gone_too() {
        let (ride, answered, go_on, ended) = way();
        assert_eq!(ride.until(answered).await, Ok(7));
        go_on.send(()).expect("it goes on");
        ended.await.expect("it has ended");
    }

    #[tokio::test]
    async fn a_sender_that_goes_leaves_its_message_on_the_way() {
        let (ride, _, go_on, ended) = way();
        drop(ride.until(std::future::pending::<()>()));
        go_on.send(()).expect("it goes on");
        ended.await.expect("it has ended");
    }

    #[tokio::test]
    async fn a_panic_on_the_way_is_heard_by_its_sender_alone() {
        let (answer, answered) = oneshot::channel::<u8>();
        let ride = Ride::new(Box::pin(async move {
            let _held = answer;
            panic!("a bug");
        }));
        assert!(ride.until(answered).await.is_err());
    }
}
