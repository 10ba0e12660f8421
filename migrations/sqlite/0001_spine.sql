-- Instants are bigint microseconds since the epoch; dates are ISO text; flags are 0 or 1; sizes are bytes.
create table departments (
    id text primary key,
    code text not null unique,
    name text not null unique,
    created_at bigint not null
);

create table people (
    id text primary key,
    login text not null unique,
    name text not null,
    created_at bigint not null
);

create table tokens (
    id text primary key,
    secret_hash text not null unique,
    person_id text not null references people (id),
    unit text not null,
    role text not null check (role in ('requester', 'authority', 'operator', 'auditor')),
    department_id text references departments (id),
    created_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint,
    check ((role = 'requester') = (department_id is not null))
);

create table task_books (
    id text primary key,
    number text not null unique,
    version bigint not null check (version >= 1),
    department_id text not null references departments (id),
    project_code text not null,
    project_name text not null,
    valid_from text not null,
    valid_until text not null,
    allowed text not null,
    revoked_at bigint,
    revoked_reason text,
    limit_machines bigint not null,
    limit_vcpu bigint not null,
    limit_memory_bytes bigint not null,
    limit_disk_bytes bigint not null,
    used_machines bigint not null default 0,
    used_vcpu bigint not null default 0,
    used_memory_bytes bigint not null default 0,
    used_disk_bytes bigint not null default 0,
    created_at bigint not null,
    updated_at bigint not null,
    constraint quota_machines check (used_machines between 0 and limit_machines),
    constraint quota_vcpu check (used_vcpu between 0 and limit_vcpu),
    constraint quota_memory check (used_memory_bytes between 0 and limit_memory_bytes),
    constraint quota_disk check (used_disk_bytes between 0 and limit_disk_bytes)
);

create table task_book_versions (
    task_book_id text not null references task_books (id),
    version bigint not null,
    document text not null,
    digest text not null,
    imported_by text not null,
    imported_at bigint not null,
    primary key (task_book_id, version)
);

create table hosts (
    id text primary key,
    name text not null unique,
    provider text not null check (provider in ('libvirt', 'simulated')),
    uri text not null,
    pool text not null,
    pool_path text not null,
    domain_type text not null,
    state text not null check (state in ('active', 'cordoned')),
    limit_vcpu bigint not null,
    limit_memory_bytes bigint not null,
    limit_disk_bytes bigint not null,
    used_vcpu bigint not null default 0,
    used_memory_bytes bigint not null default 0,
    used_disk_bytes bigint not null default 0,
    created_at bigint not null,
    constraint host_vcpu check (used_vcpu between 0 and limit_vcpu),
    constraint host_memory check (used_memory_bytes between 0 and limit_memory_bytes),
    constraint host_disk check (used_disk_bytes between 0 and limit_disk_bytes)
);

create table host_networks (
    id text primary key,
    host_id text not null references hosts (id),
    zone text not null,
    network text not null,
    bridge text not null,
    cidr text not null,
    gateway text not null,
    unique (host_id, zone)
);

create table images (
    sha256 text primary key,
    name text not null unique,
    os_type text not null,
    stand_in bigint not null check (stand_in in (0, 1)),
    format text not null check (format in ('raw', 'qcow2')),
    size_bytes bigint not null,
    virtual_size_bytes bigint not null,
    path text not null,
    imported_at bigint not null
);

create table requests (
    id text primary key,
    department_id text not null references departments (id),
    task_book_id text not null references task_books (id),
    task_book_version bigint not null,
    state text not null,
    block text not null,
    digest text not null,
    domain text,
    submitted_by text not null references people (id),
    submitted_unit text not null,
    submitted_at bigint not null,
    decided_by text references people (id),
    decided_unit text,
    decided_at bigint,
    decision_reason text,
    operation_id text
);
create index requests_by_department on requests (department_id, id);
-- One open request per domain name; what is approved holds its names in claims.
create unique index requests_domain on requests (domain) where domain is not null and state = 'submitted';

-- What one machine holds of everything that is scarce. compute (a machine, its vCPU and memory) and storage (disk, name,
-- address) are held apart: the recycle bin frees the first and keeps the second.
create table claims (
    machine_id text primary key,
    task_book_id text not null references task_books (id),
    host_id text not null references hosts (id),
    network_id text not null references host_networks (id),
    vcpu bigint not null check (vcpu > 0),
    memory_bytes bigint not null check (memory_bytes > 0),
    disk_bytes bigint not null check (disk_bytes > 0),
    address text not null,
    mac text not null,
    fqdn text,
    compute_held bigint not null check (compute_held in (0, 1)),
    storage_held bigint not null check (storage_held in (0, 1)),
    check (compute_held <= storage_held)
);
create unique index claims_address on claims (network_id, address) where storage_held = 1;
create unique index claims_fqdn on claims (fqdn) where storage_held = 1 and fqdn is not null;
create index claims_by_task_book on claims (task_book_id);
create index claims_by_host on claims (host_id);

create table machines (
    id text primary key,
    request_id text not null references requests (id),
    department_id text not null references departments (id),
    host_id text not null references hosts (id),
    ordinal bigint not null,
    name text not null,
    state text not null,
    intent text not null,
    image_sha256 text not null references images (sha256),
    zone text not null,
    lease_end text not null,
    contact text not null,
    operation_id text,
    created_at bigint not null,
    ready_at bigint,
    binned_at bigint,
    unique (request_id, ordinal)
);
create index machines_by_department on machines (department_id, id);
create unique index machines_name on machines (host_id, name) where state <> 'undone';

create table operations (
    id text primary key,
    kind text not null,
    department_id text not null references departments (id),
    request_id text,
    machine_id text,
    state text not null,
    cancel_reason text,
    reason text,
    steps_done bigint not null default 0,
    steps_total bigint not null,
    current_step text,
    trace_id text not null,
    started_by text not null,
    lease_owner text,
    lease_until bigint not null default 0,
    epoch bigint not null default 0,
    attempts bigint not null default 0,
    run_after bigint not null default 0,
    created_at bigint not null,
    finished_at bigint
);
create index operations_open on operations (run_after) where finished_at is null;
create index operations_by_department on operations (department_id, id);

create table audit (
    seq integer primary key autoincrement,
    id text not null unique,
    at bigint not null,
    person text not null,
    unit text not null,
    role text not null,
    token_id text,
    action text not null,
    object_type text not null,
    object_id text not null,
    department_id text,
    trace_id text not null,
    outcome text not null,
    detail text not null,
    build text not null
);
create index audit_by_object on audit (object_type, object_id);
create trigger audit_no_update before update on audit begin select raise(abort, 'audit records are never changed'); end;
create trigger audit_no_delete before delete on audit begin select raise(abort, 'audit records are never deleted'); end;
-- `insert or replace` deletes without firing the trigger above.
create trigger audit_no_replace before insert on audit when exists (select 1 from audit where id = new.id or seq = new.seq)
begin select raise(abort, 'audit records are never replaced'); end;
