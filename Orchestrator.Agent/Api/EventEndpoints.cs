using System.Text.Json;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Api;

/// <summary>The routes of events: a job's history, and the channel of a user's session.</summary>
internal static class EventEndpoints
{
    private const int MaxEvents = 1000;

    public static void MapEvents(this IEndpointRouteBuilder app)
    {
        app.MapPost("/jobs/{id}/events", AppendAsync);
        app.MapGet("/jobs/{id}/events", ReadAsync);
        app.MapPost("/session/init", InitAsync);
        app.MapPost("/event", PublishAsync);
        app.MapGet("/stream/{user_id}/{session_id}", StreamAsync);
    }

    private static async Task<IResult> AppendAsync(HttpContext context, string id, JobStore jobs, EventLog events)
    {
        var (body, malformed) = await Answers.ReadAsync(context, MatsJson.Web.JobEventRequest, context.RequestAborted);
        var (job, fault) = malformed is null ? await JobEndpoints.FindAsync(context, id, jobs) : (null, malformed);
        fault ??= string.IsNullOrWhiteSpace(body!.Message) ? Answers.Error("Message required", StatusCodes.Status400BadRequest)
            : EventLog.Types.Contains(body.Type) ? null
            : Answers.Error($"type must be one of {string.Join(", ", EventLog.Types)}, got '{body.Type}'", StatusCodes.Status400BadRequest);
        if (fault is not null)
        {
            return fault;
        }

        await events.AppendAsync(job!.ChannelId, job.Id, body!.Type, body.Message!, body.Source, job.TraceId, context.RequestAborted);
        return Answers.Json(new StatusAnswer("ok"), MatsJson.Web.StatusAnswer);
    }

    private static async Task<IResult> ReadAsync(HttpContext context, string id, JobStore jobs, EventLog events, EventStream stream)
    {
        var (job, fault) = await JobEndpoints.FindAsync(context, id, jobs);
        if (fault is not null)
        {
            return fault;
        }

        if (!context.Request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase))
        {
            var read = await events.ReadAsync(job!.ChannelId, job.Id, EventStream.After(context), MaxEvents, context.RequestAborted);
            return Answers.Json(new EventList([.. read.Select(e => e.Event)]), MatsJson.Web.EventList);
        }

        await stream.WriteAsync(
            context, job!.ChannelId, job.Id, first: 0, stored => JsonSerializer.Serialize(stored.Event, MatsJson.Web.JobEvent), IsEnd);
        return Results.Empty;
    }

    private static async Task<IResult> InitAsync(HttpContext context, EventLog events)
    {
        var (body, fault) = await SessionBodyAsync(context);
        if (fault is not null)
        {
            return fault;
        }

        var name = EventLog.ChannelName(body!.UserId ?? "", body.SessionId!);
        await events.BeginSessionAsync(await events.ChannelAsync(name, context.RequestAborted), context.RequestAborted);
        return Answers.Json(
            new SessionAnswer("initialized", name) { UserId = body.UserId, SessionId = body.SessionId }, MatsJson.Web.SessionAnswer);
    }

    private static async Task<IResult> PublishAsync(HttpContext context, EventLog events)
    {
        var (body, fault) = await SessionBodyAsync(context);
        if (fault is not null)
        {
            return fault;
        }

        if (body!.Event is not { } envelope || string.IsNullOrWhiteSpace(envelope.Payload?.Message) || envelope.Header is null
            || envelope.UiRendering is null)
        {
            return Answers.Error("event must hold header, type, payload.message and ui_rendering", StatusCodes.Status400BadRequest);
        }

        var name = EventLog.ChannelName(body.UserId ?? "", body.SessionId!);
        var channel = await events.ChannelAsync(name, context.RequestAborted);
        var id = await events.AppendAsync(
            channel, null, "INFO", envelope.Payload.Message, envelope.Header.AgentName ?? "unknown", envelope.Header.TraceId,
            context.RequestAborted,
            JsonSerializer.Serialize(envelope, MatsJson.Default.EventEnvelope));
        return Answers.Json(new SessionAnswer("published", name) { EventId = id }, MatsJson.Web.SessionAnswer);
    }

    private static async Task<IResult> StreamAsync(
        HttpContext context, string user_id, string session_id, EventLog events, EventStream stream)
    {
        if (NotAllowed(context, user_id) is { } refused)
        {
            return refused;
        }

        // Connecting first and posting afterwards is the usual order, so the channel is made here.
        var name = EventLog.ChannelName(RequestIdentity.Text(nameof(user_id), user_id) ?? "", RequestIdentity.Text(nameof(session_id), session_id) ?? "");
        var channel = await events.ChannelAsync(name, context.RequestAborted);
        var (first, last) = await events.RangeAsync(channel, context.RequestAborted);

        // A session that begins anew closes the streams of the old one; the stream that was opened after it replays the beginning instead.
        await stream.WriteAsync(
            context, channel, null, first, stored => JsonSerializer.Serialize(EventEnvelope.From(stored), MatsJson.Web.EventEnvelope),
            stored => stored.Event.Seq > last && stored is { JobId: null, Event.Message: EventLog.SessionBegins });
        return Results.Empty;
    }

    private static bool IsEnd(StoredEvent stored) => stored.Event.Type == "SYSTEM" && Enum.GetValues<JobStatus>().Any(
        status => JobStates.IsTerminal(status) && stored.Event.Message == $"Job {status.Wire()}");

    private static async Task<(SessionRequest? Body, IResult? Fault)> SessionBodyAsync(HttpContext context)
    {
        var (body, fault) = await Answers.ReadAsync(context, MatsJson.Web.SessionRequest, context.RequestAborted);
        if (fault is null)
        {
            body = body! with
            {
                UserId = RequestIdentity.Text("user_id", body.UserId), SessionId = RequestIdentity.Text("session_id", body.SessionId),
            };
            fault = body.SessionId is null
                ? Answers.Error("session_id is required", StatusCodes.Status400BadRequest) : NotAllowed(context, body.UserId);
        }

        return (body, fault);
    }

    /// <summary>A named user's channel is for that user alone; the anonymous one is guarded by the session id.</summary>
    private static IResult? NotAllowed(HttpContext context, string? userId) =>
        userId is null or "" or "anonymous" or "unknown" || userId.Equals(RequestIdentity.User(context), StringComparison.OrdinalIgnoreCase)
            ? null
            : Answers.Error("The channel belongs to another user", StatusCodes.Status403Forbidden);
}

internal sealed record SessionRequest
{
    public string? UserId { get; init; }
    public string? SessionId { get; init; }
    public EventEnvelope? Event { get; init; }
}

internal sealed record SessionAnswer(string Status, string Channel)
{
    public string? UserId { get; init; }
    public string? SessionId { get; init; }
    public Guid? EventId { get; init; }
}
