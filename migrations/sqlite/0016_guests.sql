-- What a machine's guest has told last, through the agent in it: who is logged in, its filesystems, its addresses.
create table usage_guests (
    subject_id text primary key,
    -- The instant of the look that it was kept at, in microseconds.
    told_at bigint not null,
    told text not null
);
