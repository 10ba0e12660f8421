//! Whether the machine can really be found and reached, asked from outside of libvirt.

use hickory_resolver::{
    Resolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{Name, RData},
};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

/// One question to a DNS server in the next room.
const DNS_LIMIT: Duration = Duration::from_secs(1);
/// A guest that boots under emulation needs most of a second for its first packet.
const SSH_LIMIT: Duration = Duration::from_secs(2);
/// Attempts before "not yet": dnsmasq reads its file again within milliseconds of the update.
const DNS_ATTEMPTS: u32 = 10;

/// Asks `server` until the name has exactly this address; else what it said last.
pub async fn name_answers(server: Ipv4Addr, fqdn: &str, address: Ipv4Addr) -> Result<(), String> {
    let mut last = String::new();
    for attempt in 0..DNS_ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match addresses(server, fqdn).await {
            Ok(found) if found == [address] => return Ok(()),
            Ok(found) => last = format!("{server} says that {fqdn} is at {found:?}"),
            Err(error) => last = format!("{server} was asked for {fqdn}: {error}"),
        }
    }
    Err(last)
}

async fn addresses(server: Ipv4Addr, fqdn: &str) -> Result<Vec<Ipv4Addr>, Box<dyn std::error::Error + Send + Sync>> {
    let servers = vec![NameServerConfig::udp_and_tcp(server.into())];
    let config = ResolverConfig::from_name_servers(servers);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    // The server's own word, now: no cache, no hosts file of this machine, no search list.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = DNS_LIMIT;
    options.attempts = 1;
    let mut name = Name::from_ascii(fqdn)?;
    name.set_fqdn(true);
    let lookup = builder.build()?.ipv4_lookup(name).await?;
    let address = |data: &RData| if let RData::A(a) = data { Some(a.0) } else { None };
    Ok(lookup.answers().iter().filter_map(|record| address(&record.data)).collect())
}

/// Whether an SSH server greets at this address; else why not.
pub async fn ssh_answers(address: Ipv4Addr) -> Result<(), String> {
    let greeting = async {
        let mut stream = TcpStream::connect((address, 22)).await?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await?;
        Ok::<_, std::io::Error>(greeting)
    };
    match timeout(SSH_LIMIT, greeting).await {
        Ok(Ok(greeting)) if greeting == *b"SSH-" => Ok(()),
        Ok(Ok(_)) => Err(format!("port 22 of {address} speaks, but not SSH")),
        Ok(Err(error)) => Err(format!("port 22 of {address}: {error}")),
        Err(_) => Err(format!("port 22 of {address} is silent")),
    }
}
