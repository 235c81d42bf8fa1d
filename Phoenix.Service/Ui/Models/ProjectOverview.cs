using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Ui.Models;

/// <summary>A project in one line; latencies are null without traces.</summary>
public sealed record ProjectOverview(
    string Identifier, string Name, string? Description, long Traces, long Spans, long Errors, long PromptTokens,
    long CompletionTokens, long CostPicoUsd,
    long? LastNanos, double? P50Nanos, double? P99Nanos)
{
    /// <summary>How many traces there are, as far as they are counted.</summary>
    public string TracesText =>
        Traces > OverviewReader.MostTraces ? $"{Format.Count(OverviewReader.MostTraces)}+" : Format.Count(Traces);

    /// <summary>Prompt and completion.</summary>
    public long Tokens => BoundedSum.Add(PromptTokens, CompletionTokens);

    /// <summary>The two apart.</summary>
    public string TokensTitle => $"{Format.Count(PromptTokens)} prompt, {Format.Count(CompletionTokens)} completion";

    internal static ProjectOverview From(ProjectOverviewRow row) => new(
        Links.Identifier(row.Project.Id, row.Project.Name), row.Project.Name, row.Project.Description, row.Traces,
        row.Spans, row.Errors, row.PromptTokens,
        row.CompletionTokens, row.CostPicoUsd, row.LastNanos, row.P50Nanos, row.P99Nanos);
}
