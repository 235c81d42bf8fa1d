-- One index serves both "this session" and "this session in this project".
ALTER TABLE sessions DROP CONSTRAINT sessions_pkey, ADD PRIMARY KEY (session_id, project_id);
DROP INDEX sessions_session_id_idx;

-- Every transaction that stores rows calls it: planning its two statements anew took longer than running them.
ALTER FUNCTION hold_projects(integer[]) SET plan_cache_mode = force_generic_plan;
