//! Which act each route is: what the policy judges its callers by. The OpenAPI document says it of each route (`x-act`), and
//! the table of routes, roles and departments is made from that.

use crate::identity::policy::Act;
use utoipa::openapi::{OpenApi, PathItem, extensions::ExtensionsBuilder, path::Operation};

/// `None` is open to all, without a token.
pub const ACTS: &[(&str, &str, Option<Act>)] = &[
    ("GET", "/healthz", None),
    ("GET", "/metrics", None),
    ("GET", "/readyz", None),
    ("GET", "/v1/alarms", Some(Act::AlarmRead)),
    ("GET", "/v1/alarms/{id}", Some(Act::AlarmRead)),
    ("POST", "/v1/alarms/{id}/acknowledge", Some(Act::AlarmAcknowledge)),
    ("GET", "/v1/audit-records", Some(Act::AuditRead)),
    ("GET", "/v1/departments", Some(Act::DepartmentRead)),
    ("POST", "/v1/departments", Some(Act::DepartmentCreate)),
    ("GET", "/v1/departments/{id}", Some(Act::DepartmentRead)),
    ("PATCH", "/v1/departments/{id}", Some(Act::DepartmentChange)),
    ("GET", "/v1/events", Some(Act::EventRead)),
    ("GET", "/v1/hosts", Some(Act::HostRead)),
    ("POST", "/v1/hosts", Some(Act::HostAdd)),
    ("GET", "/v1/hosts/{id}", Some(Act::HostRead)),
    ("PATCH", "/v1/hosts/{id}", Some(Act::HostChange)),
    ("POST", "/v1/hosts/{id}/cancel-drain", Some(Act::HostDrain)),
    ("POST", "/v1/hosts/{id}/confirm-fenced", Some(Act::HostConfirmFenced)),
    ("POST", "/v1/hosts/{id}/cordon", Some(Act::HostCordon)),
    ("POST", "/v1/hosts/{id}/drain", Some(Act::HostDrain)),
    ("POST", "/v1/hosts/{id}/fence", Some(Act::HostFence)),
    ("POST", "/v1/hosts/{id}/readmit", Some(Act::HostReadmit)),
    ("POST", "/v1/hosts/{id}/uncordon", Some(Act::HostUncordon)),
    ("GET", "/v1/images", Some(Act::ImageRead)),
    ("POST", "/v1/images", Some(Act::ImageImport)),
    ("GET", "/v1/images/{id}", Some(Act::ImageRead)),
    ("POST", "/v1/images/{id}/distribute", Some(Act::ImageDistribute)),
    ("GET", "/v1/images/{id}/hosts", Some(Act::HostRead)),
    ("GET", "/v1/ledger", Some(Act::LedgerVerify)),
    ("GET", "/v1/machines", Some(Act::MachineRead)),
    ("GET", "/v1/machines/{id}", Some(Act::MachineRead)),
    ("PATCH", "/v1/machines/{id}", Some(Act::MachineChange)),
    ("POST", "/v1/machines/{id}/agree-reclaim", Some(Act::MachineAgreeReclaim)),
    ("POST", "/v1/machines/{id}/credentials", Some(Act::MachineCredentials)),
    ("POST", "/v1/machines/{id}/delete", Some(Act::MachineDelete)),
    ("POST", "/v1/machines/{id}/extend", Some(Act::MachineExtend)),
    ("GET", "/v1/machines/{id}/log", Some(Act::MachineLog)),
    ("POST", "/v1/machines/{id}/migrate", Some(Act::MachineMigrate)),
    ("POST", "/v1/machines/{id}/reboot", Some(Act::MachineReboot)),
    ("POST", "/v1/machines/{id}/rebuild", Some(Act::MachineRebuild)),
    ("POST", "/v1/machines/{id}/register-name", Some(Act::MachineRegisterName)),
    ("POST", "/v1/machines/{id}/resize", Some(Act::MachineResize)),
    ("POST", "/v1/machines/{id}/restore", Some(Act::MachineRestore)),
    ("POST", "/v1/machines/{id}/start", Some(Act::MachineStart)),
    ("POST", "/v1/machines/{id}/stop", Some(Act::MachineStop)),
    ("GET", "/v1/machines/{id}/usage", Some(Act::UsageRead)),
    ("GET", "/v1/machines/{id}/verdicts", Some(Act::VerdictRead)),
    ("POST", "/v1/machines/{id}/withdraw-reclaim", Some(Act::MachineWithdrawReclaim)),
    ("GET", "/v1/openapi.json", None),
    ("GET", "/v1/operations", Some(Act::OperationRead)),
    ("GET", "/v1/operations/{id}", Some(Act::OperationRead)),
    ("GET", "/v1/operations/{id}/events", Some(Act::OperationRead)),
    ("POST", "/v1/placement/explain", Some(Act::PlacementExplain)),
    ("GET", "/v1/reports", Some(Act::ReportRead)),
    ("GET", "/v1/reports/idle", Some(Act::ReportRead)),
    ("GET", "/v1/reports/{id}", Some(Act::ReportRead)),
    ("GET", "/v1/requests", Some(Act::RequestRead)),
    ("POST", "/v1/requests", Some(Act::RequestSubmit)),
    ("POST", "/v1/requests/approve", Some(Act::RequestApprove)),
    ("POST", "/v1/requests/check", Some(Act::RequestCheck)),
    ("POST", "/v1/requests/return", Some(Act::RequestReturn)),
    ("GET", "/v1/requests/{id}", Some(Act::RequestRead)),
    ("POST", "/v1/requests/{id}/approve", Some(Act::RequestApprove)),
    ("POST", "/v1/requests/{id}/cancel", Some(Act::RequestCancel)),
    ("GET", "/v1/requests/{id}/original", Some(Act::RequestRead)),
    ("POST", "/v1/requests/{id}/return", Some(Act::RequestReturn)),
    ("GET", "/v1/rules", None),
    ("GET", "/v1/rules/{code}", None),
    ("GET", "/v1/systems", Some(Act::SystemRead)),
    ("POST", "/v1/systems", Some(Act::SystemCreate)),
    ("GET", "/v1/systems/{id}", Some(Act::SystemRead)),
    ("PATCH", "/v1/systems/{id}", Some(Act::SystemChange)),
    ("POST", "/v1/systems/{id}/attach", Some(Act::SystemAttach)),
    ("POST", "/v1/systems/{id}/detach", Some(Act::SystemDetach)),
    ("POST", "/v1/systems/{id}/judge", Some(Act::ZombieJudge)),
    ("GET", "/v1/servers", Some(Act::ServerRead)),
    ("POST", "/v1/servers", Some(Act::ServerCreate)),
    ("GET", "/v1/servers/{id}", Some(Act::ServerRead)),
    ("PATCH", "/v1/servers/{id}", Some(Act::ServerChange)),
    ("POST", "/v1/servers/{id}/replay-usage", Some(Act::ServerReplay)),
    ("GET", "/v1/servers/{id}/usage", Some(Act::UsageRead)),
    ("GET", "/v1/task-books", Some(Act::TaskBookRead)),
    ("POST", "/v1/task-books", Some(Act::TaskBookImport)),
    ("GET", "/v1/task-books/{id}", Some(Act::TaskBookRead)),
    ("POST", "/v1/task-books/{id}/revoke", Some(Act::TaskBookRevoke)),
    ("GET", "/v1/usage", Some(Act::UsageRead)),
    ("GET", "/v1/usage/advice", Some(Act::VerdictRead)),
    ("POST", "/v1/usage/import", Some(Act::UsageImport)),
    ("GET", "/v1/verdicts", Some(Act::VerdictRead)),
    ("GET", "/v1/zombie-findings", Some(Act::ZombieRead)),
    ("GET", "/v1/zombie-findings/{id}", Some(Act::ZombieRead)),
    ("POST", "/v1/zombie-findings/{id}/ask", Some(Act::ZombieAsk)),
    ("POST", "/v1/zombie-findings/{id}/confirm", Some(Act::ZombieConfirm)),
    ("POST", "/v1/zombie-findings/{id}/dismiss", Some(Act::ZombieDismiss)),
    ("POST", "/v1/zombie-findings/{id}/exempt", Some(Act::ZombieExempt)),
    ("POST", "/v1/zombie-findings/{id}/file", Some(Act::ZombieFile)),
    ("POST", "/v1/zombie-findings/{id}/reply", Some(Act::ZombieReply)),
    ("GET", "/v1/zombie-findings/{id}/sheet", Some(Act::ZombieRead)),
    ("GET", "/v1/usage-sources", Some(Act::UsageSourceRead)),
    ("GET", "/v1/deadlines", Some(Act::DeadlineRead)),
    ("POST", "/v1/deadlines/{id}/meet", Some(Act::DeadlineMeet)),
    ("GET", "/v1/reports/rooms", Some(Act::ReportRead)),
    ("GET", "/v1/rooms", Some(Act::RoomRead)),
    ("GET", "/v1/rooms/export", Some(Act::RoomRead)),
    ("POST", "/v1/rooms/import", Some(Act::RoomImport)),
    ("GET", "/v1/rooms/{id}", Some(Act::RoomRead)),
    ("POST", "/v1/rooms/{id}/record", Some(Act::RoomRecord)),
    ("POST", "/v1/rooms/{id}/reopen", Some(Act::RoomReopen)),
    ("POST", "/v1/rooms/{id}/sign", Some(Act::RoomSign)),
    ("POST", "/v1/systems/{id}/advance", Some(Act::SystemAdvance)),
    ("POST", "/v1/systems/{id}/decide", Some(Act::SystemDecide)),
    ("POST", "/v1/systems/{id}/exempt", Some(Act::SystemExempt)),
    ("GET", "/v1/systems/{id}/move", Some(Act::SystemRead)),
    ("POST", "/v1/systems/{id}/request", Some(Act::SystemRequest)),
    ("GET", "/v1/waves", Some(Act::WaveRead)),
    ("POST", "/v1/waves", Some(Act::WaveCreate)),
    ("GET", "/v1/waves/{id}", Some(Act::WaveRead)),
    ("PATCH", "/v1/waves/{id}", Some(Act::WaveChange)),
    ("GET", "/v1/waves/{id}/check", Some(Act::WaveRead)),
    ("POST", "/v1/waves/{id}/delete", Some(Act::WaveDelete)),
    ("GET", "/v1/blackouts", Some(Act::BlackoutRead)),
    ("POST", "/v1/blackouts", Some(Act::BlackoutCreate)),
    ("POST", "/v1/blackouts/{id}/delete", Some(Act::BlackoutDelete)),
];

/// Whether there is a route for this.
pub(super) fn is_served(method: &str, path: &str) -> bool {
    ACTS.iter().any(|(served, route, _)| *served == method && *route == path)
}

/// Says of each route which act it is. One that has no row says nothing, which a test does not let pass.
pub(super) fn note(document: &mut OpenApi) {
    for (method, path, act) in ACTS {
        let Some(operation) = document.paths.paths.get_mut(*path).and_then(|item| operation(item, method)) else {
            continue;
        };
        let word = act.map_or("open", Act::word);
        let note = ExtensionsBuilder::new().add("x-act", word).build();
        match &mut operation.extensions {
            Some(extensions) => extensions.merge(note),
            none => *none = Some(note),
        }
    }
}

fn operation<'a>(item: &'a mut PathItem, method: &str) -> Option<&'a mut Operation> {
    match method {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PATCH" => item.patch.as_mut(),
        _ => None,
    }
}
