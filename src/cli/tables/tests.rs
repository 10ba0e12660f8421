#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{
    super::{
        format,
        language::{self, Language, tests::has_chinese},
        layout::{self, Paint},
    },
    Kind, READ, read_from,
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

/// One row of each kind as the API sends it, with Chinese of different lengths and gaps.
#[allow(clippy::too_many_lines, reason = "a list of one of each")]
fn samples(kind: Kind) -> Vec<Value> {
    let department = json!({"code": "edu", "name": "区教育局"});
    match kind {
        Kind::Department => vec![department, json!({"code": "development-reform", "name": "区发展和改革委员会"})],
        Kind::TaskBook => vec![
            json!({"id": "tb-1", "number": "相发改〔2026〕1号", "version": 2, "department": department,
                "project": {"code": "p1", "name": "智慧校园"}, "valid_from": "2026-01-01", "valid_until": "2026-12-31T16:00:00Z",
                "revoked_at": null, "indicators": [
                    {"dimension": "machines", "limit": 10, "used": 2, "free": 8},
                    {"dimension": "memory_bytes", "limit": 68_719_476_736_u64, "used": 1_610_612_736, "free": 67_108_864_000_u64}]}),
            json!({"number": "B"}),
        ],
        Kind::Host => vec![
            json!({"id": "h-1", "name": "node1", "provider": "libvirt", "uri": "qemu:///system", "domain_type": "qemu",
                "state": "active", "capacity": {"vcpu": 16, "memory_bytes": 17_179_869_184_u64, "disk_bytes": 1_099_511_627_776_u64},
                "used": {"vcpu": 2, "memory_bytes": 0, "disk_bytes": 0},
                "zones": [{"zone": "government_extranet", "network": "n", "cidr": "10.0.0.0/24", "gateway": "10.0.0.1"}]}),
            json!({"name": "二号机房三号宿主机", "state": "a_newer_state"}),
        ],
        Kind::Rule => vec![
            json!({"code": "basis_unclear", "field": "/basis", "sentence": "没有说明是每台的还是合计的。", "mend": "写明。",
                "document": null, "clause": null, "basis": "依据：平台规则", "jurisdiction": "平台", "in_force_from": "2026-11-21"}),
            json!({"code": "task_book_missing", "field": "/task_book", "basis": "相政办〔2018〕150号 第十五条"}),
        ],
        Kind::Image => {
            vec![json!({"sha256": "0123456789abcdef0123", "name": "小型替身", "os_type": "debian-12", "stand_in": true,
            "format": "qcow2", "size_bytes": 52_428_800, "virtual_size_bytes": 2_147_483_648_u64, "hosts_present": 1, "hosts_total": 2, "imported_at": "2026-11-21T01:00:00Z"})]
        }
        Kind::Request => vec![
            json!({"id": "019aa2c0-0000-7000-8000-000000000001", "state": "submitted", "department": department,
                "task_book": "相发改〔2026〕1号", "block": {"machines": 2, "zone": "government_extranet", "om_unit": {"name": "信息中心", "contact": "0512-1"}, "domain": "school.gov.cn", "remarks": "无",
                "memory_bytes": 4_294_967_296_u64, "zeta": [1, 2]}, "submitted_by": {"login": "li", "name": "李四"},
                "submitted_at": "2026-11-21T01:00:00Z",
                "machines": [{"id": "m-1", "name": "school", "fqdn": "school.gov.cn", "address": "10.0.0.2", "state": "running", "host": "node1"}]}),
            json!({"id": "2", "state": "a_newer_state", "submitted_by": "王五"}),
        ],
        Kind::Machine => vec![
            json!({"id": "m-1", "name": "school", "fqdn": "school.gov.cn", "state": "running", "host": "node1",
                "zone": "government_private", "address": "10.0.0.2", "mac": "52:54:00:00:00:01", "vcpu": 2, "memory_bytes": 4_294_967_296_u64,
                "disk_bytes": 42_949_672_960_u64, "image": "小型替身", "os_type": "debian-12", "stand_in": true,
                "request_id": "r", "department": department, "lease_end": "2027-11-21", "om_unit": "某某公司"}),
            json!({"id": "m-2", "name": "bad\u{1b}[31m\nname", "state": "undone"}),
        ],
        Kind::System => vec![
            json!({"id": "s-1", "name": "低保审批系统", "department": department, "purpose": "低保审批", "scope": "office",
                "frequency": "rarely", "last_updated_on": "2024-05-01", "maintained_until": null, "last_login_on": null,
                "replaced_by": "民政一体化平台", "recorded_by": "zhang", "recorded_at": "2026-11-21T01:00:00Z",
                "machines": [{"id": "m-1", "name": "school", "by": "project"}]}),
            json!({"id": "s-2", "name": "=1+1", "scope": "a_newer_scope"}),
        ],
        Kind::Zombie => vec![
            json!({"id": "z-1", "system_id": "s-1", "system_name": "低保审批系统", "department": department, "state": "asked",
                "judgement": {"on": "2026-11-21", "needed": 1, "criteria": [
                    {"criterion": "replaced", "text": "功能被其他系统替代", "basis": "相政办〔2018〕151号 二（二）具体要求5",
                        "outcome": "met", "confidence": "high", "evidence": [
                            {"source": "record", "on": "2026-11-20", "by": "zhang", "text": "登记为由“民政一体化平台”替代"}]},
                    {"criterion": "idle", "text": "长期处于空闲状态", "outcome": "unknown", "confidence": "low", "evidence": []}]},
                "question": {"due_on": "2026-12-06", "by": "wang", "unit": "区信息办", "at": "2026-11-21T01:00:00Z"},
                "answer": null, "exemption": null, "exemption_over": false, "decision": null, "filing": null}),
            json!({"id": "z-2", "state": "a_newer_state"}),
        ],
        Kind::Operation => vec![
            json!({"id": "op-1", "kind": "build", "state": "running", "percent": 33, "steps_done": 3, "steps_total": 9,
                "current_step": "disk", "reason": null, "created_at": "2026-11-21T01:00:00Z", "finished_at": null}),
        ],
        Kind::Alarm => vec![json!({"id": "a-1", "kind": "foreign", "host": "node1", "name": "挖矿", "domain_id": "x",
            "detail": "没有集约的标记", "first_seen_at": "2026-11-21T01:00:00Z", "acknowledged_by": null, "cleared_at": null})],
        Kind::Credentials => {
            vec![json!({"machine_id": "m-1", "engine": "postgresql", "address": "10.0.0.2", "port": 5432,
            "database": "school_db", "role": "school_db", "password": "abc"})]
        }
        Kind::Event => vec![json!({"specversion": "1.0", "id": "e-1", "source": "/jiyue", "type": "machine.delivered",
            "subject": "machines/m-1", "time": "2026-11-21T01:00:00Z", "data": {"a": 1}})],
        Kind::Audit => vec![json!({"seq": 14, "at": "2026-11-21T01:00:00Z", "person": "zhang", "unit": "区信息办",
            "role": "requester", "action": "machine.delete", "object_type": "machine", "object_id": "m-1", "outcome": "done"})],
        Kind::Verdict => vec![json!({"id": "v-1", "day": "2026-11-20", "subject": {"id": "m-1", "name": "school",
            "department": department}, "judgement": {"verdict": "idle", "eligibility": {"eligible": true, "reasons": []},
            "reasons": [{"code": "all_quiet", "sentence": "都没有使用迹象"}]}, "idle": {"since": "2026-08-01", "days": 112},
            "cause": null})],
        Kind::Advice => vec![json!({"id": "m-1", "name": "school", "department": department, "system": "智慧校园",
            "advice": {"change": "smaller", "resource": "memory", "from": 4_294_967_296_u64, "to": 1_073_741_824,
                "sentence": "近 31 天内存 P99 为 0.60 GiB"}})],
        Kind::Report => vec![json!({"id": "r-1", "kind": "idle", "as_of": "2026-10-31", "department": department,
            "made_at": "2026-11-01T01:00:00Z"})],
        Kind::Agreement => {
            vec![json!({"id": "g-1", "machine_id": "m-1", "agreed_on": "2026-11-21", "until": "2027-06-30",
            "reason": "停用", "withdrawn_on": null})]
        }
        Kind::Usage => vec![
            json!({"kind": "machine", "id": "m-1", "name": "school", "department_id": "d", "vcpu": 2, "memory_bytes": 4_294_967_296_u64,
                "usage": {"from": "2026-10-23", "to": "2026-11-21", "samples": 1440, "coverage_percent": 3.333,
                    "cpu_percent": {"mean": 1.25, "p50": 1.0, "p95": 4.0, "p99": 5.0, "max": 88.0}, "memory_percent": null,
                    "received_bytes": 1_048_576, "sent_bytes": 0},
                "days": [{"date": "2026-11-21", "samples": 1440, "coverage_percent": 100.0, "cpu_mean_percent": 1.25,
                    "cpu_max_percent": 88.0, "memory_mean_percent": null, "received_bytes": 1_048_576, "sent_bytes": 0}],
                "guest": {"told_at": "2026-11-21T08:00:00Z", "logins": ["root"], "addresses": ["10.66.0.7"],
                    "filesystems": [{"mountpoint": "/", "total_bytes": 21_474_836_480_u64, "used_bytes": 1_048_576}]}}),
        ],
        Kind::UsageImport => {
            vec![json!({"rows": 288, "subjects": 1, "points": 286, "days": 0, "interval_seconds": 300,
                "refused": [{"cause": "late", "column": "ts", "count": 2, "first_line": 7}],
                "first_refused": [{"line": 7, "column": "ts", "cause": "late"}], "unknown_names": ["fs1"]})]
        }
        Kind::Server => vec![json!({"id": "s-1", "name": "档案库旧服务器", "department": {"id": "d", "code": "mzj",
            "name": "区民政局"}, "cores": 8, "memory_bytes": 34_359_738_368_u64, "source": null, "instance": null,
            "created_at": "2026-11-21T01:00:00Z"})],
        Kind::UsageSource => vec![json!({"name": "room-1", "kind": "node_exporter", "state": "partial", "servers": 12,
            "measured": 11, "collected_at": "2026-11-21T01:00:00Z", "failure_code": "timed_out", "failure": "disk：没有按时答复"})],
        Kind::Room => vec![json!({"id": "r-1", "name": "老楼一号机房", "department": department, "kind": "ordinary",
            "standing": "pending", "evidence": null, "due_on": "2020-08-22", "basis": "相政办〔2018〕151号 二（一）具体要求3",
            "late_days": 2291, "systems_left": 2, "systems_all": 3, "gates": [
                {"gate": "systems_gone", "passed": false, "missing": ["还没有迁出的系统 2 个：甲、乙"]}],
            "blockers": [{"system": "乙", "department": department, "room": "二号机房", "own": false, "way": ["甲", "乙"]}]})],
        Kind::SurveyImport => {
            vec![json!({"applied": false, "digest": "ab12", "new": 1, "changed": 1, "same": 7, "absent_all": 2,
            "changes": [{"kind": "system", "department": "区教育局", "name": "甲", "new": false,
                "fields": [{"field": "用户规模", "from": "300", "to": "500"}]}],
            "notes": [{"place": {"sheet": "系统", "row": 5}, "column": "", "message": "是说明"}]})]
        }
        Kind::SystemMove => vec![json!({"id": "s-1", "name": "甲", "department": department, "room": "老楼一号机房",
            "standing": "pending", "stage": "decided", "difficulty": {"points": 9, "level": 3, "overruled": {"level": 4},
                "parts": [{"part": "os", "points": 4, "most": 4, "reason": "操作系统 2003"}]},
            "decision": {"disposition": "rebuild", "text": "架构过时"}, "needs": ["乙"], "waits_for": ["乙"], "goes_with": []})],
        Kind::Deadline => vec![json!({"id": "jiangsu-2017-5", "due_on": "2017-12-31", "overdue": true, "task": "清理",
            "owner": "各部门", "due": "2017年12月底前", "basis": "附件 第 5 项", "also": [{"clause": "二", "on": "2018-01-31"}], "met": null})],
        Kind::DiskImport => vec![json!({"id": "i-1", "domain": "oa-old", "domain_id": "u", "source_host": "room-1",
            "department": department, "state": "moved", "server_id": "s-1", "machine_id": "m-1", "address": "10.8.0.21",
            "format": "qcow2", "copied_bytes": 16_777_216, "file_bytes": 16_777_216, "sha256": "ab",
            "checked_at": "2026-11-21T01:00:00Z", "answered": true, "note": null, "evidence": null,
            "operation_id": "op-1", "moved_at": "2026-11-21T01:00:00Z", "ended_at": null})],
        Kind::Wave => {
            vec![json!({"id": "w-1", "name": "第一批", "window_from": "2027-03-05", "window_to": "2027-03-07",
            "note": null, "systems_all": 3, "systems_moved": 1, "check": {"passes": false, "conflicts": [{"level": "blocks",
                "code": "wave_blackout", "message": "窗口与封网期重叠。", "basis": "依据：平台规则"}], "zones": []}})]
        }
        Kind::WaveCheck => vec![json!({"passes": true, "conflicts": [], "zones": []})],
        Kind::Blackout => vec![json!({"id": "b-1", "department": department, "from": "2027-03-01", "to": "2027-03-15",
            "reason": "两会保障", "created_by": "ops"})],
        Kind::SystemRequests => {
            vec![json!({"system_id": "s-1", "dry_run": false, "made": true, "requests": [], "sizes": [],
            "lacking": []})]
        }
        Kind::Token => {
            vec![json!({"id": "t-1", "person": "zhang", "name": "张三", "unit": "区信息办", "role": "authority",
            "created_at": "2026-11-21T01:00:00Z"})]
        }
    }
}

fn beijing() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}

#[test]
fn every_line_of_every_table_is_as_wide_as_the_others() {
    for kind in Kind::ALL {
        let rows = samples(kind);
        let table = layout::grid(kind.columns(), &rows, &beijing(), Paint(false));
        let widths: Vec<_> = table.lines().map(|line| line.width()).collect();
        assert_eq!(widths.len(), rows.len() + 1, "{kind:?}: one line for each row");
        assert!(widths.windows(2).all(|two| two[0] == two[1]), "{kind:?}: {widths:?}\n{table}");
    }
}

#[test]
fn what_was_read_is_shown_with_its_place_in_the_order_of_the_file() {
    let answer = json!({
        "document": {"blocks": [{"memory": "16G", "remarks": "长".repeat(40)}], "storage_forecast": "3GB",
            "extra_hardware": [{"name": "高拍仪", "quantity": 3}], "om_unit": {"name": "信息中心"}},
        "places": {"/blocks/0": {"table": 2}, "/blocks/0/memory": {"section": "六.3", "table": 2, "row": 4, "column": 2},
            "/blocks/0/remarks": {"table": 2, "row": 6, "column": 1}, "/storage_forecast": {"section": "五.4", "paragraph": 9},
            "/extra_hardware/0/quantity": {"table": 3, "row": 2, "column": 3}, "/om_unit/name": {"sheet": "表一", "row": 1, "column": 2},
            "/om_period_months": {"paragraph": 12}},
    });
    let rows = read_from(&answer);
    insta::assert_snapshot!(layout::grid(&READ, &rows, &TimeZone::UTC, Paint(false)).trim_fmt(), @"
    栏目                           文件中写的                                                         位置
    数据存储量预测                 3GB                                                                五.4 第 9 段
    第 1 组 内存容量               16G                                                                六.3 表 2 第 4 行第 2 列
    第 1 组 备注                   长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长…  表 2 第 6 行第 1 列
    需额外采购的其他硬件设备（1）  3                                                                  表 3 第 2 行第 3 列
    运维单位                       信息中心                                                           工作表“表一”第 1 行第 2 列
    ");
}

#[test]
fn tables_read_well() {
    let mut all = String::new();
    for kind in Kind::ALL {
        all += &layout::grid(kind.columns(), &samples(kind), &beijing(), Paint(false)).trim_fmt();
        all += "\n\n";
    }
    insta::assert_snapshot!(all, @"
    代码                名称
    edu                 区教育局
    development-reform  区发展和改革委员会

    文号               版本  建设单位  项目      有效期                    虚拟机  CPU              内存  磁盘
    相发改〔2026〕1号     2  区教育局  智慧校园  2026-01-01 至 2027-01-01  2 / 10    -  1.5 GiB / 64 GiB     -
    B                     -  -         -         -                              -    -                 -     -

    名称                状态           类型     虚拟化     CPU          内存         磁盘  网络区域
    node1               可用           libvirt  qemu    2 / 16  0 B / 16 GiB  0 B / 1 TiB  政务外网
    二号机房三号宿主机  a_newer_state  -        -            -             -            -  -

    名称      操作系统   替身  格式   文件大小  磁盘大小  SHA-256       宿主机  导入时间
    小型替身  debian-12  是    qcow2    50 MiB     2 GiB  0123456789ab     1/2  2026-11-21 09:00

    编号                                  状态           建设单位  任务书             域名           台数  提交人  提交时间
    019aa2c0-0000-7000-8000-000000000001  待审批         区教育局  相发改〔2026〕1号  school.gov.cn     2  李四    2026-11-21 09:00
    2                                     a_newer_state  -         -                  -                 -  王五    -

    编号  名称           状态    地址      域名           规格                 系统               宿主机
    m-1   school         运行中  10.0.0.2  school.gov.cn  2 核 4 GiB / 40 GiB  debian-12（替身）  node1
    m-2   bad�[31m name  未建成  -         -              -                    -                  -

    编号  名称          建设单位  使用范围       使用频度  替代系统
    s-1   低保审批系统  区教育局  个别处室       几乎不用  民政一体化平台
    s-2   =1+1          -         a_newer_scope  -         -

    编号  信息系统      建设单位  状态           符合  答复期限    判定日期
    z-1   低保审批系统  区教育局  待单位答复      1/2  2026-12-06  2026-11-21
    z-2   -             -         a_newer_state     -  -           -

    编号  内容        状态          进度  开始时间          结束时间
    op-1  建设虚拟机  进行中  33%（3/9）  2026-11-21 09:00  -

    编号  登录名  姓名  单位      角色    建设单位  发放时间          到期时间
    t-1   zhang   张三  区信息办  审批人  -         2026-11-21 09:00  -

    代码               字段        依据                          生效日期
    basis_unclear      /basis      依据：平台规则                2026-11-21
    task_book_missing  /task_book  相政办〔2018〕150号 第十五条  -

    编号  种类      宿主机  虚拟机  说明            首次发现
    a-1   来历不明  node1   挖矿    没有集约的标记  2026-11-21 09:00

    虚拟机  地址      端口  数据库     角色       口令
    m-1     10.0.0.2  5432  school_db  school_db  abc

    时间              事件               对象          编号  来自
    2026-11-21 09:00  machine.delivered  machines/m-1  e-1   /jiyue

    序号  时间              登录名  单位      角色    动作            对象     编号  结果
      14  2026-11-21 09:00  zhang   区信息办  申请人  machine.delete  machine  m-1   done

    编号  名称    类型    样本数  覆盖率  CPU 平均  CPU P95  CPU 最高  内存 P95   接收  发送
    m-1   school  虚拟机    1440    3.3%      1.2%     4.0%     88.0%         -  1 MiB   0 B

    行数  机器数  计入样本  满日  采样间隔  不认识的名称
    288   1       286       0     300 s     fs1

    编号  名称            建设单位  CPU    内存  来源  实例  登记时间
    s-1   档案库旧服务器  区民政局    8  32 GiB  -     -     2026-11-21 09:00

    日期        编号  名称    建设单位  判定  闲置天数  可回收  原因
    2026-11-20  m-1   school  区教育局  闲置       112  可回收  都没有使用迹象

    编号  名称    建设单位  建议  资源           改为  依据
    m-1   school  区教育局  缩小  内存  4 GiB → 1 GiB  近 31 天内存 P99 为 0.60 GiB

    编号  截至        建设单位  生成时间
    r-1   2026-10-31  区教育局  2026-11-01 09:00

    虚拟机  同意于      到期        理由
    m-1     2026-11-21  2027-06-30  停用

    名称    类型           状态      服务器  已测  最近一次          原因
    room-1  node_exporter  缺一部分      12    11  2026-11-21 09:00  disk：没有按时答复

    编号  机房          建设单位  类型      状态    期限        逾期天数  待迁出
    r-1   老楼一号机房  区教育局  普通机房  待关停  2020-08-22      2291   2 / 3

    核对码  新增  变更  不变  未提到
    ab12       1     1     7       2

    编号  系统  建设单位  机房          进展      去向
    s-1   甲    区教育局  老楼一号机房  已定去向  重构

    编号            期限        逾期  工作任务  责任部门  另一日期         完成于
    jiangsu-2017-5  2017-12-31  逾期  清理      各部门    2018-01-31 (二)  -

    编号  旧机    源宿主机  状态            地址       已复制      共
    i-1   oa-old  room-1    已迁入，可退回  10.8.0.21  16 MiB  16 MiB

    编号  批次    窗口从      窗口到      已割接
    w-1   第一批  2027-03-05  2027-03-07   1 / 3

    可以排期
    可以

    编号  建设单位  封网从      封网到      原因      设置人
    b-1   区教育局  2027-03-01  2027-03-15  两会保障  ops

    系统编号  新提交
    s-1       新提交
    ");
}

#[test]
fn sheets_show_one_thing_whole() {
    let sheet = |kind| layout::sheet(kind, &samples(kind)[0], &beijing(), Paint(false), None);
    insta::assert_snapshot!(sheet(Kind::TaskBook), @"
    文号      相发改〔2026〕1号
    编号      tb-1
    版本      2
    建设单位  区教育局（edu）
    项目      智慧校园（p1）
    有效期    2026-01-01 至 2027-01-01

    控制指标
    指标       已用    上限      还剩
    虚拟机     2 台   10 台      8 台
    内存    1.5 GiB  64 GiB  62.5 GiB
    ");
    insta::assert_snapshot!(sheet(Kind::Request), @"
    编号      019aa2c0-0000-7000-8000-000000000001
    状态      待审批
    建设单位  区教育局（edu）
    任务书    相发改〔2026〕1号
    提交人    李四
    提交时间  2026-11-21 09:00

    申请内容
    申请虚拟机数量  2
    域名            school.gov.cn
    每台内存容量    4 GiB
    备注            无
    网络区域        政务外网
    运维单位        信息中心（0512-1）
    zeta            1、2

    虚拟机
    编号  名称    状态    地址      域名           宿主机
    m-1   school  运行中  10.0.0.2  school.gov.cn  node1
    ");
    insta::assert_snapshot!(sheet(Kind::Machine), @"
    名称      school
    编号      m-1
    状态      运行中
    域名      school.gov.cn
    地址      10.0.0.2
    MAC       52:54:00:00:00:01
    网络区域  政务专网
    规格      2 核 4 GiB / 40 GiB
    系统      debian-12（替身）
    镜像      小型替身
    宿主机    node1
    建设单位  区教育局
    申请      r
    租期至    2027-11-21
    运维单位  某某公司
    ");
}

#[test]
fn colour_changes_no_width() {
    let plain = layout::grid(Kind::Machine.columns(), &samples(Kind::Machine), &beijing(), Paint(false)).to_string();
    let coloured = layout::grid(Kind::Machine.columns(), &samples(Kind::Machine), &beijing(), Paint(true)).to_string();
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(format::clean_lines(&coloured), plain);
}

#[test]
fn an_empty_answer_breaks_nothing() {
    for kind in Kind::ALL {
        for odd in [json!({}), json!(null), json!([1]), json!({"indicators": 3, "zones": "x", "block": 1, "state": {}})]
        {
            layout::sheet(kind, &odd, &beijing(), Paint(false), Some(20));
            layout::grid(kind.columns(), &[odd], &beijing(), Paint(false)).to_string();
        }
    }
}

#[test]
fn tables_and_sheets_are_whole_in_english() {
    language::set(Language::English);
    for kind in Kind::ALL {
        let sections = kind.sections().iter().map(|(title, _, columns)| (Some(title), *columns));
        for (title, columns) in [(None, kind.columns()), (None, kind.sheet())].into_iter().chain(sections) {
            let titles = columns.iter().map(|column| language::tr(column.title));
            let titles = titles.chain(title.map(|title| language::tr(title)));
            let left: Vec<_> = titles.filter(|title| has_chinese(title)).collect();
            assert!(left.is_empty(), "{kind:?}: {left:?}");
        }
        assert!(!has_chinese(language::tr(kind.name())));
        let nothing = layout::grid(kind.columns(), &[json!({})], &beijing(), Paint(false)).trim_fmt();
        assert!(!has_chinese(&nothing), "{nothing}");
    }
    insta::assert_snapshot!(layout::grid(Kind::Machine.columns(), &samples(Kind::Machine), &beijing(), Paint(false)).trim_fmt(), @"
    ID   Name           State    Address   Domain name    Size                    System                Host
    m-1  school         running  10.0.0.2  school.gov.cn  2 cores 4 GiB / 40 GiB  debian-12 (stand-in)  node1
    m-2  bad�[31m name  undone   -         -              -                       -                     -
    ");
    insta::assert_snapshot!(layout::sheet(Kind::Request, &samples(Kind::Request)[0], &beijing(), Paint(false), None), @"
    ID            019aa2c0-0000-7000-8000-000000000001
    State         submitted
    Department    区教育局 (edu)
    Task book     相发改〔2026〕1号
    Submitted by  李四
    Submitted at  2026-11-21 09:00

    What is asked for
    Machines     2
    Domain name  school.gov.cn
    Memory each  4 GiB
    Remarks      无
    Zone         government extranet
    Operated by  信息中心 (0512-1)
    zeta         1, 2

    Machine
    ID   Name    State    Address   Domain name    Host
    m-1  school  running  10.0.0.2  school.gov.cn  node1
    ");
}
