-- What is known of a host beside what its operators want of it: whether it was heard of, and since when.
alter table hosts add column contact text not null default 'reachable' check (contact in ('reachable', 'unknown', 'fenced'));
alter table hosts add column contact_since bigint;
alter table hosts add column contact_reason text;
-- When the last full listing came back.
alter table hosts add column listed_at bigint;
alter table hosts add column draining bigint not null default 0 check (draining in (0, 1));
alter table hosts add column drain_total bigint not null default 0;
alter table hosts add column drain_started_at bigint;

-- The run of the domain that the broker knows of; another one that it did not start is an alarm. Null: learn it.
alter table machines add column run_id bigint;

-- What an operation is to reach beyond its kind: the size or the place that a machine is to have.
alter table operations add column plan text;

-- What a machine on its way holds at the place it goes to, until it has arrived.
create table journeys (
    machine_id text primary key references machines (id),
    operation_id text not null,
    host_id text not null references hosts (id),
    network_id text not null references host_networks (id),
    vcpu bigint not null check (vcpu >= 0),
    memory_bytes bigint not null check (memory_bytes >= 0),
    disk_bytes bigint not null check (disk_bytes >= 0)
);

-- Where what is seen on a host differs from what the broker knows.
create table alarms (
    id text primary key,
    host_id text not null references hosts (id),
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
create unique index alarms_open on alarms (host_id, kind, domain_id) where cleared_at is null;
create index alarms_by_machine on alarms (machine_id);

-- A network that hosts share has a segment's name; a machine keeps its address when it goes from one host to another.
alter table host_networks add column segment text;
alter table host_networks add column dns text;
-- The part of the range that machines may have; all of it where null.
alter table host_networks add column first_address text;
alter table host_networks add column last_address text;

-- Where an address is unique: the segment's name, or the network's id where a host has it for itself.
alter table claims add column address_pool text;
update claims set address_pool = network_id;
drop index claims_address;
create unique index claims_address on claims (address_pool, address) where storage_held = 1;

-- Why a machine could not be moved away from a host that is being drained.
alter table machines add column stuck_reason text;
