-- What each machine was as of a day that is over, with all that it rests on. Never changed: whoever asks again gets this.
create table usage_verdicts (
    id text primary key,
    subject_id text not null,
    -- As 2026-11-30.
    day text not null,
    department_id text not null references departments (id),
    verdict text not null check (verdict in ('busy', 'low', 'idle', 'unknown', 'exempt')),
    eligible bigint not null check (eligible in (0, 1)),
    rule_set text not null,
    rule_version bigint not null,
    evidence text not null,
    unique (subject_id, day)
);
create index usage_verdicts_by_day on usage_verdicts (day, id);
create index usage_verdicts_by_department on usage_verdicts (department_id, day, id);

-- Days of which every machine was judged; what was not there then is not added.
create table usage_verdict_days (
    day text primary key,
    judged_at bigint not null
);

-- What owners have agreed to: that a machine may be taken back, until a day.
create table reclaim_agreements (
    id text primary key,
    machine_id text not null references machines (id),
    agreed_on text not null,
    until text not null,
    reason text,
    agreed_by text not null,
    agreed_at bigint not null,
    withdrawn_on text,
    withdrawn_by text
);
create unique index reclaim_agreements_open on reclaim_agreements (machine_id) where withdrawn_on is null;

-- Reports that were made and are kept, byte for byte.
create table reports (
    id text primary key,
    kind text not null check (kind in ('idle')),
    -- As 2026-11-30.
    as_of text not null,
    -- Null: of all departments.
    department_id text references departments (id),
    made_at bigint not null,
    document text not null,
    csv bytea not null,
    xlsx bytea not null
);
create unique index reports_once on reports (kind, as_of, coalesce(department_id, ''));
create index reports_by_department on reports (department_id, id);
