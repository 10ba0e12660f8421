-- Clusters are hosts of another kind. The column is made anew, for its old bounds cannot be widened everywhere.
alter table hosts add column kind text not null default 'libvirt' check (kind in ('libvirt', 'simulated', 'kubevirt'));
update hosts set kind = provider;
alter table hosts drop column provider;
alter table hosts rename column kind to provider;
-- The address that a machine was last seen to have, where its place gives it another one at each start.
alter table machines add column address_seen text;
