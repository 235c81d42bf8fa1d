using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Planning;

namespace Orchestrator.Agent.Api;

/// <summary>
/// The agents by name: each call is a job of its own that the same flow runs, so an agent that is asked directly
/// keeps session, user, trace, budget and the approval rules. And the registries.
/// </summary>
internal static class AgentEndpoints
{
    private static readonly TimeSpan s_agentTimeout = TimeSpan.FromSeconds(900);
    private static readonly string[] s_agents = ["sre", "investigator", "architect"];

    public static void MapAgents(this IEndpointRouteBuilder app)
    {
        app.MapPost("/agents/{name}/chat", ChatAsync);
        app.MapPost("/agents/remediation/execute", ExecuteAsync);
        app.MapGet("/registry/planner", () => Answers.Json(AgentRegistry.Planner, MatsJson.Web.IReadOnlyListPlannerEntry));
        app.MapGet("/registry/master", () => Answers.Json(AgentRegistry.Master, MatsJson.Web.IReadOnlyListAgentManifest));
    }

    private static async Task<IResult> ChatAsync(
        HttpContext context, string name, JobService service, AgentTasks tasks, AccessPolicy policy, TimeProvider time)
    {
        var (body, fault) = await Answers.ReadAsync(context, MatsJson.Web.AgentRequest, context.RequestAborted);
        fault ??= !s_agents.Contains(name) ? Answers.Error(
            $"There is no agent '{name}'; agents are {string.Join(", ", s_agents)}", StatusCodes.Status404NotFound)
            : string.IsNullOrWhiteSpace(body!.Message) ? Answers.Error("message is required", StatusCodes.Status400BadRequest)
            : body.Task?.Fault() is { } missing ? Answers.Error(missing, StatusCodes.Status400BadRequest)
            : policy.Check(context, AccessPolicy.Investigate);
        if (fault is not null)
        {
            return fault;
        }

        Traceparent(context, body!.Headers);
        if (body.Task is { } task)
        {
            await tasks.RunAsync(context, name, task, RequestIdentity.From(context, body.UserEmail, body.SessionId));
            return Results.Empty;
        }

        var request = new TroubleshootRequest
        {
            UserRequest = body.Message, ProjectId = body.ProjectId, Project = body.Project, RepoUrl = body.RepoUrl,
            StartTime = body.StartTime, EndTime = body.EndTime,
        };
        if (request.Fault(time.GetUtcNow()) is { } reason)
        {
            return Answers.Error(reason, StatusCodes.Status400BadRequest);
        }

        var (job, _) = await service.StartAsync(
            request, RequestIdentity.From(context, body.UserEmail, body.SessionId), context.RequestAborted);
        return await AnswerAsync(
            context, service, job, name switch { "sre" => "sre_findings", "investigator" => "investigator_findings", _ => "rca_content" });
    }

    private static async Task<IResult> ExecuteAsync(HttpContext context, JobService service, AgentTasks tasks, AccessPolicy policy)
    {
        var (body, fault) = await Answers.ReadAsync(context, MatsJson.Web.RemediationRequest, context.RequestAborted);
        fault ??= body!.Task?.Fault() is { } missing ? Answers.Error(missing, StatusCodes.Status400BadRequest)
            : body.Task is { } given ? policy.Check(context, AccessPolicy.Remediate) ?? Approver(policy, given.Reply)
            : body.RcaDocument is null ? Answers.Error("rca_document is required", StatusCodes.Status400BadRequest)
            : string.IsNullOrWhiteSpace(body.ResolutionPlan) ? Answers.Error("resolution_plan is required", StatusCodes.Status400BadRequest)
            : policy.Check(context, AccessPolicy.Remediate);
        if (fault is not null)
        {
            return fault;
        }

        Traceparent(context, body!.Headers);
        if (body.Task is { } task)
        {
            await tasks.RemediateAsync(context, task, RequestIdentity.From(context, body.UserEmail, body.SessionId));
            return Results.Empty;
        }

        // The plan is text for a person: only the document's specification can name a command, and that still needs its approval.
        var spec = body.RcaDocument!.RemediationSpec;
        var text = $"REMEDIATION_COMMAND:{OneLine(spec?.RemediationCommand)}\nTARGET_URL:{OneLine(spec?.TargetUrl)}\n" +
            $"VALIDATION_QUERY:{OneLine(spec?.ValidationQuery)}\nVALIDATION_THRESHOLD:{OneLine(spec?.ValidationThreshold)}";
        var request = new TroubleshootRequest { UserRequest = text, Project = body.Project ?? body.RcaDocument.Metadata?.PrimarySystem };
        var (job, _) = await service.StartAsync(
            request, RequestIdentity.From(context, body.UserEmail, body.SessionId), context.RequestAborted);
        return await AnswerAsync(context, service, job, "remediation");
    }

    /// <summary>The answer to an approval by somebody without the role; null when there is none, or it is good.</summary>
    private static IResult? Approver(AccessPolicy policy, Reply? reply) =>
        reply is not null && policy.Refusal(reply.UserEmail, AccessPolicy.Remediate) is { } refusal
            ? Answers.Error(refusal, StatusCodes.Status403Forbidden) : null;

    /// <summary>The result's part of the agent that was asked, beside response and trace; 202 when the job is not done in time.</summary>
    private static async Task<IResult> AnswerAsync(HttpContext context, JobService service, JobRecord job, string part)
    {
        context.Response.Headers.Location = $"/jobs/{job.Id}";
        var ended = await service.WaitAsync(job, s_agentTimeout, context.RequestAborted);
        if (ended.Result is not { } result || ended.Status == JobStatus.Running)
        {
            return Answers.Json(
                new JobAccepted(job.Id.ToString(), JobStatus.Running.Wire()), MatsJson.Web.JobAccepted, StatusCodes.Status202Accepted);
        }

        var answer = new System.Text.Json.Nodes.JsonObject { ["job_id"] = job.Id.ToString() };
        foreach (var field in new[] { "status", "response", "execution_trace", "report_url", part })
        {
            if (result.TryGetProperty(field, out var value))
            {
                answer[field] = System.Text.Json.Nodes.JsonNode.Parse(value.GetRawText());
            }
        }

        return Results.Text(answer.ToJsonString(), "application/json");
    }

    private static void Traceparent(HttpContext context, IReadOnlyDictionary<string, string>? headers)
    {
        // The body's comes from the orchestrator's own span; the header may be that of the transport on the way.
        if (headers?.GetValueOrDefault("traceparent") is { } traceparent)
        {
            context.Request.Headers.TraceParent = traceparent;
        }
    }

    private static string OneLine(string? text) => text?.ReplaceLineEndings(" ").Trim() ?? "";
}

/// <summary>A message to one agent.</summary>
internal sealed record AgentRequest
{
    public string? Message { get; init; }
    public string? SessionId { get; init; }
    public string? UserEmail { get; init; }
    public string? ProjectId { get; init; }
    public string? Project { get; init; }
    public string? RepoUrl { get; init; }
    public string? StartTime { get; init; }
    public string? EndTime { get; init; }
    public IReadOnlyDictionary<string, string>? Headers { get; init; }

    /// <summary>
    /// Set by an orchestrator that delegates: the agent alone works on it, and the answer is a stream of <see cref="AgentLine"/>.
    /// </summary>
    public AgentTask? Task { get; init; }
}

/// <summary>The body of <c>POST /agents/remediation/execute</c>.</summary>
internal sealed record RemediationRequest
{
    public Rca.RcaDocument? RcaDocument { get; init; }
    public string? ResolutionPlan { get; init; }
    public string? SessionId { get; init; }
    public string? UserEmail { get; init; }
    public string? Prompt { get; init; }
    public string? Project { get; init; }
    public IReadOnlyDictionary<string, string>? Headers { get; init; }

    /// <summary>Set by an orchestrator that delegates; the answer is then a stream of <see cref="AgentLine"/>.</summary>
    public AgentTask? Task { get; init; }
}
