using System.Text.Json.Serialization;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Query.Sessions;

/// <summary>A session as the API shows it, its traces by start.</summary>
internal sealed record SessionData(
    string Id, string SessionId, string ProjectId, string StartTime, string EndTime,
    IReadOnlyList<SessionTraceData> Traces, long TokenCountPrompt,
    long TokenCountCompletion, long TokenCountTotal)
{
    /// <summary>From its row and its traces' rows.</summary>
    public static SessionData From(SessionRow row, IEnumerable<TraceRow> traces) => new(
        GlobalId.Format("ProjectSession", row.Id), row.SessionId, GlobalId.Format("Project", row.ProjectId), IsoTime.Format(row.StartNanos),
        IsoTime.Format(row.EndNanos), [.. traces.Select(SessionTraceData.From)], row.PromptTokens, row.CompletionTokens,
        BoundedSum.Add(row.PromptTokens, row.CompletionTokens));
}

/// <summary>A trace of a session.</summary>
internal sealed record SessionTraceData(string Id, string TraceId, string StartTime, string EndTime)
{
    /// <summary>From its row.</summary>
    public static SessionTraceData From(TraceRow row) => new(
        GlobalId.Format("Trace", row.Id), TelemetryIds.FormatTrace(row.TraceId), IsoTime.Format(row.StartNanos),
        IsoTime.Format(row.EndNanos));
}

/// <summary>One session.</summary>
internal sealed record SessionEnvelope(SessionData Data);

/// <summary>A page of sessions.</summary>
internal sealed record SessionList(IReadOnlyList<SessionData> Data, string? NextCursor);

/// <summary>Body of the deletion of several sessions.</summary>
internal sealed record SessionDeletion(string[]? SessionIdentifiers);

/// <summary>JSON of the slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SessionEnvelope))]
[JsonSerializable(typeof(SessionList))]
[JsonSerializable(typeof(SessionDeletion))]
internal sealed partial class SessionJsonContext : JsonSerializerContext;
