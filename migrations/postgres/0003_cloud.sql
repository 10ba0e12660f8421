-- Placement ---------------------------------------------------------------------------------------------------------
-- The highest MLPS level (等保级别) that a host may carry; hosts from before it was asked carry all of them.
alter table hosts add column mlps_level bigint not null default 4 check (mlps_level between 1 and 4);

-- Images known to lie on a host: a machine can be built there though the broker has no copy to send.
create table host_images (
    host_id text not null references hosts (id),
    sha256 text not null references images (sha256),
    primary key (host_id, sha256)
);
