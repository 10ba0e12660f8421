-- 政务信息系统, as their departments record them.
create table systems (
    id text primary key,
    department_id text not null references departments (id),
    name text not null,
    purpose text not null,
    -- Null where nobody has said so; nothing is concluded from that.
    scope text check (scope in ('office', 'department', 'district', 'public')),
    frequency text check (frequency in ('daily', 'weekly', 'monthly', 'yearly', 'rarely')),
    last_updated_on text,
    maintained_until text,
    last_login_on text,
    replaced_by text,
    recorded_by text not null,
    recorded_at bigint not null,
    created_at bigint not null,
    revision bigint not null default 1,
    unique (department_id, name)
);
create index systems_by_department on systems (department_id, id);
create index systems_by_name on systems (name, id);

-- Whose a machine is where somebody has said so; without a system: somebody has said that it is none's. A machine without
-- a row belongs to the system that is named as the project which it was asked for.
create table system_machines (
    machine_id text primary key references machines (id),
    system_id text references systems (id),
    set_by text not null,
    set_at bigint not null
);
create index system_machines_by_system on system_machines (system_id);

-- 僵尸系统: what was found of a system, what its owner and the authority say, and what came of it.
create table zombie_findings (
    id text primary key,
    system_id text not null references systems (id),
    department_id text not null references departments (id),
    state text not null check (state in ('suspected', 'asked', 'answered', 'objected', 'confirmed', 'filed',
        'dismissed', 'exempt')),
    -- JSON, each as of the act that wrote it.
    judgement text not null,
    question text,
    answer text,
    exemption text,
    decision text,
    filing text,
    created_at bigint not null,
    updated_at bigint not null,
    revision bigint not null default 1,
    -- An exemption without an end is none.
    check (state <> 'exempt' or exemption is not null)
);
-- A system has one open finding at most.
create unique index zombie_findings_open on zombie_findings (system_id) where state not in ('filed', 'dismissed');
create index zombie_findings_by_system on zombie_findings (system_id, id);
create index zombie_findings_by_department on zombie_findings (department_id, id);
create index zombie_findings_by_state on zombie_findings (state, id);
