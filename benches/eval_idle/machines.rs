//! Machines that never were, each of a known kind, at five-minute samples. Everything about them is drawn widely: sizes, noise,
//! agents, links, hours, amplitudes, phases. Where something cannot be drawn from a reason it is an assumption, and
//! `docs/eval-idle.md` names it.

use crate::dice::Dice;
use jiff::{SignedDuration, civil::Date};
use jiyue::usage::verdict::Facts;

/// Samples of a day.
pub const SAMPLES: i64 = 288;

/// What a machine truly is, and what kind of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    AgentsOnly,
    NightlyCron,
    StoppedService,
    ForgottenTest,
    HeavyAgent,
    WeeklyScan,
    Standby,
    MonthEnd,
    OnceAYear,
    SlowEditing,
    QuarterEnd,
    WeeklyReport,
    NightlyBatch,
    SmallService,
}

impl Kind {
    /// Those that the issue asks for.
    pub const ASKED: [Self; 8] = [
        Self::AgentsOnly,
        Self::NightlyCron,
        Self::StoppedService,
        Self::ForgottenTest,
        Self::Standby,
        Self::MonthEnd,
        Self::OnceAYear,
        Self::SlowEditing,
    ];
    /// Others, to see whether rules rest on reasons: only the weekly scan led to a change of them.
    pub const FURTHER: [Self; 6] = [
        Self::HeavyAgent,
        Self::WeeklyScan,
        Self::QuarterEnd,
        Self::WeeklyReport,
        Self::NightlyBatch,
        Self::SmallService,
    ];

    pub const fn is_zombie(self) -> bool {
        matches!(
            self,
            Self::AgentsOnly
                | Self::NightlyCron
                | Self::StoppedService
                | Self::ForgottenTest
                | Self::HeavyAgent
                | Self::WeeklyScan
        )
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::AgentsOnly => "agents_only",
            Self::NightlyCron => "nightly_cron",
            Self::StoppedService => "stopped_service",
            Self::ForgottenTest => "forgotten_test",
            Self::HeavyAgent => "heavy_agent",
            Self::WeeklyScan => "weekly_scan",
            Self::Standby => "standby",
            Self::MonthEnd => "month_end",
            Self::OnceAYear => "once_a_year",
            Self::SlowEditing => "slow_editing",
            Self::QuarterEnd => "quarter_end",
            Self::WeeklyReport => "weekly_report",
            Self::NightlyBatch => "nightly_batch",
            Self::SmallService => "small_service",
        }
    }
}

/// One sample, in vCPUs, percent, and bytes per second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub cpu: f64,
    pub memory: f64,
    pub disk: f64,
    pub received: f64,
    pub sent: f64,
    pub logged_in: bool,
    pub inbound: f64,
}

/// What a machine does by itself.
pub struct Noise {
    cpu: f64,
    received: f64,
    broadcast: f64,
    sent: f64,
    disk: f64,
    spread: f64,
    /// An agent that speaks up every so many samples, and how much louder it is then.
    every: i64,
    louder: f64,
    memory: f64,
    /// Samples of a machine of the trace, in no order: how real noise is distributed.
    pub borrowed: Option<Vec<Sample>>,
    /// Weekday, first sample, samples, vCPUs: a scan of all files.
    pub scan: Option<(i8, i64, i64, f64)>,
    /// Day of the month, first sample, samples, bytes received in all: patches.
    pub patch: Option<(i8, i64, i64, f64)>,
    probes: f64,
}

/// Work as an office has it.
struct Office {
    begins: f64,
    ends: f64,
    cpu: f64,
    received: f64,
    sent: f64,
    disk: f64,
    /// Of the samples in working hours, those in which anything happens.
    density: f64,
    /// Of working days, those on which anybody comes.
    attendance: f64,
    weekends: bool,
}

/// Work by a timer: first sample of the day, samples, and what it takes.
#[derive(Clone, Copy)]
struct Job {
    at: i64,
    length: i64,
    cpu: f64,
    received: f64,
    sent: f64,
    disk: f64,
}

#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Machine {
    pub kind: Kind,
    pub cores: u32,
    pub facts: Facts,
    pub logins_known: bool,
    pub inbound_known: bool,
    /// First day that it exists, counted from the history's first.
    pub born: i64,
    pub noise: Noise,
    office: Office,
    job: Job,
    /// Days, from the history's first, on which `office` or `job` is at work; by kind.
    pub from: i64,
    pub to: i64,
    stream: f64,
    stream_spread: f64,
    stream_by_day: bool,
    session: bool,
    seed: u64,
}

fn noise(dice: &mut Dice, cores: f64, borrowed: &[Vec<Sample>]) -> Noise {
    let cpu = if dice.chance(0.5) { dice.log(0.002, 0.12).min(0.08 * cores) } else { cores * dice.log(0.001, 0.05) };
    Noise {
        cpu,
        received: dice.log(20.0, 4_000.0),
        broadcast: if dice.chance(0.4) { dice.log(200.0, 6_000.0) } else { 0.0 },
        sent: dice.log(20.0, 4_000.0),
        disk: dice.log(200.0, 40_000.0),
        spread: dice.log(0.03, 0.5),
        every: *dice.pick(&[1, 2, 3, 6, 12, 12]),
        louder: dice.log(1.1, 4.0),
        memory: dice.between(4.0, 60.0),
        borrowed: (dice.chance(0.25) && !borrowed.is_empty()).then(|| dice.pick(borrowed).clone()),
        scan: dice.chance(0.2).then(|| {
            (dice.whole(1, 7) as i8, dice.whole(0, 280), dice.whole(3, 18), dice.between(0.3, 1.0).min(cores))
        }),
        patch: dice
            .chance(0.3)
            .then(|| (dice.whole(1, 28) as i8, dice.whole(0, 280), dice.whole(1, 8), dice.log(2e7, 3e8))),
        probes: dice.log(0.001, 0.1),
    }
}

fn office(dice: &mut Dice, cores: f64) -> Office {
    let begins = dice.between(7.5, 9.5);
    Office {
        begins,
        ends: begins + dice.between(7.0, 10.5),
        cpu: cores * dice.log(0.03, 0.6),
        received: dice.log(2_000.0, 500_000.0),
        sent: dice.log(2_000.0, 2_000_000.0),
        disk: dice.log(2_000.0, 500_000.0),
        density: dice.between(0.4, 1.0),
        attendance: dice.between(0.85, 1.0),
        weekends: dice.chance(0.15),
    }
}

impl Machine {
    /// `days` of history; `borrowed` are samples of quiet machines of the trace.
    pub fn draw(kind: Kind, seed: u64, days: i64, borrowed: &[Vec<Sample>], first: Date) -> Self {
        let mut dice = Dice::new(seed);
        let cores = *dice.pick(&[1_u32, 1, 2, 2, 4, 4, 8, 8, 16, 32]);
        let size = f64::from(cores);
        let link = *dice.pick(&[12.5e6, 125e6, 125e6, 1.25e9, 1.25e9]);
        let mut machine = Self {
            kind,
            cores,
            facts: Facts { link: dice.chance(0.9).then_some(link), ..Facts::default() },
            logins_known: dice.chance(0.5),
            inbound_known: dice.chance(0.3),
            born: 0,
            noise: noise(&mut dice, size, borrowed),
            office: office(&mut dice, size),
            job: Job { at: 0, length: 0, cpu: 0.0, received: 0.0, sent: 0.0, disk: 0.0 },
            from: 0,
            to: days,
            stream: 0.0,
            stream_spread: dice.log(0.1, 0.8),
            stream_by_day: dice.chance(0.6),
            session: kind.is_zombie() && dice.chance(0.1),
            seed,
        };
        machine.become_kind(&mut dice, size, days);
        if dice.chance(0.5) {
            let since = if machine.born > 0 { machine.born } else { -dice.whole(0, 900) };
            machine.facts.created = Some(first + SignedDuration::from_hours(24 * since));
        }
        machine
    }

    fn become_kind(&mut self, dice: &mut Dice, size: f64, days: i64) {
        let job = |dice: &mut Dice, length: i64, share: (f64, f64), bytes: (f64, f64)| {
            let bytes = if bytes.1 > 0.0 { dice.log(bytes.0, bytes.1) } else { 0.0 };
            Job {
                at: dice.whole(0, 70),
                length,
                cpu: size * dice.between(share.0, share.1),
                received: bytes,
                sent: bytes * dice.log(0.1, 3.0),
                disk: dice.log(1e5, 5e7),
            }
        };
        match self.kind {
            Kind::AgentsOnly => {}
            Kind::NightlyCron => {
                let length = dice.whole(1, 14);
                self.job = job(dice, length, (0.05, 0.95), (0.0, 0.0));
                self.job.cpu = self.job.cpu.min(2.0);
                self.job.received = dice.log(10.0, 20_000.0);
                // A backup leaves the machine.
                self.job.sent = if dice.chance(0.4) { dice.log(1e4, 5e6) } else { dice.log(10.0, 2_000.0) };
            }
            Kind::StoppedService => self.to = days - dice.whole(40, 330),
            Kind::ForgottenTest => {
                self.born = dice.whole(0, days - 70);
                self.from = self.born;
                self.to = self.born + dice.whole(0, 40).min(days - 35 - self.born);
                self.office.attendance = dice.between(0.3, 0.9);
            }
            Kind::HeavyAgent => {
                self.noise.cpu = dice.log(0.05, 0.2).max(size * dice.log(0.005, 0.06));
                self.noise.received = dice.log(500.0, 8_000.0);
                self.noise.sent = dice.log(500.0, 8_000.0);
                self.noise.disk = dice.log(5_000.0, 60_000.0);
            }
            Kind::WeeklyScan => {
                let (weekday, at, length) = (dice.whole(1, 7) as i8, dice.whole(0, 60), dice.whole(12, 48));
                self.noise.scan = Some((weekday, at, length, dice.between(0.5, 2.0).min(size)));
            }
            Kind::Standby => {
                self.stream = dice.log(4_000.0, 2e6);
                self.facts.peer_busy = dice.chance(0.5).then_some(true);
            }
            Kind::MonthEnd | Kind::QuarterEnd => {
                let length = dice.whole(24, 168);
                self.job = job(dice, length, (0.15, 0.95), (2e3, 5e6));
                self.job.at = dice.whole(0, 280 - length.min(200));
                self.from = -dice.whole(0, 2);
                self.to = dice.whole(0, 2);
            }
            Kind::OnceAYear => {
                let length = dice.whole(14, 45);
                // Quiet now, and for at least the time that is judged; it comes back at its time, if the history sees that.
                self.from = dice.whole(0, days - 32 - length).max(0);
                self.to = self.from + length;
                if self.from < days - 365 {
                    self.from += 32;
                    self.to += 32;
                }
            }
            Kind::SlowEditing => {
                self.office.cpu = dice.log(0.004, 0.15);
                self.office.received = dice.log(100.0, 6_000.0);
                self.office.sent = dice.log(150.0, 30_000.0);
                self.office.disk = dice.log(200.0, 20_000.0);
                self.office.density = dice.log(0.03, 0.6);
                self.office.attendance = dice.between(0.4, 1.0);
            }
            Kind::WeeklyReport => {
                let length = dice.whole(18, 72);
                self.job = job(dice, length, (0.2, 0.9), (5e4, 5e6));
                self.from = dice.whole(1, 5);
            }
            Kind::NightlyBatch => {
                let length = dice.whole(24, 84);
                self.job = job(dice, length, (0.25, 0.95), (5e4, 5e6));
            }
            Kind::SmallService => {
                self.office.cpu = size * dice.log(0.01, 0.1);
                self.office.received = dice.log(500.0, 20_000.0);
                self.office.sent = dice.log(1_000.0, 50_000.0);
            }
        }
    }

    /// The samples of one day, the `number`th of the history.
    pub fn day(&self, number: i64, date: Date) -> Vec<Sample> {
        let mut dice = Dice::fork(self.seed, number.unsigned_abs() + 1);
        let drift = 1.0 + 0.1 * (number as f64 / 37.0).sin();
        let mut samples: Vec<Sample> = (0..SAMPLES).map(|at| self.noise(&mut dice, at, drift)).collect();
        self.upkeep(&mut dice, &mut samples, date);
        let is_working = date.weekday().to_monday_zero_offset() < 5 && !is_holiday(date);
        let size = f64::from(self.cores);
        match self.kind {
            Kind::AgentsOnly | Kind::HeavyAgent | Kind::WeeklyScan => {}
            Kind::NightlyCron => self.run(&mut dice, &mut samples, 0.1),
            Kind::NightlyBatch => self.run(&mut dice, &mut samples, 0.4),
            Kind::StoppedService | Kind::ForgottenTest | Kind::OnceAYear => {
                let again = self.kind == Kind::OnceAYear && (self.from + 365..self.to + 365).contains(&number);
                if (self.from..self.to).contains(&number) || again {
                    self.work(&mut dice, &mut samples, is_working);
                }
            }
            Kind::SlowEditing | Kind::SmallService => self.work(&mut dice, &mut samples, is_working),
            Kind::Standby => self.replicate(&mut dice, &mut samples, is_working),
            Kind::MonthEnd | Kind::QuarterEnd => {
                let last = i64::from(date.last_of_month().day());
                // Days to the month's end; those after it count on.
                let to_end = if date.day() > 15 { i64::from(date.day()) - last } else { i64::from(date.day()) };
                let month = if date.day() > 15 { date.month() } else { (date.month() + 10) % 12 + 1 };
                let due = self.kind == Kind::MonthEnd || month % 3 == 0;
                if due && (self.from..=self.to).contains(&to_end) {
                    self.run(&mut dice, &mut samples, 0.2);
                }
            }
            Kind::WeeklyReport => {
                if i64::from(date.weekday().to_monday_one_offset()) == self.from {
                    self.run(&mut dice, &mut samples, 0.2);
                }
            }
        }
        for sample in &mut samples {
            sample.cpu = sample.cpu.min(size);
            sample.logged_in |= self.session;
        }
        samples
    }

    fn noise(&self, dice: &mut Dice, at: i64, drift: f64) -> Sample {
        let noise = &self.noise;
        if let Some(borrowed) = &noise.borrowed {
            return Sample { inbound: noise.probes, ..*dice.pick(borrowed) };
        }
        let loud = if at % noise.every == 0 { noise.louder } else { 1.0 };
        let mut of = |level: f64| level * loud * drift * dice.around(noise.spread);
        let (cpu, received, sent, disk) = (of(noise.cpu), of(noise.received), of(noise.sent), of(noise.disk));
        Sample {
            cpu,
            memory: noise.memory * dice.around(0.02),
            disk,
            received: received + noise.broadcast * dice.around(0.03),
            sent,
            logged_in: false,
            inbound: noise.probes * dice.around(0.1),
        }
    }

    fn upkeep(&self, dice: &mut Dice, samples: &mut [Sample], date: Date) {
        let mut add = |at: i64, length: i64, cpu: f64, received: f64| {
            for sample in samples.iter_mut().skip(at as usize).take(length as usize) {
                sample.cpu += cpu * dice.between(0.7, 1.0);
                sample.received += received;
                sample.disk += 2e6;
            }
        };
        if let Some((weekday, at, length, cpu)) = self.noise.scan
            && date.weekday().to_monday_one_offset() == weekday
        {
            add(at, length, cpu, 0.0);
        }
        if let Some((day, at, length, bytes)) = self.noise.patch
            && date.day() == day
        {
            add(at, length, 0.7, bytes / (300.0 * length as f64));
        }
    }

    /// A job of a timer, once that day.
    fn run(&self, dice: &mut Dice, samples: &mut [Sample], spread: f64) {
        let length = ((self.job.length as f64) * dice.around(spread / 2.0)).round().max(1.0) as i64;
        for sample in samples.iter_mut().skip(self.job.at as usize).take(length as usize) {
            sample.cpu += self.job.cpu * dice.around(spread);
            sample.received += self.job.received * dice.around(spread);
            sample.sent += self.job.sent * dice.around(spread);
            sample.disk += self.job.disk * dice.around(spread);
        }
    }

    /// People, one day.
    fn work(&self, dice: &mut Dice, samples: &mut [Sample], is_working: bool) {
        let office = &self.office;
        if !(is_working || office.weekends) || !dice.chance(office.attendance) {
            return;
        }
        let busy = dice.around(0.3);
        for (at, sample) in samples.iter_mut().enumerate() {
            let hour = at as f64 / 12.0;
            if hour < office.begins || hour >= office.ends || (11.75..13.25).contains(&hour) {
                continue;
            }
            sample.logged_in |= self.kind != Kind::StoppedService && self.kind != Kind::SmallService;
            if dice.chance(office.density) {
                sample.cpu += office.cpu * busy * dice.around(0.5);
                sample.received += office.received * busy * dice.around(0.7);
                sample.sent += office.sent * busy * dice.around(0.7);
                sample.disk += office.disk * busy * dice.around(0.7);
                sample.inbound += dice.between(0.01, 1.0);
            }
        }
    }

    /// Another machine's writes, one day.
    fn replicate(&self, dice: &mut Dice, samples: &mut [Sample], is_working: bool) {
        let today = dice.around(0.15);
        for (at, sample) in samples.iter_mut().enumerate() {
            let open = is_working && (102..216).contains(&at);
            let level = if self.stream_by_day && !open { 0.25 } else { 1.0 };
            let stream = self.stream * level * today * dice.around(self.stream_spread);
            sample.received += stream;
            sample.sent += stream * 0.03;
            sample.disk += stream * 1.5 * dice.around(0.2);
            sample.cpu += stream / 5e7;
        }
    }
}

/// Of a year as the district has it, roughly: a week in February, a few days each in April, May and June, a week in October.
fn is_holiday(date: Date) -> bool {
    matches!(
        (date.month(), date.day()),
        (1, 1) | (2, 10..=16) | (4, 4..=6) | (5, 1..=3) | (6, 10..=12) | (9, 19..=21) | (10, 1..=7)
    )
}
