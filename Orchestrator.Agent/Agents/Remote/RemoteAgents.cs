using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remote;

/// <summary>
/// Hands an agent's work to the process its address names, and does it here when that one cannot: unreachable, broken off, too late, or
/// with a report that breaks its schema. Two attempts; the budget of the job bounds both.
/// </summary>
internal sealed partial class RemoteAgents(
    IOptions<RemoteAgentOptions> options, AgentCalls calls, TimeProvider time, ILogger<RemoteAgents> logger)
{
    private const int Attempts = 2;
    private static readonly TimeSpan s_agentTimeout = TimeSpan.FromSeconds(900);
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    /// <param name="agent">sre, investigator or architect.</param>
    /// <param name="fault">What is wrong with a report; null when it keeps its schema.</param>
    /// <param name="here">Does the work in this process.</param>
    /// <exception cref="PhoenixUnavailableException">When the agent's process could not read the telemetry.</exception>
    public async Task<T> RunAsync<T>(string agent, InvestigationRun run, int attempt, JsonTypeInfo<T> type, Func<T, string?> fault,
        Func<Task<T>> here)
        where T : class
    {
        if (options.Value.Route(agent, "chat") is not { } url)
        {
            return await here();
        }

        var reason = "";
        for (var i = 1; i <= Attempts; i++)
        {
            try
            {
                var outcome = await AskAsync(url, run, attempt);
                var report = outcome.Report.Deserialize(type);
                if ((report is null ? "it is empty" : fault(report)) is not { } problem)
                {
                    run.State.Take(outcome.State);
                    return report!;
                }

                reason = $"its report is not valid: {problem}";
                break;
            }
            catch (Exception e) when (IsFailure(e, run.Stop))
            {
                reason = e.GetBaseException().Message;
                if (e is HttpRequestException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError })
                {
                    break;
                }

                if (i < Attempts)
                {
                    Log.Retrying(logger, agent, reason);
                    await Task.Delay(s_pause, time, run.Stop);
                }
            }
        }

        Log.FellBack(logger, agent, url, reason);
        run.State.Warn($"The {agent} agent of another process did not do its part ({reason}); it was done by the orchestrator itself.");
        return await here();
    }

    private Task<AgentOutcome> AskAsync(Uri url, InvestigationRun run, int attempt)
    {
        run.Budget.Save();
        var body = new AgentRequest
        {
            Message = run.Job.Request.Text,
            SessionId = run.Job.SessionId,
            UserEmail = run.Job.UserEmail,
            Headers = AgentCalls.TraceHeaders(),
            Task = AgentTask.Of(run, attempt),
        };
        return calls.AskAsync(url, JsonSerializer.Serialize(body, MatsJson.Default.AgentRequest), run, run.Budget.Share(s_agentTimeout));
    }

    /// <summary>True when the other process, or the way to it, is at fault; false when this run was stopped.</summary>
    public static bool IsFailure(Exception e, CancellationToken stop) =>
        e is HttpRequestException or IOException or JsonException or NotSupportedException
            || (e is OperationCanceledException && !stop.IsCancellationRequested);

    private static partial class Log
    {
        [LoggerMessage(4051, LogLevel.Warning, "The {Agent} agent did not answer ({Reason}); asking it once more")]
        public static partial void Retrying(ILogger logger, string agent, string reason);

        [LoggerMessage(4052, LogLevel.Warning, "The {Agent} agent at {Url} did not do its part ({Reason}); this process does it")]
        public static partial void FellBack(ILogger logger, string agent, Uri url, string reason);
    }
}
