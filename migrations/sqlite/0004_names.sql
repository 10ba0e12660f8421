-- Names in a district's DNS: one row per machine whose name stands below a zone that has a server in the settings.
create table names (
    machine_id text primary key references machines (id),
    department_id text not null references departments (id),
    -- Part of the mark that stands beside the name.
    operation_id text not null,
    fqdn text not null,
    address text not null,
    zone text not null,
    server text not null,
    state text not null check (state in ('pending', 'registered', 'refused_key', 'refused', 'taken', 'removing',
        'removal_refused', 'removed')),
    reason text,
    attempts bigint not null default 0,
    next_try bigint not null default 0,
    -- 0 when nobody holds it; a holder that died has left its time.
    lease_until bigint not null default 0,
    -- Until then an update that got no answer may still be carried out.
    open_until bigint not null default 0,
    epoch bigint not null default 0,
    created_at bigint not null,
    updated_at bigint not null
);
-- A name is one machine's; the next may want it while it is still being removed for the last.
create unique index names_fqdn on names (fqdn) where state not in ('removing', 'removal_refused', 'removed');
create index names_by_fqdn on names (fqdn);
create index names_open on names (next_try) where state not in ('registered', 'removed');
