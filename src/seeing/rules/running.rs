//! The broker itself, and its hosts.

use super::{Alert, Group, Severity};
use crate::{
    metrics::series,
    seeing::query::{Want, of, once, quantile, times},
};

pub fn group() -> Group {
    let database_failing = times(&series::DATABASE_WRITES, &[("outcome", Want::Is("failed"))], &[], "10m");
    let left = format!("min ({}) - time()", of(&series::CERTIFICATE_EXPIRY, &[]));
    Group {
        name: "jiyue-broker",
        records: Vec::new(),
        alerts: vec![
            Alert {
                name: "JiyueGone",
                severity: Severity::Critical,
                expression: format!("absent({})", of(&series::BUILD_INFO, &[])),
                lasting: "5m",
                summary: "集约服务没有指标，可能已停",
                runbook: "在服务器上看 systemctl status jiyue 与日志，运行 jiyue doctor；再核对 Prometheus 的抓取目标。",
            },
            Alert {
                name: "JiyueDatabaseDown",
                severity: Severity::Critical,
                expression: format!("min ({}) == 0", of(&series::DATABASE_UP, &[])),
                lasting: "1m",
                summary: "数据库读不出或写不进",
                runbook: "运行 jiyue doctor，看 /readyz 里 database 与 write_queue 两项；检查磁盘空间、数据库进程与网络。",
            },
            Alert {
                name: "JiyueDatabaseWritesFail",
                severity: Severity::Warning,
                expression: format!("{database_failing} > 0"),
                lasting: "5m",
                summary: "十分钟内有写入失败",
                runbook: "在日志里找 db.batch.failed，按其中的错误处理；结果不明的调用用同一个 Idempotency-Key 重发。",
            },
            Alert {
                name: "JiyueDatabaseSlow",
                severity: Severity::Warning,
                expression: format!("{} > 1", quantile(0.99, &series::DATABASE_WRITES, &[], &[], "10m")),
                lasting: "10m",
                summary: "写入变慢：百分之一的批次超过 {{ $value | humanizeDuration }}",
                runbook: "看数据库所在磁盘的延迟与占用；PostgreSQL 还要看锁等待与连接数。",
            },
            Alert {
                name: "JiyueCertificateEnding",
                severity: Severity::Warning,
                expression: format!("({left}) < 30 * 86400 > 7 * 86400"),
                lasting: "1h",
                summary: "服务证书再过 {{ $value | humanizeDuration }} 到期",
                runbook: "申请新证书，放到 tls_certificate 与 tls_key 所指的位置；服务两秒内自己换上，不用重启。",
            },
            Alert {
                name: "JiyueCertificateAlmostOver",
                severity: Severity::Critical,
                expression: format!("({left}) <= 7 * 86400"),
                lasting: "5m",
                summary: "服务证书只剩 {{ $value | humanizeDuration }}",
                runbook: "今天就换证书：放到 tls_certificate 与 tls_key 所指的位置，日志里应出现 tls.reloaded。",
            },
            Alert {
                name: "JiyueLedgerDiffers",
                severity: Severity::Critical,
                expression: format!("max ({}) > 0", of(&series::LEDGER, &[])),
                lasting: "0s",
                summary: "账目核对有 {{ $value }} 处不符",
                runbook: "运行 jiyue ledger verify 看是哪几处；在弄清之前暂停审批。",
            },
            Alert {
                name: "JiyueFinalizerHanging",
                severity: Severity::Warning,
                expression: format!("max ({}) > 900", of(&series::KUBE_OLDEST, &[])),
                lasting: "5m",
                summary: "集群里有申请删除了 {{ $value | humanizeDuration }} 还没删掉",
                runbook: "运行 jiyue alarm list --kind finalizer_stuck 看是哪一个；多半是它的虚拟机所在宿主机失去联系。",
            },
        ],
    }
}

pub fn hosts() -> Group {
    let alarms = |kinds: &[&str]| format!("{} > 0", once(&series::ALARMS_OPEN, &[("kind", Want::Among(kinds))]));
    let refused = ["refused_key", "refused", "taken", "removal_refused"];
    Group {
        name: "jiyue-hosts",
        records: Vec::new(),
        alerts: vec![
            Alert {
                name: "JiyueHostUnknown",
                severity: Severity::Critical,
                expression: format!("{} > 60", once(&series::HOST_SILENCE, &[])),
                lasting: "1m",
                summary: "宿主机 {{ $labels.host }} 已失去联系 {{ $value | humanizeDuration }}",
                runbook: "先看网络与宿主机电源。虚拟机可能还在运行，不要直接重建；确认已断电后用 jiyue host fence 或 confirm-fenced。",
            },
            Alert {
                name: "JiyueUnauthorisedDomain",
                severity: Severity::Critical,
                expression: alarms(&["foreign", "stray", "altered", "restarted"]),
                lasting: "1m",
                summary: "宿主机上有 {{ $value }} 台虚拟机不是按批准运行的（{{ $labels.kind }}）",
                runbook: "运行 jiyue alarm list 看是哪一台、哪里不同；平台不会动它，查清是谁所为后处理，再 jiyue alarm acknowledge。",
            },
            Alert {
                name: "JiyueMachineMissing",
                severity: Severity::Critical,
                expression: alarms(&["missing", "power_cut"]),
                lasting: "2m",
                summary: "有 {{ $value }} 台虚拟机不见了或被断电（{{ $labels.kind }}）",
                runbook: "运行 jiyue alarm list 看是哪一台；被断电的平台会自己启动，不见了的要在宿主机上用 virsh list --all 核对。",
            },
            Alert {
                name: "JiyueNameRefused",
                severity: Severity::Warning,
                expression: format!("{} > 0", once(&series::NAMES, &[("state", Want::Among(&refused))])),
                lasting: "15m",
                summary: "有 {{ $value }} 个域名登记不上或撤不掉（{{ $labels.state }}）",
                runbook: "运行 jiyue machine list 看域名一栏的原因：密钥、权限、时钟，或名字已被别处占用。",
            },
        ],
    }
}
