//! Chance that can be repeated.

/// `SplitMix64`: small, and good enough for drawing machines.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream that does not depend on how much of this one was used.
    pub fn fork(seed: u64, stream: u64) -> Self {
        let mut dice = Self(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.next();
        Self(dice.next() ^ stream)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub fn roll(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.roll() < p
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.roll()
    }

    /// As likely in each doubling.
    pub fn log(&mut self, low: f64, high: f64) -> f64 {
        (self.between(low.ln(), high.ln())).exp()
    }

    pub fn whole(&mut self, low: i64, high: i64) -> i64 {
        low + (self.roll() * (high - low + 1) as f64) as i64
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[(self.roll() * of.len() as f64) as usize]
    }

    /// About normal, mean 0, deviation 1.
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (self.roll().max(1e-300), self.roll());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Around 1, by so much on a logarithmic scale.
    pub fn around(&mut self, spread: f64) -> f64 {
        (spread * self.normal()).exp()
    }
}
