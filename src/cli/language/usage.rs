//! The help of the commands about servers and about what is really used.

pub const USAGE: &[(&str, &str)] = &[
    (
        "把 Prometheus 规则与 Grafana 仪表盘写到一个目录（不需要服务）",
        "write the Prometheus rules and Grafana dashboards to a folder (needs no service)",
    ),
    (
        "实际用量：列出、逐日查看、导入，判定，规格建议",
        "what machines really use: list, day by day, import, verdicts, sizing advice",
    ),
    ("系统里的代理说的：文件系统", "Filesystems, as the agent in the guest tells"),
    ("挂载点", "Mount point"),
    ("容量", "Size"),
    ("登录着的", "Logged in"),
    ("系统里的地址", "Addresses in the guest"),
    ("导入历史用量（运维员）：CSV，可用 gzip 压缩", "import a history of usage (operators): CSV, gzip allowed"),
    ("CSV 文件", "CSV file"),
    ("采样间隔（秒）；默认从文件里看出来", "seconds between samples; read off the file by default"),
    (
        "首行是表头，列的次序不限：vm（虚拟机编号或名称）、ts（秒），以及 cores、cpu_percent、",
        "The first line names the columns, in any order: vm (a machine's id or name), ts (seconds), and some of cores, cpu_percent,",
    ),
    (
        "mem_percent 或 mem_capacity_kb 与 mem_used_kb、disk_read_kbps 与 disk_write_kbps、",
        "mem_percent or mem_capacity_kb with mem_used_kb, disk_read_kbps with disk_write_kbps,",
    ),
    ("net_rx_kbps、net_tx_kbps 中的若干列。", "net_rx_kbps, net_tx_kbps."),
    (
        "不可信的值逐个拒绝，指出行和列，其余照常计入；同一个文件再导入一次，什么也不会多出来。",
        "Values that cannot be believed are refused by line and column, the rest is taken; the same file once more adds nothing.",
    ),
    ("列出各虚拟机、服务器实际用了多少", "list what machines and servers really used"),
    ("一台虚拟机或服务器逐日用了多少", "what one machine or server used, day by day"),
    ("只看虚拟机 machine，或原有的服务器 server", "only virtual machines (machine) or legacy servers (server)"),
    ("原有的服务器：登记、列出、查看、修改", "legacy servers: register, list, show, change"),
    ("登记一台原有的服务器（运维员）", "register a legacy server (operator)"),
    (
        "jiyue server create 档案库旧服务器 --department education",
        "jiyue server create old-archive --department education",
    ),
    (
        "jiyue server create 档案库旧服务器 --department education --cores 8 --memory 32GiB --source room-1 --instance 10.2.0.7:9100",
        "jiyue server create old-archive --department education --cores 8 --memory 32GiB --source room-1 --instance 10.2.0.7:9100",
    ),
    ("名称，在本单位里不重复", "its name, unique within the department"),
    ("哪个建设单位的", "whose it is: the department"),
    ("列出原有的服务器", "list legacy servers"),
    ("只看由某个来源测量的", "only those that one source measures"),
    ("查看一台原有的服务器", "show a legacy server"),
    ("jiyue usage show ID      它逐日用了多少", "jiyue usage show ID      what it used, day by day"),
    ("改一台原有的服务器：名称、规格、在哪里测量", "change a legacy server: name, size, where it is measured"),
    ("jiyue server set ID --name 档案库旧服务器二号", "jiyue server set ID --name old-archive-2"),
    ("不再测量；已有的用量留着", "measure it no longer; what is known stays"),
    (
        "由哪个来源测量（服务设置里的 [[usage_source]]，见 jiyue usage sources）",
        "the source that measures it ([[usage_source]] in the service's settings; see jiyue usage sources)",
    ),
    ("来源里它叫什么，如 10.2.0.7:9100", "what the source calls it, as 10.2.0.7:9100"),
    (
        "覆盖率是有样本的时间占整段时间的百分比；没有样本的时间是不知道，不是闲置。",
        "Coverage is the percentage of the time that samples speak for; time without samples is unknown, not idle.",
    ),
    ("从哪一天起；默认是最后一天之前的 29 天", "the first day; 29 days before the last by default"),
    ("到哪一天为止，含这一天；默认是今天", "the last day; today by default"),
    (
        "用量来源（服务设置里的 [[usage_source]]）：最近一次问得怎样",
        "sources of usage ([[usage_source]] in the service's settings): how they were when last asked",
    ),
    (
        "从它的来源补读过去的用量；重复补读不改变什么（运维员）",
        "read its past use from its source; repeating it changes nothing (operator)",
    ),
    ("一次最多 92 天；今天由平台自己读。", "At most 92 days at a time; today is read by the service itself."),
    ("从哪一天起", "the first day"),
    ("到哪一天为止，含这一天", "the last day"),
    (
        "来源没有好好答复的，它的服务器就是不知道，不当作闲置。",
        "Servers of a source that does not answer well are unknown, not idle.",
    ),
];
