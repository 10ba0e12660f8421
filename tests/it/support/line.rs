//! A line to a host that is as bad as wanted: slow, cut, or one that garbles what goes over it. A TCP proxy of our own.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// What is looked for on the way to the host, and becomes something else while the line garbles.
pub const MARK: &[u8] = b"<one byte of this becomes another>";
/// Read at once; with [`PAUSE`] the speed of the line.
const PIECE: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(3);

pub struct Line {
    pub address: SocketAddr,
    garbles: Arc<AtomicBool>,
    garbled: Arc<AtomicUsize>,
}

impl Line {
    /// From this address of ours to the server.
    pub async fn lay(here: IpAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind((here, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (garbles, garbled) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let line = Self { address, garbles: Arc::clone(&garbles), garbled: Arc::clone(&garbled) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (garbles, garbled) = (Arc::clone(&garbles), Arc::clone(&garbled));
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                        (client.into_split(), server.into_split());
                    let there = async {
                        let mut piece = vec![0; PIECE];
                        while let Ok(n @ 1..) = from_client.read(&mut piece).await {
                            let piece = &mut piece[..n];
                            let found = piece.windows(MARK.len()).position(|window| window == MARK);
                            if let Some(at) = found.filter(|_| garbles.load(Ordering::Relaxed)) {
                                piece[at] ^= 1;
                                garbled.fetch_add(1, Ordering::Relaxed);
                            }
                            if to_server.write_all(piece).await.is_err() {
                                return;
                            }
                            sleep(PAUSE).await;
                        }
                    };
                    let back = tokio::io::copy(&mut from_server, &mut to_client);
                    // Either end's end is the end.
                    tokio::select! { () = there => {}, _ = back => {} }
                });
            }
        });
        line
    }

    pub fn garble(&self, on: bool) {
        self.garbles.store(on, Ordering::Relaxed);
    }

    /// So many marks became something else.
    pub fn garbled(&self) -> usize {
        self.garbled.load(Ordering::Relaxed)
    }
}
