//! What was seen, and what it means. Pure.

use super::Finding;
use crate::{
    db::{DbError, Dialect, Seen},
    dns::{Fault, KeyFault, Silence},
    secret::KeyFault as FileFault,
};
use std::{io, net::SocketAddr, path::Path};

/// Less than this is soon nothing.
const LEAST_FREE: u64 = 1 << 30;
/// Clocks that differ by more make leases and signatures doubtful.
const SKEW_MICROS: u64 = 2_000_000;

/// Who runs this, and who owns what the service keeps.
pub struct Account {
    pub root: bool,
    /// The owner of the service's data has another account than this process.
    pub owner: Option<u32>,
}

pub fn account(seen: &Account) -> Option<Finding> {
    let owner = seen.owner.filter(|owner| *owner != 0);
    (seen.root && owner.is_some()).then(|| {
        Finding::unknown("account", "现在是 root，什么都能读写；服务自己能不能，看不出来")
            .with_mend("换成运行服务的账号再查一次：sudo -u jiyue jiyue doctor")
    })
}

/// What was seen of the database.
pub struct Database {
    /// `None`: there is no file yet.
    pub seen: Option<Seen>,
    /// Passwords that were sealed by another key than ours.
    pub sealed_by_others: i64,
    /// Hosts that are this machine.
    pub local_hosts: usize,
}

pub fn database(seen: &Result<Database, DbError>) -> Vec<Finding> {
    const AREA: &str = "database";
    let database = match seen {
        Ok(database) => database,
        Err(error) => return vec![unopened(error)],
    };
    let Some(Seen { dialect, release, tables, known, .. }) = &database.seen else {
        return vec![Finding::good(AREA, "数据库还没有，第一次启动时建")];
    };
    let name = match dialect {
        Dialect::Sqlite => "SQLite",
        Dialect::Postgres => "PostgreSQL",
    };
    vec![match tables {
        Some(tables) if tables > known => Finding::bad(
            AREA,
            format!("{name} {release} 里的表（第 {tables} 版）比本程序认识的（第 {known} 版）新"),
            "装上不低于原来版本的 jiyue；要退回旧版的，从当时的备份恢复数据库",
        ),
        Some(tables) if tables < known => {
            Finding::good(AREA, format!("{name} {release} 可读写；表是第 {tables} 版，下次启动时升到第 {known} 版"))
        }
        Some(tables) => Finding::good(AREA, format!("{name} {release} 可读写，表是第 {tables} 版")),
        None => Finding::good(AREA, format!("{name} {release} 连得上，是空的，第一次启动时建表")),
    }]
}

fn unopened(error: &DbError) -> Finding {
    const AREA: &str = "database";
    let told = crate::error::story(error).join(": ");
    let (what, mend) = match error {
        DbError::Unreachable(_) => (
            "数据库连不上",
            "PostgreSQL：检查 database_url 里的主机、端口、用户、口令，服务有没有启动，pg_hba.conf 让不让连；SQLite：检查文件和目录的权限",
        ),
        DbError::Collision(_) => ("数据库一直被占着", "有别的程序锁住了它（备份、sqlite3 命令行）：等它做完，或结束它"),
        DbError::Full(_) => ("数据库所在的磁盘满了", "清理磁盘或扩容"),
        DbError::BadUrl => ("不是数据库地址", "按 /usr/share/doc/jiyue/jiyue.toml 改 database_url"),
        _ if told.contains("readonly") || told.contains("read-only") => {
            ("数据库只能读", "SQLite：文件和所在目录要归 jiyue，磁盘不能只读挂载；PostgreSQL：连主库，不要连备库")
        }
        _ if told.contains("permission denied") => {
            ("数据库账号的权限不够", "让 database_url 里的用户成为库的属主：alter database 库 owner to 用户，表也是")
        }
        _ => ("数据库用不了", "文件可能不是 SQLite 数据库，或已损坏：从备份恢复；PostgreSQL：看它自己的日志"),
    };
    Finding::bad(AREA, format!("{what}（{told}）"), mend)
}

pub fn disk(what: &str, free: io::Result<u64>) -> Finding {
    const AREA: &str = "disk";
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    match free {
        Ok(free) if free >= LEAST_FREE => {
            Finding::good(AREA, format!("{what}所在的磁盘还有 {:.1} GiB", free as f64 / LEAST_FREE as f64))
        }
        Ok(free) => Finding::bad(
            AREA,
            format!("{what}所在的磁盘只剩 {} MiB", free >> 20),
            "清理或扩容，至少留 1 GiB；镜像可以用 image_folder 放到别的磁盘",
        ),
        Err(error) => Finding::unknown(AREA, format!("{what}所在的磁盘看不到（{error}）")),
    }
}

/// `None`: there is no file yet.
pub fn secret_key(seen: Option<&Result<String, FileFault>>, database: &Result<Database, DbError>) -> Finding {
    const AREA: &str = "secret_key";
    match seen {
        Some(Err(fault)) => Finding::bad(AREA, fault.fault.clone(), fault.mend.clone()),
        Some(Ok(_)) => match database {
            Ok(Database { sealed_by_others, .. }) if *sealed_by_others > 0 => Finding::bad(
                AREA,
                format!("密钥文件不是封存数据库里那 {sealed_by_others} 个口令的密钥"),
                "换回原来的文件；几个 jiyue 共用一个数据库的，用同一个文件",
            ),
            _ => Finding::good(AREA, "密钥文件可用，只有属主能读"),
        },
        None => match database {
            Ok(Database { sealed_by_others, .. }) if *sealed_by_others > 0 => Finding::bad(
                AREA,
                format!("密钥文件没有了，而数据库里有用它封存的 {sealed_by_others} 个口令"),
                "从备份恢复 secret_key_file；启动一次会另写一把，就更难分清了",
            ),
            _ => Finding::good(AREA, "密钥文件还没有，第一次启动时写成"),
        },
    }
}

/// `None`: there is no folder yet.
pub fn image_folder(folder: &Path, writable: Option<io::Result<()>>) -> Finding {
    const AREA: &str = "image_folder";
    let shown = folder.display();
    match writable {
        None => Finding::good(AREA, format!("{shown} 还没有，启动时建")),
        Some(Ok(())) => Finding::good(AREA, format!("{shown} 可写")),
        Some(Err(error)) => Finding::bad(
            AREA,
            format!("{shown} 写不进（{error}）"),
            format!("chown jiyue: {shown}，并检查磁盘是否只读"),
        ),
    }
}

/// Who has the port that we want to listen on.
pub enum Port {
    Free,
    Ours { ready: bool },
    Somebody,
    Fault(io::Error),
}

pub fn port(listen: SocketAddr, seen: Port) -> Finding {
    const AREA: &str = "port";
    match seen {
        Port::Free => Finding::good(AREA, format!("{listen} 空着，服务没有在运行")),
        Port::Ours { ready: true } => Finding::good(AREA, format!("{listen} 上是集约，可以服务")),
        Port::Ours { ready: false } => Finding::bad(
            AREA,
            format!("{listen} 上是集约，但还不能服务"),
            format!("curl -s http://{listen}/readyz（设了 TLS 的是 https）看缺什么"),
        ),
        Port::Somebody => Finding::bad(
            AREA,
            format!("{listen} 被别的程序占用"),
            format!("ss -ltnp 'sport = :{}' 看是谁，停掉它，或改 listen", listen.port()),
        ),
        Port::Fault(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Finding::bad(AREA, format!("没有权限监听 {listen}"), "1024 以下的端口要特权：换一个大的，前面放反向代理")
        }
        Port::Fault(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            Finding::bad(AREA, format!("这台机器没有 {} 这个地址", listen.ip()), "listen 改成本机的地址，或 0.0.0.0")
        }
        Port::Fault(error) => Finding::bad(AREA, format!("{listen} 监听不了（{error}）"), "改 listen"),
    }
}

pub fn libvirt(seen: &io::Result<()>, local: bool) -> Finding {
    const AREA: &str = "libvirt";
    match seen {
        Ok(()) => Finding::good(AREA, "本机的 libvirt 连得上"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Finding::bad(
            AREA,
            "本机有 libvirt，但没有权限连接",
            "usermod -aG libvirt jiyue，再 systemctl restart jiyue",
        ),
        Err(_) if local => Finding::bad(
            AREA,
            "有宿主机就是本机（qemu:///system），但本机的 libvirt 连不上",
            "systemctl enable --now libvirtd.socket；没有安装的，见 hypervisor/README.md",
        ),
        Err(_) => Finding::unknown(AREA, "本机没有运行 libvirt；宿主机都在别处的，不用管"),
    }
}

pub fn kvm(opens: io::Result<()>) -> Finding {
    const AREA: &str = "kvm";
    match opens {
        // A machine whose /dev/kvm opens may still never run a guest: adding a host boots a probe, and that is believed.
        Ok(()) => Finding::good(AREA, "/dev/kvm 能打开；能不能用，以接入宿主机时启动的探测机为准"),
        Err(error) => Finding::unknown(AREA, format!("没有可用的 KVM（/dev/kvm：{error}），虚拟机用软件模拟，慢得多"))
            .with_mend("在 BIOS 里打开虚拟化（VT-x、AMD-V）；本身是虚拟机的，让外层打开嵌套虚拟化"),
    }
}

/// Whether packets between guests can be filtered; the error is what ebtables says.
pub enum Filter {
    Works,
    Missing,
    Refuses(String),
    /// Only root may ask.
    NotRoot,
}

pub fn filter(seen: &Filter) -> Finding {
    const AREA: &str = "filter";
    match seen {
        Filter::Works => Finding::good(AREA, "ebtables 可用，虚拟机之间隔得开"),
        Filter::Missing => {
            Finding::bad(AREA, "没有 ebtables，这台宿主机接入不了", "apt install iptables（ebtables 在里面）")
        }
        Filter::Refuses(said) => Finding::bad(
            AREA,
            format!("ebtables 用不了（{said}）"),
            "内核要有 nf_tables 的网桥支持和 nft_compat：modprobe nft_compat；见 hypervisor/README.md",
        ),
        Filter::NotRoot => Finding::unknown(AREA, "ebtables 装了；能不能用，只有 root 能查"),
    }
}

pub fn zone((suffix, seen): &(String, Result<(), Fault>)) -> Finding {
    const AREA: &str = "dns";
    let bad = |what: &str, mend: &str| Finding::bad(AREA, format!("{suffix}：{what}"), mend);
    match seen {
        Ok(()) => Finding::good(AREA, format!("{suffix}：服务器认得这个区，收我们签名的更新")),
        Err(Fault::Silent(Silence::NoConnection)) => {
            bad("DNS 服务器连不上", "检查 server 的地址和端口、防火墙（用 TCP），服务有没有启动")
        }
        Err(Fault::Silent(Silence::TimedOut)) => bad("DNS 服务器没有回应", "检查防火墙是否放行 TCP 53"),
        Err(Fault::Silent(Silence::Broken)) => bad("那个端口上的不是 DNS 服务器", "检查 server 的地址和端口"),
        Err(Fault::Silent(Silence::ServerFault)) => bad("DNS 服务器自己出错（SERVFAIL）", "看 DNS 服务器的日志"),
        Err(Fault::WrongKey(KeyFault::Unknown)) => bad(
            "服务器不认识这把密钥，或不让它更新这个区",
            "key_name 和算法要与服务器上的一致，并允许这把密钥更新这个区（knot：acl action: update；BIND：allow-update）",
        ),
        Err(Fault::WrongKey(KeyFault::Signature | KeyFault::Answer)) => {
            bad("密钥不对", "key_file 和 algorithm 要与服务器上的一致")
        }
        Err(Fault::WrongKey(KeyFault::Clock)) => {
            bad("两边的时钟差得太多", "两台机器都装 chrony 对时；实在对不了的，加大 fudge_seconds")
        }
        Err(Fault::Refused(why)) => bad(
            &format!("服务器不收更新（{why}）"),
            "server 要是这个区的主服务器，区名要写对，并允许这把密钥更新（knot：acl action: update；BIND：allow-update）",
        ),
        Err(Fault::Taken { by }) => bad(&format!("有别人的记录（{by}）"), "删去 _jiyue-doctor 下的记录"),
    }
}

/// Whether the clock of this machine follows another; `None` where nobody here knows.
pub fn time(synchronised: Option<bool>, database: &Result<Database, DbError>) -> Vec<Finding> {
    const AREA: &str = "time";
    let mend = "apt install chrony（或 systemctl enable --now systemd-timesyncd），让它指向单位的时间服务器";
    let mut findings = vec![match synchronised {
        Some(true) => Finding::good(AREA, "本机的时钟与时间服务器同步"),
        Some(false) => Finding::bad(AREA, "本机的时钟没有与时间服务器同步", mend),
        None => Finding::unknown(AREA, "不知道本机的时钟准不准：没有 chrony，也没有 systemd-timesyncd").with_mend(mend),
    }];
    if let Ok(Database { seen: Some(Seen { dialect: Dialect::Postgres, ahead_micros, .. }), .. }) = database {
        let (off, way) = (ahead_micros.unsigned_abs(), if *ahead_micros > 0 { "快" } else { "慢" });
        let told = format!("数据库服务器的时钟比本机{way} {}.{} 秒", off / 1_000_000, off / 100_000 % 10);
        findings.push(match off {
            0..=SKEW_MICROS => Finding::good(AREA, told),
            _ => Finding::bad(AREA, told, "两台机器都装 chrony，指向同一个时间服务器"),
        });
    }
    findings.push(Finding::unknown(AREA, "宿主机的时钟看不到（libvirt 不说），请在宿主机上也装 chrony"));
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    fn io_error(kind: io::ErrorKind) -> io::Error {
        kind.into()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it is judged")]
    fn seen(dialect: Dialect, tables: Option<i64>, ahead_micros: i64) -> Result<Database, DbError> {
        let seen = Seen { dialect, release: "15".to_owned(), tables, known: 7, ahead_micros };
        Ok(Database { seen: Some(seen), sealed_by_others: 0, local_hosts: 0 })
    }

    /// What is bad says how to mend it; what the states are.
    #[track_caller]
    fn states(findings: &[Finding]) -> Vec<State> {
        for finding in findings {
            assert!(finding.state != State::Bad || finding.mend.as_ref().is_some_and(|m| !m.is_empty()), "{finding:?}");
        }
        findings.iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn databases_are_judged() {
        for tables in [Some(7), Some(3), None] {
            assert_eq!(states(&database(&seen(Dialect::Postgres, tables, 0))), [State::Good]);
        }
        assert_eq!(states(&database(&seen(Dialect::Sqlite, Some(8), 0))), [State::Bad]);
        let none = Ok(Database { seen: None, sealed_by_others: 0, local_hosts: 0 });
        assert_eq!(states(&database(&none)), [State::Good]);
        let told = |error| database(&Err(error)).remove(0).detail;
        let io = || sqlx::Error::Io(io_error(io::ErrorKind::ConnectionRefused));
        assert!(told(DbError::Unreachable(io())).starts_with("数据库连不上"));
        assert!(told(DbError::Full(io())).contains("满"));
        let statement = |text: &str| DbError::Statement(sqlx::Error::Protocol(text.to_owned()));
        assert!(told(statement("attempt to write a readonly database")).starts_with("数据库只能读"));
        assert!(told(statement("permission denied for table hosts")).contains("权限"));
    }

    #[test]
    fn clocks_are_judged_where_they_can_be_seen() {
        let at = |ahead| time(Some(true), &seen(Dialect::Postgres, Some(7), ahead));
        assert_eq!(states(&at(1_900_000)), [State::Good, State::Good, State::Unknown]);
        assert_eq!(states(&at(-2_500_000)), [State::Good, State::Bad, State::Unknown]);
        assert!(at(-2_500_000)[1].detail.contains("慢 2.5 秒"));
        // An embedded database has our own clock.
        assert_eq!(time(None, &seen(Dialect::Sqlite, Some(7), 9_000_000)).len(), 2);
        assert_eq!(time(Some(false), &seen(Dialect::Sqlite, None, 0))[0].state, State::Bad);
    }

    #[test]
    fn this_machine_is_judged() {
        assert_eq!(disk("x", Ok(LEAST_FREE)).state, State::Good);
        assert_eq!(disk("x", Ok(LEAST_FREE - 1)).state, State::Bad);
        assert_eq!(disk("x", Err(io_error(io::ErrorKind::NotFound))).state, State::Unknown);
        let denied = || io_error(io::ErrorKind::PermissionDenied);
        let libvirt_states = [
            libvirt(&Ok(()), false),
            libvirt(&Err(denied()), false),
            libvirt(&Err(io_error(io::ErrorKind::NotFound)), true),
            libvirt(&Err(io_error(io::ErrorKind::NotFound)), false),
        ];
        assert_eq!(states(&libvirt_states), [State::Good, State::Bad, State::Bad, State::Unknown]);
        let filters = [Filter::Works, Filter::Missing, Filter::Refuses("no".to_owned()), Filter::NotRoot];
        assert_eq!(states(&filters.map(|seen| filter(&seen))), [State::Good, State::Bad, State::Bad, State::Unknown]);
        let listen = "127.0.0.1:80".parse().expect("an address");
        let ports = [
            Port::Free,
            Port::Ours { ready: true },
            Port::Ours { ready: false },
            Port::Somebody,
            Port::Fault(denied()),
            Port::Fault(io_error(io::ErrorKind::AddrNotAvailable)),
        ];
        let good = [State::Good, State::Good];
        assert_eq!(states(&ports.map(|seen| port(listen, seen))), [&good[..], &[State::Bad; 4]].concat());
        assert_eq!(account(&Account { root: true, owner: Some(990) }).map(|f| f.state), Some(State::Unknown));
        assert!(account(&Account { root: true, owner: Some(0) }).is_none());
        assert!(account(&Account { root: false, owner: Some(990) }).is_none());
        let keys = [KeyFault::Unknown, KeyFault::Signature, KeyFault::Clock, KeyFault::Answer];
        let silences = [Silence::NoConnection, Silence::TimedOut, Silence::Broken, Silence::ServerFault];
        let faults = keys.map(Fault::WrongKey).into_iter().chain(silences.map(Fault::Silent));
        for fault in faults.chain([Fault::Refused("REFUSED".to_owned()), Fault::Taken { by: "A".to_owned() }]) {
            assert_eq!(states(&[zone(&("xc.example".to_owned(), Err(fault)))]), [State::Bad]);
        }
    }
}
