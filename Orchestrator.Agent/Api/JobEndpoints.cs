using System.Globalization;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Planning;

namespace Orchestrator.Agent.Api;

/// <summary>The routes of jobs. A job is seen and moved by the user who made it.</summary>
internal static class JobEndpoints
{
    private const int MaxWaitSeconds = 1800;
    private const int EventsInDocument = 200;
    private const int DefaultLimit = 20;
    private const int MaxLimit = 200;

    public static void MapJobs(this IEndpointRouteBuilder app)
    {
        foreach (var route in new[] { "/jobs", "/troubleshoot", "/ask", "/chat" })
        {
            app.MapPost(route, PostAsync);
        }

        app.MapGet("/jobs", ListAsync);
        app.MapGet("/jobs/{id}", GetAsync);
        app.MapPost("/jobs/{id}/resume", (HttpContext context, string id, JobService service, JobStore jobs, AccessPolicy policy) =>
            ReplyAsync(context, id, "resume", service, jobs, policy));
        app.MapPost("/jobs/{id}/approve", (HttpContext context, string id, JobService service, JobStore jobs, AccessPolicy policy) =>
            ReplyAsync(context, id, "approve", service, jobs, policy));
        app.MapPost("/jobs/{id}/reject", (HttpContext context, string id, JobService service, JobStore jobs, AccessPolicy policy) =>
            ReplyAsync(context, id, "reject", service, jobs, policy));
        app.MapPost("/jobs/{id}/cancel", CancelAsync);
    }

    private static async Task<IResult> PostAsync(HttpContext context, JobService service, AccessPolicy policy, TimeProvider time)
    {
        var stop = context.RequestAborted;
        var (request, fault) = await Answers.ReadAsync(context, MatsJson.Web.TroubleshootRequest, stop);
        fault ??= KeyFault(context);
        fault ??= request!.Fault(time.GetUtcNow()) is { } reason ? Answers.Error(reason, StatusCodes.Status400BadRequest) : policy.Check(
            context, Intents.Of(request.Text) == Intent.Operate ? AccessPolicy.Operate : AccessPolicy.Investigate);
        if (fault is not null)
        {
            return fault;
        }

        if (Wait(context) is not { } wait)
        {
            return Answers.Error(
                $"wait must be 0 to {MaxWaitSeconds} seconds, got '{context.Request.Query["wait"]}'", StatusCodes.Status400BadRequest);
        }

        var who = RequestIdentity.From(context, request!.UserEmail, request.SessionId);
        var (job, resumed) = await service.PostAsync(request, who, Key(context), stop);
        if (wait > TimeSpan.Zero)
        {
            var ended = await service.WaitAsync(job, wait, stop);
            if (ended.Status != JobStatus.Running && ended.Result is { } result)
            {
                context.Response.Headers.Location = $"/jobs/{job.Id}";
                return Results.Json(result, MatsJson.Web.JsonElement);
            }
        }

        return Accepted(context, job, resumed ? "RESUMED" : "RUNNING");
    }

    private static async Task<IResult> GetAsync(HttpContext context, string id, JobStore jobs, EventLog events)
    {
        var (job, fault) = await FindAsync(context, id, jobs);
        return fault ?? Answers.Json(
            JobDocument.From(job!, await events.LastAsync(job!.Id, EventsInDocument, context.RequestAborted)), MatsJson.Web.JobDocument);
    }

    private static async Task<IResult> ListAsync(HttpContext context, JobStore jobs, string? status, string? session_id, string? limit)
    {
        if (status is not null && JobStates.ParseStatus(status) is null)
        {
            return Answers.Error(
                $"status must be one of {string.Join(", ", Enum.GetValues<JobStatus>().Select(s => s.Wire()))}, got '{status}'",
                StatusCodes.Status400BadRequest);
        }

        var most = DefaultLimit;
        if (limit is not null && (!int.TryParse(limit, CultureInfo.InvariantCulture, out most) || most is < 1 or > MaxLimit))
        {
            return Answers.Error($"limit must be 1 to {MaxLimit}, got '{limit}'", StatusCodes.Status400BadRequest);
        }

        var own = await jobs.ListAsync(
            RequestIdentity.User(context), JobStates.ParseStatus(status), RequestIdentity.Text(nameof(session_id), session_id), most, context.RequestAborted);
        return Answers.Json(new JobList([.. own.Select(job => JobDocument.From(job, []))]), MatsJson.Web.JobList);
    }

    private static async Task<IResult> ReplyAsync(
        HttpContext context, string id, string action, JobService service, JobStore jobs, AccessPolicy policy)
    {
        var (body, malformed) = await Answers.ReadAsync(context, MatsJson.Web.ReplyRequest, context.RequestAborted);
        var (job, fault) = malformed is null ? await FindAsync(context, id, jobs) : (null, malformed);
        fault ??= KeyFault(context) ?? (job!.Remediates && action == "approve" ? policy.Check(context, AccessPolicy.Remediate) : null);
        if (fault is not null)
        {
            return fault;
        }

        var outcome = await service.ReplyAsync(job!, action, body!, RequestIdentity.User(context), Key(context), context.RequestAborted);
        return Answer(context, job!, outcome, "RESUMED");
    }

    private static async Task<IResult> CancelAsync(HttpContext context, string id, JobService service, JobStore jobs)
    {
        var (job, fault) = await FindAsync(context, id, jobs);
        fault ??= KeyFault(context);
        return fault ?? Answer(
            context, job!, await service.CancelAsync(job!, Key(context), context.RequestAborted), JobStatus.Cancelled.Wire());
    }

    private static IResult Answer(HttpContext context, JobRecord job, MoveOutcome outcome, string status) => outcome switch
    {
        MoveOutcome.Moved or MoveOutcome.Repeated => Accepted(context, job, status),
        MoveOutcome.KeyReused => Answers.Error(
            "The Idempotency-Key was used for another action of this job", StatusCodes.Status409Conflict),
        _ => Answers.Error($"The job is {job.Status.Wire()}", StatusCodes.Status409Conflict),
    };

    private static IResult Accepted(HttpContext context, JobRecord job, string status)
    {
        context.Response.Headers.Location = $"/jobs/{job.Id}";
        return Answers.Json(
            new JobAccepted(job.Id.ToString(), status) { SessionId = job.SessionId, TraceId = job.TraceId }, MatsJson.Web.JobAccepted,
            StatusCodes.Status202Accepted);
    }

    /// <summary>The job of a route for a caller who may see it; else the answer to send.</summary>
    internal static async Task<(JobRecord? Job, IResult? Fault)> FindAsync(HttpContext context, string id, JobStore jobs)
    {
        if (!Guid.TryParse(id, out var guid) || await jobs.FindAsync(guid, context.RequestAborted) is not { } job)
        {
            return (null, Answers.NoJob());
        }

        // A job of a user without a name is guarded by its id alone.
        return job.UserEmail == "unknown" || job.UserEmail.Equals(RequestIdentity.User(context), StringComparison.OrdinalIgnoreCase)
            ? (job, null)
            : (null, Answers.Error("The job belongs to another user", StatusCodes.Status403Forbidden));
    }

    private static TimeSpan? Wait(HttpContext context)
    {
        if ((string?)context.Request.Query["wait"] is not { } text)
        {
            return TimeSpan.Zero;
        }

        return double.TryParse(text, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0 and <= MaxWaitSeconds
            ? TimeSpan.FromSeconds(seconds) : null;
    }

    private static string? Key(HttpContext context) =>
        (string?)context.Request.Headers["Idempotency-Key"] is { Length: > 0 } key ? key : null;

    /// <summary>The answer to a key that cannot be kept: taken for none, a repeated call would run twice. Null when it is good.</summary>
    private static IResult? KeyFault(HttpContext context) => Key(context)?.Length > RequestIdentity.MaxChars
        ? Answers.Error($"Idempotency-Key must be at most {RequestIdentity.MaxChars} characters", StatusCodes.Status400BadRequest) : null;
}
