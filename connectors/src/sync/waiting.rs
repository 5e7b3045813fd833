//! How long to wait before the next try, and when to leave it for the next time.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

/// The tries of one question.
pub(super) struct Patience {
    tries: u32,
    began: Instant,
    most: Duration,
}

impl Patience {
    pub(super) fn new(most: Duration) -> Self {
        Self { tries: 0, began: Instant::now(), most }
    }

    /// The pause before the next try; none once it has lasted too long.
    pub(super) fn again(&mut self) -> Option<Duration> {
        self.tries += 1;
        (self.began.elapsed() < self.most).then(|| Self::after(self.tries))
    }

    /// The pause where the server has too much to do, which is no fault and ends by itself.
    pub(super) fn busy(&mut self, asked: Option<Duration>) -> Duration {
        self.tries += 1;
        asked.unwrap_or_else(|| Self::after(self.tries))
    }

    /// The pause after so many tries: twice the one before, and between half of it and the whole.
    pub(super) fn after(tries: u32) -> Duration {
        let pause = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST);
        let spread = Instant::now().elapsed().subsec_nanos() ^ tries.wrapping_mul(0x9E37_79B9);
        pause.mul_f64(0.5 + f64::from(spread % 1000) / 2000.0)
    }
}
