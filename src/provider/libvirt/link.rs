//! One open connection to a host, which closes without holding anybody up.

use virt::connect::Connect;

/// An open connection.
#[derive(Debug)]
pub struct Link(
    /// `None` only while being dropped.
    Option<Connect>,
);

impl Drop for Link {
    fn drop(&mut self) {
        self.close_after(|_| ());
    }
}

impl Link {
    pub const fn new(connect: Connect) -> Self {
        Self(Some(connect))
    }

    pub const fn connect(&self) -> Option<&Connect> {
        self.0.as_ref()
    }

    /// Closes it, after a last act.
    pub fn close_after(&mut self, act: impl FnOnce(&Connect) + Send + 'static) {
        // `Connect` does not close itself; and closing talks to the host, so it blocks.
        if let Some(mut connect) = self.0.take() {
            let closing = move || {
                act(&connect);
                if let Err(error) = connect.close() {
                    tracing::debug!(%error, "a libvirt connection did not close");
                }
            };
            if let Err(error) = std::thread::Builder::new().name("libvirt-close".to_owned()).spawn(closing) {
                tracing::warn!(%error, "no thread to close a libvirt connection with");
            }
        }
    }

    /// Asks the local end only, so it neither blocks nor talks.
    pub fn alive(&self) -> bool {
        self.0.as_ref().is_some_and(|c| c.is_alive().unwrap_or(false))
    }
}
