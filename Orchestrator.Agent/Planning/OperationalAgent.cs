using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Planning;

/// <summary>
/// Plain questions about resources: what telemetry projects there are is answered from Phoenix.Service, everything else needs an adapter
/// that is not there.
/// </summary>
internal sealed class OperationalAgent(PhoenixClient phoenix)
{
    public const string Name = "gcloud_infrastructure_specialist";

    public async Task<JobResult> RunAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("delegate_operational", MatsTracing.Agent, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.role", "operational");
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
        var projects = IssueTaxonomy.HasWord(run.Job.Request.Text, "project", "projects") && IssueTaxonomy.HasWord(
            run.Job.Request.Text, "list", "show", "get")
            ? await run.CallToolAsync(
                "list_projects", "Lists the telemetry projects of Phoenix.Service.", "{}", Name, phoenix.ProjectsAsync,
                names => string.Join(", ", names))
            : null;
        var response = projects is null
            ? $"There is no adapter for {Name}: this orchestrator reads telemetry and changes nothing."
            : $"Telemetry projects:\n{string.Join("\n", projects.Select(name => $"- {name}"))}";
        MatsTracing.Output(span, response, "text/plain");
        return new(projects is null ? "FAILURE" : "SUCCESS")
        {
            SessionId = run.Job.SessionId,
            TraceId = run.Job.TraceId,
            Orchestrator = new(Name),
            Response = response,
            Error = projects is null ? response : null,
            ExecutionTrace = [.. run.State.ExecutionTrace],
        };
    }
}
