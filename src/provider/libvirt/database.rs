//! Whether a machine's database answers, asked from where its users stand: over the zone's network.

use crate::{
    catalogue::database::Engine,
    provider::{DatabaseIntent, ProviderError},
    secret::Password,
};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, Row,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A guest under emulation takes seconds to check a password.
const LIMIT: Duration = Duration::from_secs(10);
/// Version 3.0 of the protocol, which every server since 2003 speaks.
const PROTOCOL: i32 = 3 << 16;
/// No message that belongs here is longer.
const LONGEST: usize = 4096;
/// "Authenticate by SASL", and the way that our guests offer.
const SASL: i32 = 10;
const SCRAM: &[u8] = b"SCRAM-SHA-256\0";

/// Why a database does not answer as it should.
#[derive(Debug, PartialEq, Eq)]
enum Silence {
    NotYet(String),
    /// It answers, and is not what was asked for.
    Wrong(String),
}

/// Answers SQL as its role with its password; or, where that is not known any more, asks for it.
pub async fn answers(act: &str, database: &DatabaseIntent, address: Ipv4Addr) -> Result<(), ProviderError> {
    let Engine::Postgresql = database.engine;
    let at = format!("{} at {address}:{}", database.engine, database.port);
    let asked = async {
        // First whether it wants the password at all: one that lets anybody in would take it, too.
        asks_for_scram(database, address).await?;
        match &database.password {
            Some(password) => select(database, password, address).await,
            None => Ok(()),
        }
    };
    let silence = match timeout(LIMIT, asked).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(silence)) => silence,
        Err(_) => Silence::NotYet("silent".to_owned()),
    };
    let act = act.to_owned();
    Err(match silence {
        Silence::NotYet(reason) => ProviderError::Transient { act, reason: format!("{at}: {reason}") },
        Silence::Wrong(reason) => ProviderError::Permanent { act, reason: format!("{at}: {reason}") },
    })
}

/// Begins to log in as the role, and leaves when the server asks for the password.
async fn asks_for_scram(database: &DatabaseIntent, address: Ipv4Addr) -> Result<(), Silence> {
    let not_yet = |error: std::io::Error| Silence::NotYet(error.to_string());
    let mut stream = TcpStream::connect((address, database.port)).await.map_err(not_yet)?;
    stream.write_all(&hello(database)).await.map_err(not_yet)?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.map_err(not_yet)?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or_default();
    let mut body = vec![0; length.clamp(4, LONGEST) - 4];
    stream.read_exact(&mut body).await.map_err(not_yet)?;
    judge(kind, &body)
}

/// The first message: who wants to go where.
fn hello(database: &DatabaseIntent) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for text in ["user", &database.role, "database", &database.name, ""] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    let length = i32::try_from(body.len() + 4).unwrap_or(i32::MAX);
    [length.to_be_bytes().as_slice(), &body].concat()
}

fn judge(kind: u8, body: &[u8]) -> Result<(), Silence> {
    let request = body.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes));
    match (kind, request) {
        (b'R', Some(SASL)) if body.windows(SCRAM.len()).any(|part| part == SCRAM) => Ok(()),
        (b'R', Some(way)) => Err(Silence::Wrong(format!("it asks for no SCRAM password (method {way})"))),
        // "The database system is starting up", or there is no such role yet.
        (b'E', _) => {
            let message = body.split(|b| *b == 0).find_map(|field| field.strip_prefix(b"M")).unwrap_or_default();
            Err(Silence::NotYet(String::from_utf8_lossy(message).into_owned()))
        }
        _ => Err(Silence::Wrong("it speaks another protocol".to_owned())),
    }
}

/// A query, as the role, in its database.
async fn select(database: &DatabaseIntent, password: &Password, address: Ipv4Addr) -> Result<(), Silence> {
    // Nothing of this process's environment or home has a say in it.
    let options = PgConnectOptions::new_without_pgpass()
        .host(&address.to_string())
        .port(database.port)
        .username(&database.role)
        .database(&database.name)
        .password(password.reveal())
        .ssl_mode(PgSslMode::Disable)
        .application_name("jiyue")
        .disable_statement_logging();
    let not_yet = |error: sqlx::Error| Silence::NotYet(error.to_string());
    let mut connection = PgConnection::connect_with(&options).await.map_err(not_yet)?;
    let row = connection.fetch_one("select current_setting('server_version_num')::int").await.map_err(not_yet)?;
    let version: i32 = row.try_get(0).map_err(not_yet)?;
    let _ = connection.close().await;
    match u32::try_from(version / 10_000) {
        Ok(major) if major == database.major => Ok(()),
        _ => {
            Err(Silence::Wrong(format!("it is of release {}, and {} was asked for", version / 10_000, database.major)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{DatabaseStart, tests};

    #[test]
    fn only_a_server_that_asks_for_a_scram_password_is_right() {
        let sasl = |way: &[u8]| [SASL.to_be_bytes().as_slice(), way, b"\0"].concat();
        assert_eq!(judge(b'R', &sasl(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0")), Ok(()));
        assert!(matches!(judge(b'R', &sasl(b"OTHER\0")), Err(Silence::Wrong(_))));
        for way in [0_i32, 3, 5] {
            assert!(matches!(judge(b'R', &way.to_be_bytes()), Err(Silence::Wrong(_))), "{way}");
        }
        let starting = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0";
        assert_eq!(judge(b'E', starting), Err(Silence::NotYet("the database system is starting up".to_owned())));
        for (kind, body) in [(b'S', b"SH-2".as_slice()), (b'R', b""), (b'N', b"")] {
            assert!(matches!(judge(kind, body), Err(Silence::Wrong(_))), "{kind}");
        }
    }

    #[test]
    fn the_first_message_is_the_protocol_s() {
        let intent = tests::database(DatabaseStart::Baked);
        let hello = hello(intent.database.as_ref().unwrap());
        assert_eq!(hello.len(), usize::from(hello[3]));
        assert_eq!(&hello[4..], b"\0\x03\0\0user\0gw_web_1\0database\0gw_web_1\0\0");
    }

    #[tokio::test]
    async fn nobody_there_is_not_yet() {
        let mut intent = tests::database(DatabaseStart::Baked).database.unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        intent.port = taken.local_addr().unwrap().port();
        drop(taken);
        let error = answers("answer of x", &intent, Ipv4Addr::LOCALHOST).await.unwrap_err();
        assert!(error.is_transient() && !format!("{error:?} {error}").contains("Example2"), "{error}");
    }
}
