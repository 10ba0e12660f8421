-- Images on their way to a host: one row for each that was ever to go there.
create table image_transfers (
    host_id text not null references hosts (id),
    sha256 text not null references images (sha256),
    state text not null check (state in ('waiting', 'sending', 'present', 'failed')),
    percent bigint not null default 0 check (percent between 0 and 100),
    reason text,
    attempts bigint not null default 0,
    next_try bigint not null default 0,
    -- 0 when nobody holds it; a holder that died has left its time.
    lease_until bigint not null default 0,
    epoch bigint not null default 0,
    updated_at bigint not null,
    primary key (host_id, sha256)
);
create index image_transfers_open on image_transfers (next_try) where state <> 'present';
