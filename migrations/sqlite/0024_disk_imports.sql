-- An old guest's disk on its way into a machine. What is under way is its operation; the state is what it has come to.
create table disk_imports (
    id text primary key,
    department_id text not null references departments (id),
    server_id text not null references servers (id),
    machine_id text not null references machines (id),
    -- The operation that last had it in its hands.
    operation_id text not null,
    -- A name of the settings', and the guest there.
    source_host text not null,
    domain_id text not null,
    domain_name text not null,
    disk_file text not null,
    disk_format text not null check (disk_format in ('raw', 'qcow2')),
    state text not null check (state in ('importing', 'moved', 'returning', 'returned', 'failed', 'finished')),
    -- The address that the machine has on the old disk, and the one that it was built with.
    address text not null,
    own_address text not null,
    -- How the old guest was found before anything was done to it; null until that is written down.
    was_running bigint check (was_running in (0, 1)),
    had_autostart bigint check (had_autostart in (0, 1)),
    -- How far its disk has been copied, of how much, and in which state it was when that began.
    file_bytes bigint not null,
    virtual_bytes bigint not null,
    written text not null,
    copied_bytes bigint not null default 0,
    -- All bytes that were ever sent: more than copied where something had to be sent twice.
    sent_bytes bigint not null default 0,
    -- The state of the digest at `copied_bytes`, so that what broke off is gone on with; hexadecimal.
    digest_state text,
    -- Of what was read, and of what was read back; the second only where it is the first.
    sha256 text,
    checked_at bigint,
    -- How often the copy was begun anew.
    begun bigint not null default 0,
    -- The guest answered after its first start on the cloud's host.
    answered bigint check (answered in (0, 1)),
    note text,
    evidence text,
    -- The disk that the machine was built with has been given up.
    own_disk_gone bigint not null default 0 check (own_disk_gone in (0, 1)),
    created_by text not null,
    created_at bigint not null,
    moved_at bigint,
    ended_at bigint
);
create index disk_imports_by_department on disk_imports (department_id, id);
create index disk_imports_by_state on disk_imports (state, id);
create index disk_imports_by_machine on disk_imports (machine_id, id);
create index disk_imports_by_server on disk_imports (server_id, id);
-- A guest goes one way at a time, and so does a machine.
create unique index disk_imports_guest on disk_imports (source_host, domain_id) where state in ('importing', 'moved', 'returning');
create unique index disk_imports_machine on disk_imports (machine_id) where state in ('importing', 'moved', 'returning');

-- Addresses that no machine has now and none may be given: a machine may come back to them.
create table kept_addresses (
    machine_id text primary key references machines (id),
    address_pool text not null,
    address text not null
);
