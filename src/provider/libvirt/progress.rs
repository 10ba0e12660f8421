//! How far a long call has come, told while it runs.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};

/// Percent, shared between the thread that works and the task that waits for it. It only grows.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    percent: Arc<AtomicU8>,
    abandoned: Arc<AtomicBool>,
}

/// While it lives, somebody waits for the work; see [`Progress::waited_for`].
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Progress {
    /// So much of the whole is done; the whole of nothing is nothing yet.
    pub fn set(&self, done: u64, whole: u64) {
        let percent = (u128::from(done) * 100).checked_div(u128::from(whole)).unwrap_or_default();
        self.percent.fetch_max(u8::try_from(percent.min(100)).unwrap_or(100), Ordering::Relaxed);
    }

    /// Has the work stop half-way when what is answered is dropped: a thread that sends gigabytes for nobody would keep the
    /// process from ending.
    pub fn waited_for(&self) -> Waiting {
        Waiting(Arc::clone(&self.abandoned))
    }

    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
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
            let now = self.percent.load(Ordering::Relaxed);
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
        if self.progress.is_abandoned() {
            return Err(io::Error::other("nobody waits for it any more"));
        }
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

    #[test]
    fn what_nobody_waits_for_is_not_read_further() {
        let progress = Progress::default();
        let waiting = progress.waited_for();
        let mut source = Told::new(&[1_u8; 10][..], 10, &progress);
        assert_eq!(source.read(&mut [0; 5]).unwrap(), 5);
        drop(waiting);
        assert!(source.read(&mut [0; 5]).is_err() && progress.is_abandoned());
    }
}
