namespace Phoenix.Service.Storage;

/// <summary>The COPY column list of table <c>spans</c>, in the order of 0001_telemetry.sql.</summary>
internal static class SpanColumns
{
    /// <summary>How many columns a row has.</summary>
    public const short Count = 26;

    /// <summary>The column names, comma separated.</summary>
    public const string List =
        "project_id, trace_id, span_id, parent_id, start_ns, end_ns, name, kind, span_kind, status, status_message, resource_id, scope_id, "
            +
        "session_id, user_id, llm_model, llm_provider, prompt_tokens, completion_tokens, cost_pico_usd, attributes, derived, events, links, " +
        "trace_state, extra";
}
