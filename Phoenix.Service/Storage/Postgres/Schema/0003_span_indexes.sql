-- Indexes of the telemetry partitions; every leaf gets the same ones.

-- Identity of a span. Grows at its right edge, and serves "newest in project".
ALTER TABLE spans ADD UNIQUE (project_id, start_ns, trace_id, span_id);
CREATE INDEX ON spans (trace_id);
CREATE INDEX ON spans (llm_model, start_ns) WHERE llm_model IS NOT NULL;
CREATE INDEX ON spans (status, (end_ns - start_ns)) WHERE status = 2;

-- An identity column is not inherited by leaves before PostgreSQL 17; a sequence as default is. Cached, because every row takes one.
CREATE SEQUENCE log_ids CACHE 256;
ALTER TABLE logs ALTER COLUMN id DROP IDENTITY;
ALTER TABLE logs ALTER COLUMN id SET DEFAULT nextval('log_ids');

-- Large attributes are compressed by lz4 where the server has it: pglz costs several times its CPU.
DO $$
BEGIN
    ALTER TABLE spans ALTER COLUMN attributes SET COMPRESSION lz4, ALTER COLUMN derived SET COMPRESSION lz4, ALTER COLUMN events SET COMPRESSION lz4;
    ALTER TABLE logs ALTER COLUMN body SET COMPRESSION lz4, ALTER COLUMN attributes SET COMPRESSION lz4;
    ALTER TABLE spans_default ALTER COLUMN attributes SET COMPRESSION lz4, ALTER COLUMN derived SET COMPRESSION lz4, ALTER COLUMN events SET COMPRESSION lz4;
    ALTER TABLE logs_default ALTER COLUMN body SET COMPRESSION lz4, ALTER COLUMN attributes SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value OR syntax_error THEN
    RAISE NOTICE 'lz4 is not available, pglz stays';
END $$;
