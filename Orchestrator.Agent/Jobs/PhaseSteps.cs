using System.Diagnostics;
using System.Text.Json;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Jobs;

/// <summary>What every phase does: hand work to an agent, and judge what comes back; both leave a span.</summary>
internal static class PhaseSteps
{
    private const string Source = "orchestrator";

    /// <summary>Lets an agent work under a span of its own, told as an event.</summary>
    public static async Task<T> DelegateAsync<T>(string name, string agent, string role, InvestigationRun run, int retries,
        Func<Task<T>> work)
    {
        using var span = MatsTracing.Start(name, MatsTracing.Agent, run.Job.SessionId, agent);
        MatsTracing.Tag(span, "agent.role", role);
        MatsTracing.Tag(span, "retry.count", retries);
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
        try
        {
            await run.RecordAsync(span);
            await run.TellAsync("INFO", $"{agent} starts {role}", Source);
            var result = await work();
            MatsTracing.Output(span, JsonSerializer.Serialize(result, typeof(T), MatsJson.Default));
            span?.SetStatus(ActivityStatusCode.Ok);
            return result;
        }
        catch (Exception e)
        {
            MatsTracing.Fail(span, e);
            throw;
        }
    }

    /// <summary>Puts a gate's decision into the trace, and its warning into the result.</summary>
    public static GateResult Gate(string name, GateResult result, InvestigationRun run)
    {
        using var span = MatsTracing.Start($"gate_{name}", MatsTracing.Guardrail, run.Job.SessionId);
        MatsTracing.Tag(span, "gate", name);
        MatsTracing.Tag(span, "phase", run.State.Workflow.CurrentPhase.Wire());
        MatsTracing.Tag(span, "decision", result.Decision.ToString().ToUpperInvariant());
        MatsTracing.Tag(span, "reason", result.Warning ?? result.Reason);
        if (result.Warning is { } warning)
        {
            run.State.Warn(warning);
        }

        return result;
    }

    /// <summary>True the first time: the user is not asked for the same twice.</summary>
    public static bool Ask(InvestigationState state, ErrorCode code)
    {
        if (state.Asked.Contains(code.Code))
        {
            return false;
        }

        state.Asked.Add(code.Code);
        return true;
    }
}
