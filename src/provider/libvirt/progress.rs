//! How far a long call has come, told while it runs.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};

/// Percent, shared between the thread that works and the task that waits for it. It only grows.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU8>);

impl Progress {
    /// So much of the whole is done; the whole of nothing is nothing yet.
    pub fn set(&self, done: u64, whole: u64) {
        let percent = (u128::from(done) * 100).checked_div(u128::from(whole)).unwrap_or_default();
        self.0.fetch_max(u8::try_from(percent.min(100)).unwrap_or(100), Ordering::Relaxed);
    }

    /// Waits for the work and tells of it on the way.
    pub async fn told<T>(&self, report: &(dyn Fn(u8) + Send + Sync), work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut tick = interval(Duration::from_millis(200));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = 0;
        loop {
            let done = tokio::select! {
                done = &mut work => Some(done),
                _ = tick.tick() => None,
            };
            let now = self.0.load(Ordering::Relaxed);
            if now != last {
                last = now;
                report(now);
            }
            if let Some(done) = done {
                return done;
            }
        }
    }
}

/// A source that tells how much of it has been read.
pub struct Told<'a, R> {
    source: R,
    done: u64,
    whole: u64,
    progress: &'a Progress,
}

impl<'a, R> Told<'a, R> {
    /// `whole` is what all of the work comes to, of which this may be a part.
    pub const fn new(source: R, whole: u64, progress: &'a Progress) -> Self {
        Self { source, done: 0, whole, progress }
    }
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.done = self.done.saturating_add(count as u64);
        self.progress.set(self.done, self.whole);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn it_is_told_in_percent_and_never_goes_back() {
        let (progress, heard) = (Progress::default(), Mutex::new(Vec::new()));
        let report = |percent| heard.lock().unwrap().push(percent);
        let work = async {
            for (done, whole) in [(0, 0), (1, 4), (1, 5), (u64::MAX, u64::MAX), (7, 3)] {
                progress.set(done, whole);
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            "done"
        };
        assert_eq!(progress.told(&report, work).await, "done");
        assert_eq!(*heard.lock().unwrap(), [25, 100]);
    }
}
