using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Api;

internal sealed record JobAccepted(string JobId, string Status)
{
    public string? SessionId { get; init; }
    public string? TraceId { get; init; }
}

internal sealed record ApiError(string Error);

internal sealed record StatusAnswer(string Status);

internal sealed record JobList(IReadOnlyList<JobDocument> Jobs);

internal sealed record EventList(IReadOnlyList<JobEvent> Events);

internal sealed record ServiceInfo(
    string Name, string Description, string? Model, IReadOnlyList<string> Capabilities, IReadOnlyList<string> SubAgents,
    string PolicySource);

internal sealed record VersionInfo(string Name, string Version);

internal sealed record Health(string Status, string Service);

/// <summary>A job as clients see it.</summary>
internal sealed record JobDocument(
    string Id, JobStatus Status, long CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? CompletedAt, string UserRequest,
    string UserEmail, string SessionId,
    string TraceId, Phase Phase, IReadOnlyList<PendingStep> PendingSteps, IReadOnlyList<JobEvent> Events, JsonElement? Result,
    string? Error)
{
    public static JobDocument From(JobRecord job, IReadOnlyList<StoredEvent> events) => new(
        job.Id.ToString(), job.Status, job.CreatedAt.ToUnixTimeSeconds(), job.UpdatedAt, job.CompletedAt, job.Request.Text, job.UserEmail,
        job.SessionId,
        job.TraceId, job.Phase, job.PendingSteps, [.. events.Select(e => e.Event)], job.Result, job.Error);
}

/// <summary>Answers in the one JSON spelling of this service.</summary>
internal static class Answers
{
    public static IResult Json<T>(T value, JsonTypeInfo<T> type, int status = StatusCodes.Status200OK) => Results.Json(
        value, type, statusCode: status);

    public static IResult Error(string message, int status) => Json(new ApiError(message), MatsJson.Web.ApiError, status);

    public static IResult NoJob() => Error("Job not found", StatusCodes.Status404NotFound);

    /// <summary>Reads a JSON body; a fault comes back as the answer to send. An absent body counts as an empty object.</summary>
    public static async Task<(T? Body, IResult? Fault)> ReadAsync<T>(
        HttpContext context, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class, new()
    {
        if (context.Request.ContentLength is 0
            || (context.Request.ContentLength is null && !context.Request.Headers.ContainsKey("Transfer-Encoding")
            && context.Request.Protocol != "HTTP/2"))
        {
            return (new T(), null);
        }

        try
        {
            return (await JsonSerializer.DeserializeAsync(context.Request.Body, type, cancellationToken) ?? new T(), null);
        }
        catch (JsonException e)
        {
            var at = string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "" : $" at {e.Path[2..]}";
            return (
                null, Error($"The body is not the expected JSON{at} (line {e.LineNumber + 1}, byte {e.BytePositionInLine})",
                    StatusCodes.Status400BadRequest));
        }
        catch (BadHttpRequestException e)
        {
            return (null, Error(e.Message, e.StatusCode));
        }
    }
}
