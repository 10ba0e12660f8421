-- Sixteen days in one row: a window over many machines reads a tenth of the rows. (Of the days that were kept one by one there
-- is no release; what a machine's day under way holds stays.)
drop table usage_days;
create table usage_days (
    subject_id text not null,
    -- The first of them, a multiple of sixteen, in days since 1970-01-01 as the district counts days.
    day bigint not null,
    -- Those of them that are over.
    data blob not null,
    primary key (subject_id, day)
) without rowid;
