//! `jiyue doctor`: looks at the server's own machine, finds what keeps the service from its work, and says how to mend it.
//!
//! `probe.rs` looks (and changes nothing), `judge.rs` says what that means. What cannot be known from here is said to be
//! unknown; that is neither good nor bad.

mod judge;
mod probe;

use crate::{
    config::{Fault, Settings},
    time::Clock,
};
use serde::Serialize;
use std::{path::Path, time::Duration};

/// How long one look at something on the network may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Good,
    Bad,
    /// Cannot be known from here, or does not matter here.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `settings`, `account`, `database`, `disk`, `secret_key`, `image_folder`, `port`, `libvirt`, `kvm`, `filter`, `dns` or
    /// `time`.
    pub area: &'static str,
    pub state: State,
    /// Chinese.
    pub detail: String,
    /// Chinese; always there where the state is bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn good(area: &'static str, detail: impl Into<String>) -> Self {
        Self { area, state: State::Good, detail: detail.into(), mend: None }
    }

    fn bad(area: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { area, state: State::Bad, detail: detail.into(), mend: Some(mend.into()) }
    }

    fn unknown(area: &'static str, detail: impl Into<String>) -> Self {
        Self { area, state: State::Unknown, detail: detail.into(), mend: None }
    }

    #[must_use]
    fn with_mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }
}

fn settings_fault(fault: Fault) -> Finding {
    let place = if fault.key.is_empty() { String::new() } else { format!("{}：", fault.key) };
    Finding::bad("settings", format!("{place}{}", fault.what), fault.mend)
}

/// Looks at everything, whatever is wrong with the first of it.
pub async fn examine(file: Option<&Path>) -> Vec<Finding> {
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(faults) => {
            let mut findings: Vec<_> = faults.0.into_iter().map(settings_fault).collect();
            findings.push(Finding::unknown("settings", "配置读不出，别的都没有检查"));
            return findings;
        }
    };
    let mut findings: Vec<_> =
        settings.check().err().map_or_else(Vec::new, |faults| faults.0).into_iter().map(settings_fault).collect();
    if findings.is_empty() {
        findings.push(Finding::good("settings", "配置可用"));
    }
    let warnings = settings.warnings().into_iter();
    findings.extend(warnings.map(|warning| Finding::unknown("settings", warning)));
    findings.extend(judge::account(&probe::account(&settings)));
    let clock = Clock::System;
    let database = probe::database(&settings, &clock).await;
    let (port, libvirt, filter, synchronised, zones) = tokio::join!(
        probe::port(&settings),
        probe::libvirt(),
        probe::filter(),
        probe::synchronised(),
        probe::zones(&settings, &clock)
    );
    let local = database.as_ref().is_ok_and(|seen| seen.local_hosts > 0);
    findings.extend(judge::database(&database));
    findings.extend(probe::disks(&settings).into_iter().map(|(what, free)| judge::disk(what, free)));
    findings.push(judge::secret_key(probe::secret_key(&settings).as_ref(), &database));
    findings.push(judge::image_folder(&settings.image_folder, probe::writable(&settings.image_folder)));
    findings.push(judge::port(settings.listen, port));
    findings.push(judge::libvirt(&libvirt, local));
    if libvirt.is_ok() {
        findings.push(judge::kvm(probe::kvm()));
        findings.push(judge::filter(&filter));
    }
    findings.extend(zones.iter().map(judge::zone));
    if settings.dns.is_empty() {
        findings.push(Finding::unknown("dns", "没有设置 [[dns]]：域名登记在 libvirt 网络自己的 DNS 里"));
    }
    findings.extend(judge::time(synchronised, &database));
    findings
}
