//! Places where a test may have the process killed. In a build without the `crash-points` feature this is nothing.

/// Dies here by SIGKILL when `JIYUE_CRASH_AT` names this place: no destructor, no flush, no goodbye. Where
/// `JIYUE_TEST_STOP_AT` names it, all of the process stands still, once, until somebody lets it go on.
#[cfg(feature = "crash-points")]
pub fn point(name: &str) {
    static STOPPED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    if std::env::var("JIYUE_TEST_STOP_AT").is_ok_and(|wanted| wanted == name)
        && !STOPPED.swap(true, std::sync::atomic::Ordering::SeqCst)
    {
        let pid = std::process::id().to_string();
        let _ = std::process::Command::new("kill").args(["-STOP", &pid]).status();
    }
    if std::env::var("JIYUE_CRASH_AT").is_ok_and(|wanted| wanted == name) {
        let pid = std::process::id().to_string();
        let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
        // The signal is on its way; nothing more may happen.
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(feature = "crash-points"))]
pub const fn point(_: &str) {}
