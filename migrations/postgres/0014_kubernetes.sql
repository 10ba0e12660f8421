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
alter table alarms alter column host_id drop not null;
drop index alarms_open;
create unique index alarms_open on alarms (coalesce(host_id, ''), kind, domain_id) where cleared_at is null;
