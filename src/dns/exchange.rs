//! One signed question and its answer, over TCP: a message of ours never fits an answer that is cut, and a connection that
//! was made says more about a server that is down than a datagram that was lost.

use super::{
    Fault, KeyFault, Silence, Zone,
    message::{Answer, Unsigned},
};
use hickory_proto::{op::Message, op::MessageType, rr::TSigner};
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A TSIG key. It signs, and has no way to be printed.
#[derive(Clone)]
pub struct Key(pub TSigner);

/// Signs the message, sends it, and reads the answer with whatever that proves.
pub async fn ask(zone: &Zone, mut message: Unsigned) -> Result<Answer, Fault> {
    let unsendable = |error: &dyn std::fmt::Display| Fault::Refused(error.to_string());
    let now = u64::try_from(zone.clock.now().as_second()).unwrap_or_default();
    let (signature, verifier) = zone.key.0.sign_message(&message, now).map_err(|e| unsendable(&e))?;
    message.set_signature(signature);
    let id = message.metadata.id;
    let bytes = message.to_vec().map_err(|e| unsendable(&e))?;
    let stream = TcpStream::connect(zone.server).await.map_err(|_| Fault::Silent(Silence::NoConnection))?;
    let answer = exchange(stream, &bytes).await.map_err(|_| Fault::Silent(Silence::Broken))?;
    let message = Message::from_vec(&answer).map_err(|_| Fault::Silent(Silence::Broken))?;
    if message.metadata.id != id || message.metadata.message_type != MessageType::Response {
        return Err(Fault::Silent(Silence::Broken));
    }
    let mut verifier = verifier.ok_or(Fault::WrongKey(KeyFault::Answer))?;
    let signed = message.signature.is_some() && verifier.verify(&answer).is_ok();
    Ok(Answer { message, signed })
}

/// Each message has its length in two bytes before it.
async fn exchange(mut stream: TcpStream, message: &[u8]) -> io::Result<Vec<u8>> {
    stream.set_nodelay(true)?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
