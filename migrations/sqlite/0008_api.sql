-- Calls that their senders may repeat: what was done under which key, written by the act itself, and the answer that was
-- given. Rows older than a day are swept away.
create table calls (
    person_id text not null references people (id),
    key text not null,
    -- Of two that come at once, whose row it is.
    call_id text not null,
    -- SHA-256 of method, path, query, content type and body.
    digest text not null,
    made_at bigint not null,
    -- The answer; null until it has been given, and where it may not be kept.
    status bigint,
    content_type text,
    location text,
    body text,
    primary key (person_id, key)
);
create index calls_by_time on calls (made_at);

-- Partial updates say which version they start from.
alter table departments add column revision bigint not null default 1;
alter table hosts add column revision bigint not null default 1;
alter table machines add column revision bigint not null default 1;

-- A list of any length begins as fast as a short one, in each of its orders and by each of its filters.
create index machines_by_name on machines (name, id);
create index machines_by_lease_end on machines (lease_end, id);
create index machines_by_state on machines (state, id);
create index machines_by_host on machines (host_id, id);
create index machines_by_zone on machines (zone, id);
create index machines_by_department_name on machines (department_id, name, id);
create index requests_by_state on requests (state, id);
create index requests_by_task_book on requests (task_book_id, id);
create index operations_by_state on operations (state, id);
create index operations_by_kind on operations (kind, id);
create index operations_by_request on operations (request_id, id);
create index operations_by_machine on operations (machine_id, id);
create index task_books_by_department on task_books (department_id, id);
create index audit_by_department on audit (department_id, seq);
create index audit_by_action on audit (action, seq);
create index audit_by_person on audit (person, seq);
create index audit_by_trace on audit (trace_id, seq);

-- The writer is alone: records are in the order of their numbers.
alter table audit add column transaction_id bigint not null default 0;
create index audit_by_transaction on audit (transaction_id, seq);
