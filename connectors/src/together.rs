//! What is to be asked at the same time is asked together: whoever comes first asks for all that wait, as a commit takes a group.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Gathers what waits into groups; each group has one who asks for it.
pub(crate) struct Together<T, R>(Arc<Mutex<Gathered<T, R>>>);

struct Gathered<T, R> {
    waiting: VecDeque<Waiting<T, R>>,
    /// How many more groups may be asked for at once.
    free: usize,
}

struct Waiting<T, R> {
    item: T,
    tell: oneshot::Sender<Turn<T, R>>,
}

/// What becomes of one who came.
pub(crate) enum Turn<T, R> {
    /// Somebody asked for it too, and was told this.
    Told(R),
    /// It is to ask, for itself and for those whom it gathers.
    Lead(Lead<T, R>),
    /// Whoever asked for it was cut.
    Cut,
}

/// The right to ask for a group. Dropped, it goes on to the next who waits; whoever it gathered is cut.
pub(crate) struct Lead<T, R> {
    all: Arc<Mutex<Gathered<T, R>>>,
    own: Option<T>,
    others: Vec<oneshot::Sender<Turn<T, R>>>,
}

impl<T, R> Together<T, R> {
    /// So many groups may be asked for at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Gathered { waiting: VecDeque::new(), free: at_once })))
    }

    /// Joins those who wait, until somebody has asked or it is this one's turn to ask.
    pub(crate) async fn join(&self, item: T) -> Turn<T, R> {
        let told = {
            let mut gathered = lock(&self.0);
            if gathered.free > 0 {
                gathered.free -= 1;
                return Turn::Lead(Lead::new(&self.0, item));
            }
            let (tell, told) = oneshot::channel();
            gathered.waiting.push_back(Waiting { item, tell });
            told
        };
        told.await.unwrap_or(Turn::Cut)
    }
}

impl<T, R> Lead<T, R> {
    fn new(all: &Arc<Mutex<Gathered<T, R>>>, own: T) -> Self {
        Self { all: Arc::clone(all), own: Some(own), others: Vec::new() }
    }

    /// The group: its own first, then those who wait, as far as they fit with those before them. Who does not fit stays.
    pub(crate) fn gather(&mut self, fits: impl Fn(&[T], &T) -> bool) -> Vec<T> {
        let mut group: Vec<T> = self.own.take().into_iter().collect();
        let mut gathered = lock(&self.all);
        for waiting in std::mem::take(&mut gathered.waiting) {
            if waiting.tell.is_closed() {
                // It waits no more.
            } else if fits(&group, &waiting.item) {
                group.push(waiting.item);
                self.others.push(waiting.tell);
            } else {
                gathered.waiting.push_back(waiting);
            }
        }
        group
    }

    /// Tells each of the group its own, in their order; gives back what is for the one who asked.
    pub(crate) fn tell(mut self, told: impl IntoIterator<Item = R>) -> Option<R> {
        let mut told = told.into_iter();
        let own = told.next();
        for (tell, one) in std::mem::take(&mut self.others).into_iter().zip(told) {
            // Who waits no more need not be told.
            let _ = tell.send(Turn::Told(one));
        }
        own
    }
}

impl<T, R> Drop for Lead<T, R> {
    fn drop(&mut self) {
        loop {
            let next = {
                let mut gathered = lock(&self.all);
                let next = gathered.waiting.pop_front();
                if next.is_none() {
                    gathered.free += 1;
                }
                next
            };
            let Some(Waiting { item, tell }) = next else { return };
            if tell.is_closed() {
                continue;
            }
            // One that is not received any more is dropped, and goes on by itself.
            let _ = tell.send(Turn::Lead(Self::new(&self.all, item)));
            return;
        }
    }
}

fn lock<T, R>(all: &Mutex<Gathered<T, R>>) -> MutexGuard<'_, Gathered<T, R>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    fn lead(turn: Turn<u32, u32>) -> Lead<u32, u32> {
        match turn {
            Turn::Lead(lead) => lead,
            Turn::Told(_) | Turn::Cut => panic!("it is not its turn"),
        }
    }

    #[tokio::test]
    async fn who_comes_while_one_asks_is_asked_for_together_and_told_its_own() {
        let together = Together::new(1);
        let mut first = lead(together.join(1).await);
        assert_eq!(first.gather(|_, _| true), [1]);
        let mut waiting: Vec<_> = (2..=5).map(|item| Box::pin(together.join(item))).collect();
        for one in &mut waiting {
            assert!(poll!(one.as_mut()).is_pending());
        }
        assert_eq!(first.tell([10]), Some(10));
        let mut second = lead(waiting.remove(0).await);
        // The third does not fit, and is next.
        assert_eq!(second.gather(|group, item| group.len() < 3 && *item != 3), [2, 4, 5]);
        assert_eq!(second.tell([20, 40, 50]), Some(20));
        let mut third = lead(waiting.remove(0).await);
        for (one, own) in waiting.into_iter().zip([40, 50]) {
            assert!(matches!(one.await, Turn::Told(told) if told == own));
        }
        assert_eq!(third.gather(|_, _| true), [3]);
        drop(third);
        assert!(matches!(together.join(6).await, Turn::Lead(_)));
    }

    #[tokio::test]
    async fn one_that_is_cut_cuts_its_group_and_keeps_nobody_else_from_asking() {
        let together = Together::new(1);
        let mut first = lead(together.join(1).await);
        let (mut second, mut third) = (Box::pin(together.join(2)), Box::pin(together.join(3)));
        assert!(poll!(second.as_mut()).is_pending() && poll!(third.as_mut()).is_pending());
        assert_eq!(first.gather(|_, item| *item == 2), [1, 2]);
        drop(first);
        assert!(matches!(second.await, Turn::Cut));
        // It is told that it may ask, and does not live to hear it.
        drop(third);
        assert!(matches!(poll!(Box::pin(together.join(4))), Poll::Ready(Turn::Lead(_))));
    }
}
