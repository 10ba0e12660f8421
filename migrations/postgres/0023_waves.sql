-- 迁移批次. Written under the survey's revision (`estate`), as everything that is decided on the survey.
create table waves (
    id text primary key,
    name text not null unique,
    -- The days of the cutover, both of them in it.
    day_from text not null,
    day_to text not null,
    note text,
    created_at bigint not null,
    check (day_from <= day_to)
);

-- What moves in a wave. That a system stands in two is a conflict that is named, so it can stand here.
create table wave_systems (
    wave_id text not null references waves (id),
    system_id text not null references systems (id),
    -- 升级、改造、续建、运维, and its day.
    node text,
    node_on text,
    primary key (wave_id, system_id)
);

-- 封网期: days on which nothing is cut over. Without a department it is the whole district's.
create table blackouts (
    id text primary key,
    department_id text references departments (id),
    day_from text not null,
    day_to text not null,
    reason text not null,
    created_by text not null,
    created_at bigint not null,
    check (day_from <= day_to)
);

-- Which request was made for which server of which system, and what its size rests on. Asked again, the round is the next
-- one; two who ask at once come to the same round, of which there is one.
create table system_requests (
    request_id text not null references requests (id),
    system_id text not null references systems (id),
    server_id text not null references servers (id),
    round bigint not null,
    -- JSON.
    sizes text not null,
    created_at bigint not null,
    primary key (system_id, server_id, round)
);
create index system_requests_by_request on system_requests (request_id);
