-- What is measured. A subject is a machine of ours or a legacy server: the id of either.
create table usage_meters (
    subject_id text primary key,
    department_id text not null references departments (id),
    -- What is remembered between two readings, the day under way among it.
    state bytea not null,
    -- The instant of the last reading that was believed.
    last_at bigint,
    -- The day under way, in days since 1970-01-01.
    open_day bigint
);
create index usage_meters_open on usage_meters (open_day) where open_day is not null;

-- One row per subject and day that is over.
create table usage_days (
    subject_id text not null,
    -- In days since 1970-01-01, as the district counts days.
    day bigint not null,
    data bytea not null,
    primary key (subject_id, day)
);

-- One row per host or source that is read: whoever moves due_at on reads it this time, so that of many brokers one does.
create table usage_rounds (
    -- A host's id, or `source/` and the name of a source in the settings.
    origin text primary key,
    due_at bigint not null,
    -- The last round of which something came.
    collected_at bigint,
    -- Why some or all of the last round came to nothing, as a word and as a sentence; null when nothing was amiss.
    failure_code text,
    failure text,
    -- Machines and servers that the last round measured; null when nothing at all came of it.
    measured bigint
);
