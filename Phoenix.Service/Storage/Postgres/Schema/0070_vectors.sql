-- Vectors of spans of kind EMBEDDING. The column "embedding" is added when the server has the extension vector (Vectors/SpanVectors.cs); until then both tables stay empty.
CREATE TABLE span_vectors (
    project_id integer  NOT NULL,
    start_ns   bigint   NOT NULL,      -- of the span
    trace_id   uuid     NOT NULL,
    span_id    bigint   NOT NULL,
    position   integer  NOT NULL,      -- N of embedding.embeddings.N
    text       text,
    PRIMARY KEY (project_id, start_ns, trace_id, span_id, position)
);

-- Parts of traces whose vectors are still to be copied; written with their spans, and removed with the transaction that copies.
CREATE TABLE vector_pending (
    project_id integer NOT NULL,
    trace_id   uuid    NOT NULL,
    start_ns   bigint  NOT NULL,       -- first and last start of the spans
    last_ns    bigint  NOT NULL
);
