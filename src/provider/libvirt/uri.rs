//! How a host may be reached: its own socket, TLS, or bare TCP where the operator has said that the wire is safe. A libvirt
//! URI can do far more than that (run a command, log in somewhere, read any key, trust anybody; `hazards` S7), so it is
//! read by a grammar of ours, and what the grammar has no place for is refused by name.

use ipnet::IpNet;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use tokio::{net::lookup_host, time::timeout};

/// How long DNS may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

/// Why an address is not one that a host may have; a Chinese sentence that names the field and the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriFault {
    #[error("{0}")]
    Refused(String),
    /// Not the address is at fault but DNS, for the moment perhaps.
    #[error("{0}")]
    Unknown(String),
}

/// What stands between the slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Address(IpAddr),
    Dns(String),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Dns(name) => f.write_str(name),
        }
    }
}

/// A way across the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub name: Name,
    port: Option<u16>,
    pub tls: bool,
    /// The broker's folder with `cacert.pem`, `clientcert.pem` and `clientkey.pem`; libvirt's own where it is not said.
    pki: Option<String>,
}

/// A URI that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// This machine, through its usual or another socket.
    Socket(Option<String>),
    Remote(Remote),
}

const FORMS: &str = "qemu:///system、qemu+unix:///system?socket=/路径、qemu+tls://主机/system?pkipath=/证书目录，\
     或在 insecure_networks 所列网段内的 qemu+tcp://主机/system";

/// What the refused parameters would do.
const WORDS: [(&str, &str); 12] = [
    ("command", "会在代理所在机器上执行程序"),
    ("netcat", "会在对方机器上执行程序"),
    ("no_verify", "会跳过身份核验"),
    ("sshauth", "属于 SSH，本系统不经 SSH 连接宿主机"),
    ("keyfile", "属于 SSH，本系统不经 SSH 连接宿主机"),
    ("known_hosts", "属于 SSH，本系统不经 SSH 连接宿主机"),
    ("known_hosts_verify", "会跳过身份核验"),
    ("proxy", "会经对方的代理程序转接"),
    ("mode", "会改变所连接的守护进程"),
    ("no_tty", "属于 SSH，本系统不经 SSH 连接宿主机"),
    ("tls_priority", "可把加密降到不安全的算法"),
    ("name", "会让对方再去打开另一个地址"),
];

impl Way {
    /// Reads a URI. Nothing is asked of any network here; see [`Remote::may_lead_to`] for that.
    pub fn read(uri: &str) -> Result<Self, UriFault> {
        let fault = |text: String| Err(UriFault::Refused(text));
        if uri.len() > 512 || !uri.bytes().all(|b| b.is_ascii_graphic()) {
            return fault(format!("地址只能由不超过 512 个可见的 ASCII 字符组成；支持 {FORMS}"));
        }
        if let Some(sign) = uri.chars().find(|c| matches!(c, '%' | '#' | '@' | ';' | '\\' | '"' | '\'' | '<' | '>')) {
            return fault(format!("地址中不能有字符 {sign}（转义、账号与片段一律不收）；支持 {FORMS}"));
        }
        let Some((scheme, rest)) = uri.split_once("://") else {
            return fault(format!("缺少协议；支持 {FORMS}"));
        };
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let allowed = match scheme {
            "qemu" | "qemu+tcp" => &[][..],
            "qemu+unix" => &["socket"][..],
            "qemu+tls" => &["pkipath"][..],
            _ => return fault(format!("协议 {scheme} 不受支持；请改用 {FORMS}")),
        };
        let value = parameter(query, allowed)?;
        if path != "/system" {
            return fault(format!("路径须为 /system，而不是 {path:?}"));
        }
        match scheme {
            "qemu" if authority.is_empty() => Ok(Self::Socket(None)),
            "qemu" => fault(format!("qemu://{authority}/ 没有写明协议；请写成 qemu+tls://{authority}/system")),
            "qemu+unix" if !authority.is_empty() => fault(format!("qemu+unix 只连本机，不能写主机 {authority}")),
            "qemu+unix" => match value {
                Some(socket) => Ok(Self::Socket(Some(socket))),
                None => fault("缺少参数 socket；请写成 qemu+unix:///system?socket=/路径".to_owned()),
            },
            _ => {
                let (name, port) = read_authority(authority)?;
                Ok(Self::Remote(Remote { name, port, tls: scheme == "qemu+tls", pki: value }))
            }
        }
    }

    /// What an operator should be told of this way even though it is allowed.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Remote(remote) if !remote.tls => Some(format!(
                "与宿主机 {} 的连接不加密、不核验身份，任何能接入该网段的人都能控制其上的虚拟机；仅限隔离的管理网，请尽早改用 qemu+tls",
                remote.name
            )),
            _ => None,
        }
    }
}

impl Remote {
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 16514 } else { 16509 })
    }

    /// Judges where the name leads. Bare TCP is for the networks that the operator has listed, and for nothing else; by TLS
    /// the other side must prove its name, so only addresses are refused at which no host can live.
    pub fn may_lead_to(&self, addresses: &[IpAddr], insecure: &[IpNet]) -> Result<(), UriFault> {
        if addresses.is_empty() {
            return Err(UriFault::Refused(format!("主机名 {} 没有对应的地址；请检查拼写与 DNS", self.name)));
        }
        for address in addresses.iter().map(IpAddr::to_canonical) {
            let kind = odd(address);
            if insecure.iter().any(|net| net.contains(&address)) {
                continue;
            }
            let at = if self.name == Name::Address(address) {
                address.to_string()
            } else {
                format!("{}（{address}）", self.name)
            };
            match kind {
                Some((kind, true)) => {
                    return Err(UriFault::Refused(format!(
                        "主机 {at} 是{kind}，不会是宿主机；请填写宿主机在管理网上的地址"
                    )));
                }
                _ if self.tls => {}
                Some((kind, false)) => {
                    return Err(UriFault::Refused(format!(
                        "主机 {at} 是{kind}，不能用 qemu+tcp 连接；本机请用 qemu:///system，其他宿主机请用 qemu+tls"
                    )));
                }
                None => {
                    return Err(UriFault::Refused(format!(
                        "qemu+tcp 不加密、不核验身份，而主机 {at} 不在配置项 insecure_networks 所列的网段内；\
                         请改用 qemu+tls，或由管理员确认该网段与外界隔离后列入"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What libvirt is given to open. Bare TCP goes to the address that was judged, whatever the name leads to by now; by
    /// TLS the name is kept, for the other side's certificate must carry it.
    pub fn pinned(&self, address: IpAddr) -> String {
        if self.tls {
            let pki = self.pki.as_ref().map(|folder| format!("?pkipath={folder}")).unwrap_or_default();
            format!("qemu+tls://{}:{}/system{pki}", self.name, self.port())
        } else {
            format!("qemu+tcp://{}:{}/system", Name::Address(address.to_canonical()), self.port())
        }
    }

    /// How another host gets there, with certificates of its own in the places where libvirt looks for them by itself.
    pub fn for_peers(&self, address: IpAddr) -> String {
        Self { pki: None, ..self.clone() }.pinned(address)
    }

    /// Where the memory and disks of a machine are sent to, as opposed to the calls about it. The port is chosen there.
    pub fn for_data(&self, address: IpAddr) -> String {
        let name = if self.tls { self.name.clone() } else { Name::Address(address.to_canonical()) };
        format!("tcp://{name}")
    }
}

/// The one parameter that the scheme knows.
fn parameter(query: Option<&str>, allowed: &[&str]) -> Result<Option<String>, UriFault> {
    let mut found = None;
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !allowed.contains(&key) {
            let lower = key.to_ascii_lowercase();
            let why =
                WORDS.iter().find(|(word, _)| *word == lower).map_or_else(String::new, |(_, why)| format!("（{why}）"));
            return Err(UriFault::Refused(format!("参数 {key:?} 不受支持{why}；请去掉，支持 {FORMS}")));
        }
        if found.is_some() {
            return Err(UriFault::Refused(format!("参数 {key} 写了两次；请只留一个")));
        }
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b':' | b',' | b'~');
        if !value.starts_with('/') || value.split('/').any(|part| part == "..") || !value.bytes().all(fits) {
            return Err(UriFault::Refused(format!("参数 {key} 须为绝对路径，例如 {key}=/etc/jiyue/{key}")));
        }
        found = Some(value.to_owned());
    }
    Ok(found)
}

fn read_authority(authority: &str) -> Result<(Name, Option<u16>), UriFault> {
    let fault = |text: String| UriFault::Refused(text);
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let bad_port = || fault(format!("端口写法有误：{authority:?}；省略时 TLS 用 16514，TCP 用 16509"));
    let port = match port {
        Some("") if !authority.ends_with(':') => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0).ok_or_else(bad_port)?)
        }
        _ => return Err(bad_port()),
    };
    if authority.starts_with('[') {
        let address = host.parse::<std::net::Ipv6Addr>();
        return match address {
            Ok(address) => Ok((Name::Address(IpAddr::V6(address).to_canonical()), port)),
            Err(_) => Err(fault(format!("主机 [{host}] 不是 IPv6 地址"))),
        };
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok((Name::Address(IpAddr::V4(address)), port));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name whose last label is a number is one of the odd spellings of an address (`127.1`, `0x7f000001`).
    let number = |last: &str| last.starts_with(|c: char| c.is_ascii_digit());
    let last = host.rsplit('.').next().unwrap_or_default();
    if host.len() > 253 || !host.split('.').all(label) || number(last) {
        return Err(fault(format!("主机 {host:?} 既不是地址也不是主机名；例如 10.0.0.11 或 kvm1.example.cn")));
    }
    Ok((Name::Dns(host.to_owned()), port))
}

/// What is special about an address, and whether it is so for TLS too.
fn odd(address: IpAddr) -> Option<(&'static str, bool)> {
    // Fixed addresses at which clouds answer with credentials, besides those that are link-local anyway.
    const METADATA: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    ];
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if link_local {
        Some(("链路本地地址（云平台的元数据服务在此）", true))
    } else if METADATA.contains(&address) {
        Some(("云平台的元数据地址", true))
    } else if address.is_unspecified() || address.is_multicast() || broadcast {
        Some(("通配、组播或广播地址", true))
    } else if address.is_loopback() {
        Some(("本机回环地址", false))
    } else {
        None
    }
}

/// Asks where a name leads and judges that; the addresses it has now. Sockets lead nowhere.
pub async fn vet(way: &Way, insecure: &[IpNet]) -> Result<Option<IpAddr>, UriFault> {
    let Way::Remote(remote) = way else { return Ok(None) };
    let addresses: Vec<IpAddr> = match &remote.name {
        Name::Address(address) => vec![*address],
        Name::Dns(name) => {
            let asked = timeout(RESOLVE_LIMIT, lookup_host((name.as_str(), remote.port()))).await;
            match asked {
                Ok(Ok(found)) => found.map(|socket| socket.ip()).collect(),
                Ok(Err(error)) => {
                    return Err(UriFault::Unknown(format!("主机名 {name} 查不到地址（{error}）；请检查拼写与 DNS")));
                }
                Err(_) => {
                    return Err(UriFault::Unknown(format!(
                        "主机名 {name} 在 {RESOLVE_LIMIT:?} 内查不到地址；请检查 DNS"
                    )));
                }
            }
        }
    };
    remote.may_lead_to(&addresses, insecure)?;
    Ok(addresses.first().copied())
}

/// What libvirt's words about a connection mean to an operator; `None` for what speaks for itself or is not about that.
pub fn explain(message: &str) -> Option<&'static str> {
    const MEANINGS: [(&str, &str); 10] = [
        (
            "Failed to verify peer's certificate",
            "宿主机的证书未通过核验：签发它的 CA 不是证书目录中 cacert.pem 那个，或证书已过期，或证书中没有地址里写的这个主机名",
        ),
        ("client certificate", "代理的客户端证书已过期或尚未生效，请换发后放回证书目录"),
        ("CA certificate", "证书目录中的 cacert.pem 读不到、已过期或不是 CA 证书"),
        ("failed validation against", "代理的客户端证书不是由证书目录中 cacert.pem 那个 CA 签发的"),
        (
            "Unable to read TLS confirmation",
            "宿主机拒绝了代理：没有出示客户端证书，或宿主机不认这张证书；请在证书目录中放好 clientcert.pem 与 clientkey.pem",
        ),
        ("TLS handshake failed", "TLS 握手失败：对方不是 libvirt 的 TLS 端口，或双方没有共同的算法"),
        (
            "Connection refused",
            "该地址上没有 libvirt 在监听：请确认 libvirtd 已启用 listen_tls 或 listen_tcp，且端口无误",
        ),
        ("No route to host", "网络不通：没有到该地址的路由，或主机已关机"),
        ("No such file or directory", "找不到套接字或文件：请确认路径，以及 libvirtd 正在运行"),
        ("Permission denied", "代理的账号无权使用该套接字或证书文件"),
    ];
    let expired = message.contains("has expired") || message.contains("not yet active");
    let is = |(words, _): &&(&str, &str)| message.contains(words) && (*words != "client certificate" || expired);
    MEANINGS.iter().find(is).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nets(text: &str) -> Vec<IpNet> {
        text.split(' ').filter(|t| !t.is_empty()).map(|t| t.parse().unwrap()).collect()
    }

    fn remote(uri: &str) -> Remote {
        match Way::read(uri).unwrap() {
            Way::Remote(remote) => remote,
            Way::Socket(_) => panic!("{uri} is a socket"),
        }
    }

    #[test]
    fn each_transport_is_read() {
        assert_eq!(Way::read("qemu:///system"), Ok(Way::Socket(None)));
        assert_eq!(Way::read("qemu+unix:///system?socket=/run/x"), Ok(Way::Socket(Some("/run/x".into()))));
        let there = "10.77.0.11".parse().unwrap();
        for (uri, pinned, peers) in [
            (
                "qemu+tls://kvm1.gov.cn/system",
                "qemu+tls://kvm1.gov.cn:16514/system",
                "qemu+tls://kvm1.gov.cn:16514/system",
            ),
            (
                "qemu+tls://10.77.0.11:99/system?pkipath=/etc/jiyue/pki",
                "qemu+tls://10.77.0.11:99/system?pkipath=/etc/jiyue/pki",
                "qemu+tls://10.77.0.11:99/system",
            ),
            ("qemu+tcp://kvm1/system", "qemu+tcp://10.77.0.11:16509/system", "qemu+tcp://10.77.0.11:16509/system"),
            ("qemu+tls://[fd00::b]:99/system", "qemu+tls://[fd00::b]:99/system", "qemu+tls://[fd00::b]:99/system"),
        ] {
            assert_eq!(
                (remote(uri).pinned(there), remote(uri).for_peers(there)),
                (pinned.into(), peers.into()),
                "{uri}"
            );
        }
        // What libvirt is given is read back as the same.
        assert_eq!(
            remote(&remote("qemu+tls://h:1/system?pkipath=/p").pinned(there)),
            remote("qemu+tls://h:1/system?pkipath=/p")
        );
        assert!(Way::read("qemu+tcp://10.0.0.1/system").unwrap().warning().is_some());
        assert!(Way::read("qemu+tls://10.0.0.1/system").unwrap().warning().is_none());
    }

    #[test]
    fn what_runs_reads_or_trusts_something_is_refused_by_name() {
        for (uri, word) in [
            ("qemu", "协议"),
            ("", "协议"),
            ("qemu+ssh://h/system", "qemu+ssh"),
            ("qemu+libssh2://h/system", "qemu+libssh2"),
            ("qemu+ext:///system?command=/bin/sh", "qemu+ext"),
            ("xen:///system", "xen"),
            ("test:///default", "test"),
            ("esx://h/", "esx"),
            ("QEMU+TLS://h/system", "QEMU+TLS"),
            ("qemu:///session", "/system"),
            ("qemu://h/system", "qemu+tls://h/system"),
            ("qemu:///system?command=/bin/sh", "command"),
            ("qemu:///system?mode=direct", "mode"),
            ("qemu+unix:///system?socket=/x&mode=legacy", "mode"),
            ("qemu+unix:///system", "socket"),
            ("qemu+unix:///system?socket=x", "绝对路径"),
            ("qemu+unix:///system?socket=/a/../b", "绝对路径"),
            ("qemu+unix:///system?socket=/a&socket=/b", "两次"),
            ("qemu+unix:///system?Socket=/a", "Socket"),
            ("qemu+unix://h/system?socket=/a", "本机"),
            ("qemu+unix:///system?socket=/x;command=y", "字符 ;"),
            ("qemu+unix:///system?socket=/x%26command=y", "字符 %"),
            ("qemu+tls://h/system?no_verify=1", "no_verify"),
            ("qemu+tls://h/system?netcat=/bin/nc", "netcat"),
            ("qemu+tls://h/system?sshauth=none", "sshauth"),
            ("qemu+tls://h/system?proxy=native", "proxy"),
            ("qemu+tls://h/system?keyfile=/k", "keyfile"),
            ("qemu+tls://h/system?tls_priority=NORMAL", "tls_priority"),
            ("qemu+tls://h/system?name=qemu:///session", "name"),
            ("qemu+tls://h/system?pkipath=/p&no_verify=1", "no_verify"),
            ("qemu+tls://root@h/system", "字符 @"),
            ("qemu+tls://h/system#x", "字符 #"),
            ("qemu+tls:///system", "主机"),
            ("qemu+tls://h:0/system", "端口"),
            ("qemu+tls://h:/system", "端口"),
            ("qemu+tls://h:x/system", "端口"),
            ("qemu+tls://h:70000/system", "端口"),
            ("qemu+tls://[::1/system", "[::1"),
            ("qemu+tls://[x]/system", "IPv6"),
            ("qemu+tls://-h/system", "主机"),
            ("qemu+tls://h_x/system", "主机"),
            ("qemu+tcp://127.1/system", "主机"),
            ("qemu+tcp://2130706433/system", "主机"),
            ("qemu+tcp://0x7f000001/system", "主机"),
            ("qemu+tcp://h/system?pkipath=/x", "pkipath"),
            ("qemu+tls://主机/system", "ASCII"),
            ("qemu+tls://h /system", "ASCII"),
        ] {
            let fault = Way::read(uri).expect_err(uri).to_string();
            assert!(fault.contains(word), "{uri}: {fault}");
        }
    }

    #[test]
    fn bare_tcp_leads_only_to_listed_networks() {
        let judge = |uri: &str, to: &str, insecure: &str| {
            let to: Vec<IpAddr> = to.split(' ').map(|a| a.parse().unwrap()).collect();
            remote(uri).may_lead_to(&to, &nets(insecure)).map_err(|fault| fault.to_string())
        };
        assert_eq!(judge("qemu+tcp://h/system", "10.77.0.11", "10.77.0.0/24"), Ok(()));
        assert_eq!(judge("qemu+tcp://h/system", "::ffff:10.77.0.11", "10.77.0.0/24"), Ok(()));
        assert_eq!(judge("qemu+tcp://h/system", "127.0.0.1", "127.0.0.0/8"), Ok(()), "listed is listed");
        assert_eq!(judge("qemu+tls://h/system", "10.1.1.1", ""), Ok(()));
        assert_eq!(judge("qemu+tls://h/system", "127.0.0.1", ""), Ok(()));
        for (uri, to, insecure, word) in [
            ("qemu+tcp://h/system", "10.77.1.11", "10.77.0.0/24", "insecure_networks"),
            // Every address that the name has, not just the first.
            ("qemu+tcp://h/system", "10.77.0.11 10.78.0.11", "10.77.0.0/24", "10.78.0.11"),
            ("qemu+tcp://h/system", "127.0.0.1", "10.77.0.0/24", "回环"),
            ("qemu+tcp://h/system", "::1", "10.77.0.0/24", "回环"),
            ("qemu+tcp://h/system", "::ffff:127.0.0.1", "10.77.0.0/24", "回环"),
            ("qemu+tcp://h/system", "169.254.169.254", "10.0.0.0/8", "元数据"),
            ("qemu+tls://h/system", "169.254.169.254", "10.0.0.0/8", "元数据"),
            ("qemu+tls://h/system", "100.100.100.200", "", "元数据"),
            ("qemu+tls://h/system", "fd00:ec2::254", "", "元数据"),
            ("qemu+tls://h/system", "fe80::1", "", "链路本地"),
            ("qemu+tls://h/system", "0.0.0.0", "", "通配"),
            ("qemu+tls://h/system", "224.0.0.1", "", "组播"),
            ("qemu+tls://h/system", "255.255.255.255", "", "广播"),
        ] {
            let fault = judge(uri, to, insecure).expect_err(to);
            assert!(fault.contains(word), "{to}: {fault}");
        }
        assert!(remote("qemu+tls://h/system").may_lead_to(&[], &[]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        /// Whatever passes is one of the few forms, letter by letter, and carries no parameter but the two.
        #[test]
        fn nothing_passes_that_is_not_one_of_the_forms(
            uri in r"(qemu|qemu\+(unix|tls|tcp|ssh|ext)|test)://(|h|h\.x|10\.0\.0\.1|\[::1\]|u@h|127\.1)(|:1|:)/(system|session|)(\?(socket|pkipath|command|mode|no_verify|Socket)=(/a|a|/%2e)(&(socket|command)=/b)?)?",
        ) {
            if let Ok(way) = Way::read(&uri) {
                let form = match &way {
                    Way::Socket(None) => "qemu:///system".to_owned(),
                    Way::Socket(Some(path)) => format!("qemu+unix:///system?socket={path}"),
                    Way::Remote(remote) => remote.pinned("10.0.0.1".parse().unwrap()),
                };
                // The same but for the port, which is now always said.
                prop_assert_eq!(Way::read(&form).unwrap().warning().is_some(), way.warning().is_some());
                for word in ["command", "mode", "no_verify", "Socket", "@", "%", "session"] {
                    prop_assert!(!uri.contains(word), "{}", uri);
                }
            }
        }
        #[test]
        fn the_reader_never_panics(uri in r"\PC{0,40}|qemu\+tls://[\[\]:/?&=a-z0-9.]{0,30}") {
            let _ = Way::read(&uri);
        }
    }
}
