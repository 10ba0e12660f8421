//! A line to a DNS server that misbehaves as told: it carries one question and one answer per connection.

use super::Dice;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Through,
    /// The question is taken, and nothing happens.
    Mute,
    /// The connection ends before the server has heard anything.
    CutQuestion,
    /// The server does as it is asked; its answer is lost.
    CutAnswer,
    /// One connection in two has one of the faults above ([`Wire::bad`]).
    Bad,
    /// The question waits, and reaches the server when the mode is another one: long after who asked has gone.
    Hold,
}

#[derive(Clone)]
pub struct Wire {
    pub address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    dice: Arc<Mutex<Dice>>,
    /// Questions that were held and have been delivered since.
    pub delivered: Arc<Mutex<usize>>,
}

impl Wire {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (mode, _) = watch::channel(Mode::Through);
        let this = Self {
            address: listener.local_addr().expect("an address"),
            mode: Arc::new(mode),
            dice: Arc::new(Mutex::new(Dice::new(0))),
            delivered: Arc::default(),
        };
        let wire = this.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let wire = wire.clone();
                tokio::spawn(async move { wire.carry(client, server).await });
            }
        });
        this
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Faults by chance, as these dice fall.
    pub fn bad(&self, dice: Dice) {
        *self.dice.lock().expect("dice") = dice;
        self.set(Mode::Bad);
    }

    async fn carry(&self, mut client: TcpStream, server: SocketAddr) {
        let mut modes = self.mode.subscribe();
        let mut mode = *modes.borrow();
        if mode == Mode::Bad {
            let faults = [Mode::Through, Mode::Through, Mode::Through, Mode::Mute, Mode::CutQuestion, Mode::CutAnswer];
            mode = self.dice.lock().expect("dice").pick(&faults);
        }
        if mode == Mode::CutQuestion {
            return;
        }
        let Some(question) = message(&mut client).await else { return };
        if mode == Mode::Mute {
            return std::future::pending().await;
        }
        if mode == Mode::Hold {
            let _ = modes.wait_for(|mode| *mode != Mode::Hold).await;
        }
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        if server.write_all(&question).await.is_err() {
            return;
        }
        let Some(answer) = message(&mut server).await else { return };
        if mode == Mode::Hold {
            *self.delivered.lock().expect("a count") += 1;
        }
        if mode == Mode::Through {
            let _ = client.write_all(&answer).await;
        }
    }
}

/// One message with its length before it.
async fn message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let length = from.read_u16().await.ok()?;
    let mut message = length.to_be_bytes().to_vec();
    message.resize(2 + usize::from(length), 0);
    from.read_exact(&mut message[2..]).await.ok()?;
    Some(message)
}
