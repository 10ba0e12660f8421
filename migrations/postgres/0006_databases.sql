-- The catalogue's key of the database that an image has in it.
alter table images add column database text;

-- Passwords that have been made and not yet handed over, sealed; the key lies in a file outside (secret_key_file).
create table machine_secrets (
    machine_id text primary key references machines (id),
    key_id text not null,
    sealed text not null,
    made_at bigint not null
);
