using System.Text.Json.Nodes;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui.Models;

/// <summary>What a troubleshooting run of MATS says of itself, and the span that says it.</summary>
public sealed record InvestigationFacts(string SpanId, IReadOnlyList<(string Label, string Value)> Facts);

/// <summary>The header of a trace, summed over the spans shown. Tokens and cost count LLM spans alone, and
/// of those that report one call only the innermost: wrappers repeat what their calls report.</summary>
public sealed record TraceFacts(
    string Name, int Errors, string? FirstErrorId, string? FirstErrorName, int Calls, long PromptTokens,
    long CompletionTokens, long? CostPicoUsd,
    IReadOnlyList<string> Services, IReadOnlyList<string> Models, string? SessionId, string? UserId, InvestigationFacts? Investigation)
{
    private const int MostNames = 8;
    private const string ResponseKey = "gen_ai.response.id";

    private static readonly (string Key, string Label)[] s_investigationKeys =
        [("rca.status", "status"), ("incident.id", "incident"), ("target.service_id", "service"), ("evaluation.score", "score")];

    /// <summary>Prompt and completion.</summary>
    public long Tokens => BoundedSum.Add(PromptTokens, CompletionTokens);

    /// <summary>The two apart.</summary>
    public string TokensNote => $"{Format.Count(PromptTokens)} in · {Format.Count(CompletionTokens)} out";

    /// <summary>The row with those of its attributes alone that <see cref="From"/> reads.</summary>
    internal static SpanRow Trim(SpanRow row)
    {
        // A cheap look first: hardly any span has one of them.
        var keys = s_investigationKeys.Select(static fact => fact.Key).Append(ResponseKey)
            .Where(key => row.Attributes.Contains($"\"{key}\"", StringComparison.Ordinal)).ToList();
        if (keys.Count == 0)
        {
            return row with { Attributes = "{}" };
        }

        var attributes = new AttributeSet(row.Attributes, derived: null);
        var kept = new JsonObject(keys.Select(key => KeyValuePair.Create(key, (JsonNode?)attributes[key])));
        return row with { Attributes = kept.ToJsonString() };
    }

    internal static TraceFacts From(IReadOnlyList<SpanRow> rows, SpanTree tree)
    {
        var repeated = NestedCalls.Find(
            [.. rows.Select(static row => new CallSpan(row.SpanId, row.ParentId, IsCall(row), ResponseOf(row)))]);
        var calls = rows.Where(row => row.SpanKind == SpanCodes.LlmKind && !repeated.Contains(row.SpanId)).ToList();
        var priced = calls.Where(static row => row.CostPicoUsd is not null).ToList();
        var byStart = rows.OrderBy(static row => row.StartNanos);

        // What fails first ends first: an error ends the callee's span before those of its callers.
        var firstError = rows.Where(static row => row.Status == SpanCodes.ErrorStatus).MinBy(static row => (row.EndNanos, -row.StartNanos));
        return new TraceFacts(
            tree.Nodes[0].Name,
            rows.Count(static row => row.Status == SpanCodes.ErrorStatus),
            TelemetryIds.FormatSpan(firstError?.SpanId),
            firstError?.Name,
            calls.Count,
            BoundedSum.Of(calls.Select(static row => row.PromptTokens ?? 0)),
            BoundedSum.Of(calls.Select(static row => row.CompletionTokens ?? 0)),
            priced.Count == 0 ? null : BoundedSum.Of(priced.Select(static row => row.CostPicoUsd!.Value)),
            Names(tree.Nodes.Select(static node => node.Service)),
            Names(calls.Select(static row => row.LlmModel)),
            byStart.FirstOrDefault(static row => row.SessionId is not null)?.SessionId,
            byStart.FirstOrDefault(static row => row.UserId is not null)?.UserId,
            FindInvestigation(rows));
    }

    private static bool IsCall(SpanRow row) =>
        row.SpanKind == SpanCodes.LlmKind && (row.PromptTokens ?? 0) + (row.CompletionTokens ?? 0) > 0;

    private static string? ResponseOf(SpanRow row) => IsCall(row) && row.Attributes.Contains(ResponseKey, StringComparison.Ordinal)
        ? new AttributeSet(row.Attributes, null)[ResponseKey]
        : null;

    private static InvestigationFacts? FindInvestigation(IReadOnlyList<SpanRow> rows)
    {
        // A cheap look first: hardly any trace is an investigation.
        var row = rows.FirstOrDefault(static row =>
            row.Attributes.Contains("\"rca.status\"", StringComparison.Ordinal)
                || row.Attributes.Contains("\"incident.id\"", StringComparison.Ordinal));
        if (row is null)
        {
            return null;
        }

        var attributes = new AttributeSet(row.Attributes, row.Derived);
        var facts = s_investigationKeys.Where(fact => attributes[fact.Key] is not null)
            .Select(fact => (fact.Label, attributes[fact.Key]!)).ToList();
        return facts.Count == 0 ? null : new InvestigationFacts(TelemetryIds.FormatSpan(row.SpanId), facts);
    }

    private static List<string> Names(IEnumerable<string?> names)
    {
        var distinct = names.OfType<string>().Where(static name => name.Length > 0).Distinct(StringComparer.Ordinal)
            .Take(MostNames + 1).ToList();
        if (distinct.Count > MostNames)
        {
            distinct[MostNames] = "…";
        }

        return distinct;
    }
}
