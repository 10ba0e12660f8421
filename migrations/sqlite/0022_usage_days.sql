-- A row of days is as long as a page, and a table that keeps its rows in the tree of its key has four of them to a branch: what
-- looks for one climbs six. Rows apart from their key are found in three.
alter table usage_days rename to usage_days_before;
create table usage_days (
    subject_id text not null,
    -- The first of them, a multiple of sixteen, in days since 1970-01-01 as the district counts days.
    day bigint not null,
    -- Those of them that are over.
    data blob not null,
    unique (subject_id, day)
);
insert into usage_days (subject_id, day, data) select subject_id, day, data from usage_days_before order by subject_id, day;
drop table usage_days_before;
