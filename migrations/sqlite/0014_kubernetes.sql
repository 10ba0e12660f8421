-- Work that one broker at a time does for all of them.
create table terms (
    work text primary key,
    owner text not null,
    lease_until bigint not null,
    epoch bigint not null,
    -- Counts what was written under it; a write that finds another epoch is none.
    writes bigint not null
);

-- The object of a cluster by which a request came. Its UID is the key: however often it is seen, and by however many
-- brokers, there is one request for it.
create table kube_requests (
    uid text primary key,
    namespace text not null,
    name text not null,
    department_id text not null references departments (id),
    request_id text not null references requests (id),
    -- The generation and the digest of its spec that the request was made of.
    generation bigint not null,
    spec_sha256 text not null,
    -- When a live read first said that it is to be deleted.
    deleting_at bigint,
    -- When it was let go: its machines are in the bin, or it had none.
    released_at bigint
);
create unique index kube_requests_request on kube_requests (request_id);
create index kube_requests_leaving on kube_requests (deleting_at) where deleting_at is not null and released_at is null;

-- An alarm may be about an object of a cluster, which is on no host.
create table alarms_anew (
    id text primary key,
    host_id text references hosts (id),
    kind text not null,
    domain_id text not null,
    name text not null,
    machine_id text,
    detail text not null,
    first_seen_at bigint not null,
    last_seen_at bigint not null,
    acknowledged_by text,
    acknowledged_at bigint,
    cleared_at bigint
);
insert into alarms_anew select id, host_id, kind, domain_id, name, machine_id, detail, first_seen_at, last_seen_at,
    acknowledged_by, acknowledged_at, cleared_at from alarms;
drop table alarms;
alter table alarms_anew rename to alarms;
create unique index alarms_open on alarms (coalesce(host_id, ''), kind, domain_id) where cleared_at is null;
create index alarms_by_machine on alarms (machine_id);
