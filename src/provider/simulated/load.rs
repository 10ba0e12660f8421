//! What a simulated machine pretends to do. All of its figures are invented, by whoever sets its load.

use crate::{
    provider::reading::{Guest, Reading},
    units::Bytes,
};
use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a machine does from now on; by itself nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Of all its processors, from 0 to 1.
    pub busy: f64,
    pub memory_used: Option<Bytes>,
    pub read_per_second: u64,
    pub written_per_second: u64,
    pub received_per_second: u64,
    pub sent_per_second: u64,
    pub guest: Option<Guest>,
}

/// A machine's counters in one run.
#[derive(Debug)]
pub struct Counters {
    load: Load,
    life: u64,
    at: Timestamp,
    cpu_nanos: u64,
    /// Read, written, received, sent.
    bytes: [u64; 4],
}

impl Counters {
    /// They begin, with another number than any before.
    pub fn begin(at: Timestamp, load: Load) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { load, life: NEXT.fetch_add(1, Ordering::Relaxed), at, cpu_nanos: 0, bytes: [0; 4] }
    }

    pub fn load(&self) -> &Load {
        &self.load
    }

    /// What it has done until now stays counted.
    pub fn change(&mut self, at: Timestamp, vcpus: u32, load: Load) {
        self.advance(at, vcpus);
        self.load = load;
    }

    pub fn read(&mut self, at: Timestamp, vcpus: u32, memory: Bytes) -> Reading {
        self.advance(at, vcpus);
        let [read, written, received, sent] = self.bytes;
        Reading {
            at,
            life: self.life,
            vcpus: Some(vcpus),
            memory: Some(memory),
            cpu_nanos: Some(self.cpu_nanos),
            memory_used: self.load.memory_used,
            read_bytes: Some(read),
            written_bytes: Some(written),
            received_bytes: Some(received),
            sent_bytes: Some(sent),
            guest: self.load.guest.clone(),
        }
    }

    /// A clock that went back adds nothing.
    fn advance(&mut self, at: Timestamp, vcpus: u32) {
        let nanos = u64::try_from(at.duration_since(self.at).as_nanos()).unwrap_or_default();
        self.at = at;
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let busy = (nanos as f64 * f64::from(vcpus) * self.load.busy.clamp(0.0, 1.0)) as u64;
        self.cpu_nanos = self.cpu_nanos.saturating_add(busy);
        let load = &self.load;
        let rates = [load.read_per_second, load.written_per_second, load.received_per_second, load.sent_per_second];
        for (bytes, rate) in self.bytes.iter_mut().zip(rates) {
            let more = u128::from(nanos) * u128::from(rate) / 1_000_000_000;
            *bytes = bytes.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        }
    }
}
