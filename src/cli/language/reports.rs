//! What commands about verdicts, advice and reports say, in their help.

pub const REPORTS: &[(&str, &str)] = &[
    (
        "闲置资源报告：谁闲置、多久、收回能省多少，证据和规格建议",
        "the idle report: who is idle, for how long, what reclaiming frees, evidence and sizing advice",
    ),
    (
        "-o 可以是 table、json、yaml、csv、xlsx。同一天的报告什么时候要都一样。",
        "-o may be table, json, yaml, csv, xlsx. The report of a day is the same whenever it is asked for.",
    ),
    ("jiyue report idle -o xlsx --to 闲置资源报告.xlsx", "jiyue report idle -o xlsx --to idle.xlsx"),
    ("jiyue report show ID -o xlsx --to 闲置资源报告.xlsx", "jiyue report show ID -o xlsx --to idle.xlsx"),
    ("列出每月自动生成、留存的报告", "list the reports that are made each month and kept"),
    ("只看截至这一天的", "only those as of this day"),
    ("取回一份留存的报告，一字节不差", "fetch a report that is kept, byte for byte"),
    ("写到这个文件，已有的不覆盖", "write to this file; one that is there is not overwritten"),
    ("截至哪一天，须已过完；默认是昨天", "as of which day, which has to be over; yesterday by default"),
    (
        "不经过服务，直接读本机的数据库（在服务器上运行）；什么都不写入",
        "read this machine's database without the service (on the server); nothing is written",
    ),
    (
        "判定：在用、低使用、闲置、无法判断、豁免，每台每天一条",
        "verdicts: busy, low, idle, unknown, exempt; one per machine and day",
    ),
    (
        "哪一天，须已过完；不给则所有判定过的日子",
        "which day, which has to be over; without it all days that were judged",
    ),
    ("busy、low、idle、unknown、exempt", "busy, low, idle, unknown, exempt"),
    ("只看可以回收的", "only those that may be reclaimed"),
    ("只看这一台", "only this machine"),
    (
        "规格建议：哪些该缩小、扩大，哪些从未使用",
        "sizing advice: which to make smaller or larger, which were never used",
    ),
    ("哪一天，须已过完；默认是昨天", "which day, which has to be over; yesterday by default"),
    (
        "同意收回：到期前，判为闲置就可以收回（建设单位）",
        "agree that the machine be taken back if it is judged idle, until a day (department)",
    ),
    ("到哪一天为止，最长一年", "until which day, a year at most"),
    ("撤回同意收回（建设单位）", "withdraw the agreement (department)"),
    (
        "jiyue machine agree-reclaim ID --until 2027-06-30 --reason 系统已停用",
        "jiyue machine agree-reclaim ID --until 2027-06-30 --reason retired",
    ),
    (
        "报告：闲置资源、机房关停进展、容量，随时要一份，或取回每月留存的",
        "reports: idle resources, the room board, capacity, on demand or as kept each month",
    ),
];
