-- Usage that /metrics counted although it is reported twice: the outer call came before its inner one. A counter cannot shrink, so it is held against what
-- the same model uses next, whichever replica counts that. Empty most of the time.
CREATE TABLE usage_owed (
    llm_model         text   NOT NULL,
    llm_provider      text   NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost_pico_usd     bigint NOT NULL,
    PRIMARY KEY (llm_model, llm_provider)
);
