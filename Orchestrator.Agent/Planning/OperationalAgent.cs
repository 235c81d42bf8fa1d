using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Planning;

/// <summary>
/// Plain questions about resources. With <c>GCLOUD_AGENT_URL</c> they go to that agent, if they only ask; without it, what telemetry
/// projects there are is answered from Phoenix.Service, and everything else needs an adapter that is not there.
/// </summary>
internal sealed partial class OperationalAgent(PhoenixClient phoenix, IOptions<RemoteAgentOptions> agents, AgentCalls calls)
{
    public const string Name = "gcloud_infrastructure_specialist";
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(600);

    public async Task<JobResult> RunAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("delegate_operational", MatsTracing.Agent, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.role", "operational");
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
        var result = agents.Value.Route(RemoteAgentOptions.Operational, "execute") is { } url
            ? await DelegateAsync(run, url) : await AnswerAsync(run);
        MatsTracing.Output(span, result.Response!, "text/plain");
        return result;
    }

    private async Task<JobResult> AnswerAsync(InvestigationRun run)
    {
        var text = run.Job.Request.Text;
        if (!IssueTaxonomy.HasWord(text, "project", "projects") || !IssueTaxonomy.HasWord(text, "list", "show", "get"))
        {
            return Ended(run, $"There is no adapter for {Name}: this orchestrator reads telemetry and changes nothing.", failed: true);
        }

        var projects = await run.CallToolAsync(
            "list_projects", "Lists the telemetry projects of Phoenix.Service.", "{}", Name, phoenix.ProjectsAsync,
            names => string.Join(", ", names));
        return Ended(run, $"Telemetry projects:\n{string.Join("\n", projects.Select(name => $"- {name}"))}", failed: false);
    }

    /// <summary>Asks once: an operation must not happen twice.</summary>
    private async Task<JobResult> DelegateAsync(InvestigationRun run, Uri url)
    {
        var text = run.Job.Request.Text;
        if (!Reading().IsMatch(text) || Writing().IsMatch(text))
        {
            return Ended(
                run, "Only questions (list, show, get, describe) are passed on to the operational agent: what changes resources, and " +
                    "command lines, of which that cannot be told, need a person.", failed: true);
        }

        var request = new OperationalRequest(text, run.Job.SessionId, run.Job.UserEmail, run.Job.Id.ToString(), run.State.ProjectId, null);
        try
        {
            var answer = await run.CallToolAsync(
                "operational_agent", "Asks the operational agent of another process.", Json(request), Name,
                _ => calls.GetAnswerAsync(
                    url, Json(request with { Headers = AgentCalls.TraceHeaders() }), run, run.Budget.Share(s_timeout)),
                answer => Text(answer) ?? "no response");
            return Text(answer) is { Length: > 0 } response
                ? Ended(run, response, failed: false) with { Data = answer.TryGetProperty("data", out var data) ? data : null }
                : Ended(run, "The operational agent's answer holds no response.", failed: true);
        }
        catch (Exception e) when (RemoteAgents.IsFailure(e, run.Stop))
        {
            return Ended(run, $"The operational agent did not answer: {e.GetBaseException().Message}", failed: true);
        }
    }

    private static string Json(OperationalRequest request) => JsonSerializer.Serialize(request, MatsJson.Default.OperationalRequest);

    private static string? Text(JsonElement answer) =>
        answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty("response", out var text)
            && text.ValueKind == JsonValueKind.String ? text.GetString() : null;

    private static JobResult Ended(InvestigationRun run, string response, bool failed) => new(failed ? "FAILURE" : "SUCCESS")
    {
        SessionId = run.Job.SessionId,
        TraceId = run.Job.TraceId,
        Orchestrator = new(Name),
        Response = response,
        Error = failed ? response : null,
        ExecutionTrace = [.. run.State.ExecutionTrace],
    };

    [GeneratedRegex(@"^\s*(please\s+)?(list|show|get|describe)\b", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Reading();

    [GeneratedRegex(
        @"\b(create|delete|remove|destroy|drop|update|change|set|add|grant|revoke|enable|disable|start|stop|restart|reset|reboot|resize|scale|deploy|move|rename|patch|run|execute|apply)\b",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Writing();
}

/// <summary>What an operational agent in another process is asked.</summary>
internal sealed record OperationalRequest(
    string Prompt, string SessionId, string UserEmail, string JobId, string? ProjectId, IReadOnlyDictionary<string, string>? Headers);
