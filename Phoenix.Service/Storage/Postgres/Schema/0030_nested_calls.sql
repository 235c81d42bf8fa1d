-- An LLM span under another LLM span often reports the same call again; then the outer one must not be summed (docs/conventions.md, Tokens). Who lies under
-- whom may only show when the last span has come, so the roll-ups look at a trace again when these three say that one of its LLM spans has children:
-- how many LLM spans have usage, one bit for each of them by its id, and one bit for each parent that is such a span or was not in the same request.
ALTER TABLE trace_deltas_0 ADD COLUMN llm_calls bigint NOT NULL DEFAULT 0, ADD COLUMN llm_mask bigint NOT NULL DEFAULT 0, ADD COLUMN open_mask bigint NOT NULL DEFAULT 0;
ALTER TABLE trace_deltas_1 ADD COLUMN llm_calls bigint NOT NULL DEFAULT 0, ADD COLUMN llm_mask bigint NOT NULL DEFAULT 0, ADD COLUMN open_mask bigint NOT NULL DEFAULT 0;
ALTER TABLE traces ADD COLUMN llm_calls bigint NOT NULL DEFAULT 0, ADD COLUMN llm_mask bigint NOT NULL DEFAULT 0, ADD COLUMN open_mask bigint NOT NULL DEFAULT 0;

-- Traces to look at again.
CREATE TABLE nested_suspects (
    trace_id   uuid    NOT NULL,
    project_id integer NOT NULL,
    PRIMARY KEY (trace_id, project_id)
);

-- Spans that were found to repeat the calls below them, with what was taken out of the sums for them.
CREATE TABLE uncounted_calls (
    trace_id          uuid     NOT NULL,
    project_id        integer  NOT NULL,
    span_id           bigint   NOT NULL,
    start_ns          bigint   NOT NULL,
    llm_model         text     NOT NULL,
    llm_provider      text     NOT NULL,
    status            smallint NOT NULL,
    prompt_tokens     bigint   NOT NULL,
    completion_tokens bigint   NOT NULL,
    cost_pico_usd     bigint   NOT NULL,
    PRIMARY KEY (trace_id, project_id, span_id, start_ns)
);
