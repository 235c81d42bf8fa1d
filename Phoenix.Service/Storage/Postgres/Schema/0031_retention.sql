-- When a partition last received rows, as the retention job has seen it: data that came late are kept for a while although their time has passed.
CREATE TABLE partition_activity (
    leaf       text        PRIMARY KEY,
    inserted   bigint      NOT NULL,   -- pg_stat_get_tuples_inserted
    changed_at timestamptz NOT NULL
);
