//! The connections to one host: opened when needed, kept while alive, and every blocking call kept off the async threads.

use super::{
    events::Listener,
    fault::Fault,
    link::Link,
    uri::{self, UriFault, Way},
};
use crate::provider::ProviderError;
use ipnet::IpNet;
use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedMutexGuard, Semaphore, oneshot},
    task::spawn_blocking,
    time::{sleep, timeout},
};
use virt::connect::Connect;

/// Calls that one host is asked at a time; the rest wait here, where they cost nothing.
///
/// Each has a connection to itself. libvirt allows several threads on one connection, but when such a connection dies
/// under them (seen with 9.0, by keepalive) the first call fails and the others wait for ever, and a later close crashes
/// the process.
pub const LANES: usize = 4;
/// Seconds between keepalive probes, and how many may go unanswered: a dead host is known after 20 seconds.
const KEEPALIVE: (i32, u32) = (5, 3);
/// How long opening may take. Keepalive does not run yet at that time.
const OPEN_LIMIT: Duration = Duration::from_secs(15);
/// How long an ordinary call may take.
pub const CALL_LIMIT: Duration = Duration::from_mins(1);

/// How long a host is left alone that does not let us hear its events.
const LISTEN_AGAIN: Duration = Duration::from_secs(3);

/// A host's connections.
#[derive(Clone, Debug)]
pub struct Connection {
    host: String,
    way: Result<Way, UriFault>,
    insecure_networks: Vec<IpNet>,
    lanes: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Link>>>,
    /// One opening at a time. It may outlive the call that began it: a host that hangs in it must not collect one thread
    /// per attempt.
    opener: Arc<tokio::sync::Mutex<()>>,
    opened: Arc<AtomicU64>,
    /// A connection of its own for events, opened when somebody first waits for one.
    listener: Arc<tokio::sync::Mutex<Option<Listener>>>,
    heard: Arc<Notify>,
}

/// What a call is given.
pub struct Call<'a> {
    pub connect: &'a Connect,
    /// Counts this process's openings of connections to the host. The same number as at an earlier call means that the
    /// host has not restarted in between.
    pub number: u64,
}

impl Connection {
    pub fn new(host: String, uri: &str, insecure_networks: Vec<IpNet>) -> Self {
        Self {
            host,
            way: Way::read(uri),
            insecure_networks,
            lanes: Arc::new(Semaphore::new(LANES)),
            idle: Arc::default(),
            opener: Arc::default(),
            opened: Arc::default(),
            listener: Arc::default(),
            heard: Arc::default(),
        }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// Runs a blocking call. When the caller goes away or `limit` passes, the call itself still runs to its end, with
    /// everything that it has moved in: locks held for it are released when it is over, not when nobody waits any more.
    pub async fn run<T, F>(&self, act: &str, limit: Duration, call: F) -> Result<T, ProviderError>
    where
        T: Send + 'static,
        F: FnOnce(&Call<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.way()?;
        let late = || ProviderError::Transient { act: act.to_owned(), reason: format!("no answer after {limit:?}") };
        let permit = timeout(limit, Arc::clone(&self.lanes).acquire_owned()).await.map_err(|_| late())?;
        let permit = permit.map_err(|_| self.unreachable(None))?;
        let start = match self.take_idle() {
            Some(link) => Start::With(link),
            None => self.begin_opening().await?,
        };
        let (connected, is_connected) = oneshot::channel();
        let (idle, opened) = (Arc::clone(&self.idle), Arc::clone(&self.opened));
        let span = tracing::Span::current();
        let task = spawn_blocking(move || {
            let _permit = permit;
            let link = start.link(&opened)?;
            // Nobody may be waiting any more; the call is made all the same.
            let _ = connected.send(());
            let Some(connect) = link.connect() else { return Err(Fault::Lost(None)) };
            let result = span.in_scope(|| call(&Call { connect, number: opened.load(Ordering::SeqCst) }));
            let alive = link.alive();
            if alive {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
            }
            match result {
                Err(Fault::Libvirt(error)) if !alive || super::fault::is_loss(&error) => Err(Fault::Lost(Some(error))),
                other => other,
            }
        });
        // An error here says that the task ended before it was connected, and then the task knows better.
        if timeout(OPEN_LIMIT, is_connected).await.is_err() {
            return Err(self.unreachable(None));
        }
        let done = timeout(limit, task).await.map_err(|_| late())?;
        // A panic in a call (libvirt's wrappers panic when freeing fails) ends that call, not the broker.
        let done = done.map_err(|e| ProviderError::Transient { act: act.to_owned(), reason: e.to_string() })?;
        done.map_err(|fault| match fault {
            Fault::Lost(source) => self.unreachable(source),
            fault => fault.into_provider_error(act),
        })
    }

    /// A connection that nobody is using; dead ones are dropped on the way.
    fn take_idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(link) = idle.pop() {
            if link.alive() {
                return Some(link);
            }
            tracing::info!(host = self.host, "connection lost");
        }
        None
    }

    /// Returns when something may have happened on the host: an event, the loss of the line, or its return, before which
    /// nothing was heard.
    pub async fn changed(&self) {
        loop {
            match self.listen().await {
                Ok(true) => return,
                Ok(false) => return self.heard.notified().await,
                Err(error) => {
                    tracing::debug!(host = self.host, %error, "no events; the listing will tell");
                    sleep(LISTEN_AGAIN).await;
                }
            }
        }
    }

    /// Makes sure that events are heard; whether it was not so until now, or is no longer so. A caller that goes away
    /// leaves an opening to come to its end.
    async fn listen(&self) -> Result<bool, ProviderError> {
        let mut listener = Arc::clone(&self.listener).lock_owned().await;
        if let Some(open) = listener.as_ref() {
            let lost = !open.alive();
            if lost {
                *listener = None;
            }
            return Ok(lost);
        }
        let start = self.begin_opening().await?;
        let (heard, opened) = (Arc::clone(&self.heard), Arc::clone(&self.opened));
        let task = spawn_blocking(move || {
            *listener = Some(Listener::on(start.link(&opened)?, &heard)?);
            Ok::<_, Fault>(())
        });
        match task.await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(fault)) => Err(fault.into_provider_error("listening")),
            Err(_) => Err(self.unreachable(None)),
        }
    }

    /// How the host is reached, if its address is one that a host may have.
    pub fn way(&self) -> Result<&Way, ProviderError> {
        self.way.as_ref().map_err(|fault| self.refused(fault))
    }

    /// Where the host is now, if that is a place where a host may be; nowhere in particular behind a socket.
    pub async fn whereabouts(&self) -> Result<Option<IpAddr>, ProviderError> {
        uri::vet(self.way()?, &self.insecure_networks).await.map_err(|fault| self.refused(&fault))
    }

    fn refused(&self, fault: &UriFault) -> ProviderError {
        let act = format!("connecting to host {}", self.host);
        match fault {
            UriFault::Refused(reason) => ProviderError::Permanent { act, reason: reason.clone() },
            UriFault::Unknown(_) => {
                ProviderError::Unreachable { host: self.host.clone(), source: Some(Box::new(fault.clone())) }
            }
        }
    }

    async fn begin_opening(&self) -> Result<Start, ProviderError> {
        start_event_loop();
        // The second wall: a host's row may be older than the settings, and a name may lead elsewhere by now.
        let address = self.whereabouts().await?;
        let uri = match (self.way()?, address) {
            (Way::Remote(remote), Some(address)) => remote.pinned(address),
            (Way::Socket(Some(path)), _) => format!("qemu+unix:///system?socket={path}"),
            _ => "qemu:///system".to_owned(),
        };
        let turn = timeout(OPEN_LIMIT, Arc::clone(&self.opener).lock_owned()).await;
        let turn = turn.map_err(|_| self.unreachable(None))?;
        Ok(Start::Opening { uri, _turn: turn })
    }

    fn unreachable(&self, source: Option<virt::error::Error>) -> ProviderError {
        ProviderError::Unreachable { host: self.host.clone(), source: source.map(|e| Box::new(e) as _) }
    }
}

/// How a call comes by its connection.
enum Start {
    With(Link),
    Opening { uri: String, _turn: OwnedMutexGuard<()> },
}

impl Start {
    fn link(self, opened: &AtomicU64) -> Result<Link, Fault> {
        match self {
            Self::With(link) => Ok(link),
            Self::Opening { uri, _turn } => {
                let connect = open(&uri).map_err(|error| Fault::Lost(Some(error)))?;
                opened.fetch_add(1, Ordering::SeqCst);
                Ok(Link::new(connect))
            }
        }
    }
}

fn open(uri: &str) -> Result<Connect, virt::error::Error> {
    let connect = Connect::open(Some(uri))?;
    // A driver inside this process (there is none among ours) would have no line to keep alive, and say so.
    if let Err(error) = connect.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1) {
        tracing::debug!(%error, "no keepalive");
    }
    Ok(connect)
}

/// Keepalive needs libvirt's event loop, which must be registered before the first connection is opened and then run for
/// as long as the process lives.
fn start_event_loop() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Otherwise libvirt prints every error to stderr, beside our log.
        virt::error::clear_error_callback();
        if let Err(error) = virt::event::event_register_default_impl() {
            tracing::error!(%error, "libvirt's event loop cannot be registered; dead hosts will be noticed late");
            return;
        }
        let run = || loop {
            if let Err(error) = virt::event::event_run_default_impl() {
                tracing::error!(%error, "libvirt's event loop");
                std::thread::sleep(Duration::from_secs(1));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("libvirt-events".to_owned()).spawn(run) {
            tracing::error!(%error, "no thread for libvirt's event loop; dead hosts will be noticed late");
        }
    });
}
