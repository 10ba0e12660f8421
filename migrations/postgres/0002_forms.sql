-- Other bases than a task book (150号 第十三、十四条), and how long machines may be used.
alter table task_books add column basis text not null default 'task_book' check (basis in ('task_book', 'urgent', 'upper_level'));
alter table task_books add column lease_until text;

-- What was handed in, byte for byte: each of its blocks became one request.
create table submissions (
    id text primary key,
    department_id text not null references departments (id),
    name text not null,
    media_type text not null,
    size_bytes bigint not null,
    sha256 text not null,
    content bytea not null,
    -- The report as it was read from the file, and where each value stood.
    report text not null,
    submitted_by text not null references people (id),
    submitted_at bigint not null
);

alter table requests add column submission_id text references submissions (id);
alter table requests add column block_number bigint not null default 1;
-- What makes two requests the same need.
alter table requests add column likeness text;
create index requests_by_submission on requests (submission_id);
create index requests_by_likeness on requests (department_id, likeness);
-- One waiting request per need.
create unique index requests_likeness on requests (department_id, likeness) where state = 'submitted';
