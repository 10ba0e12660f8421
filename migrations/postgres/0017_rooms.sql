-- Where the survey of rooms, servers and systems stands: how often it has changed, and the day that what is written now
-- belongs to. The day never goes back, whatever a clock does: a day that somebody has been told of is over.
create table estate (
    id bigint primary key check (id = 1),
    revision bigint not null,
    day text not null
);
insert into estate (id, revision, day) values (1, 0, '0001-01-01');

-- 机房. What is known of each stands in `estate_versions`.
create table rooms (
    id text primary key,
    department_id text not null references departments (id),
    name text not null,
    created_at bigint not null,
    unique (department_id, name)
);

-- Each thing of the survey as it was from some change on. The newest row is how it is; the newest of a day how it was then.
create table estate_versions (
    kind text not null check (kind in ('room', 'server', 'system')),
    object_id text not null,
    revision bigint not null,
    day text not null,
    at bigint not null,
    standing text not null check (standing in ('pending', 'exempt', 'gone')),
    -- JSON.
    body text not null,
    primary key (kind, object_id, revision)
);
create index estate_versions_by_day on estate_versions (day);
-- What has been done of the dated register (台账). `period` is the year of what is due every year, else empty.
create table deadlines_met (
    deadline text not null,
    period text not null,
    day text not null,
    at bigint not null,
    evidence text not null,
    met_by text not null,
    unit text not null,
    primary key (deadline, period)
);
create function estate_is_final() returns trigger language plpgsql as $$
begin
    raise exception 'what was surveyed is never changed afterwards, nor does it disappear';
end $$;
create trigger estate_versions_no_change before update or delete or truncate on estate_versions
    for each statement execute function estate_is_final();
