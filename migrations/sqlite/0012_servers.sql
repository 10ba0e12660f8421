-- Legacy servers: whose they are, and where they are measured.
create table servers (
    id text primary key,
    department_id text not null references departments (id),
    name text not null,
    cores bigint,
    memory_bytes bigint,
    -- The name of a source in the settings, and what the source calls the server.
    source text,
    instance text,
    created_at bigint not null,
    revision bigint not null default 1,
    unique (department_id, name),
    unique (source, instance),
    check ((source is null) = (instance is null))
);
create index servers_by_name on servers (name, id);
create index servers_by_department on servers (department_id, id);
