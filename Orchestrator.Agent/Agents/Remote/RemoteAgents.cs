using System.Diagnostics;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remote;

/// <summary>
/// Hands an agent's work to the process its address names, and does it here when that one cannot: unreachable, broken off, too late, or
/// with a report that breaks its schema. Two attempts (reference/mats.md §8); the budget of the job bounds both.
/// </summary>
internal sealed partial class RemoteAgents(
    IOptions<RemoteAgentOptions> options, IOptions<MatsOptions> mats, TimeProvider time, ILogger<RemoteAgents> logger) : IDisposable
{
    private const int Attempts = 2;
    private static readonly TimeSpan s_agentTimeout = TimeSpan.FromSeconds(900);
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    // Not from the factory: an agent may take longer than one request elsewhere, and what it streams must not be waited for as a whole.
    private readonly HttpClient _http = new() { Timeout = Timeout.InfiniteTimeSpan };

    /// <param name="agent">One of <see cref="RemoteAgentOptions.Agents"/>.</param>
    /// <param name="fault">What is wrong with a report; null when it keeps its schema.</param>
    /// <param name="here">Does the work in this process.</param>
    /// <exception cref="PhoenixUnavailableException">When the agent's process could not read the telemetry.</exception>
    public async Task<T> RunAsync<T>(string agent, InvestigationRun run, int attempt, JsonTypeInfo<T> type, Func<T, string?> fault,
        Func<Task<T>> here)
        where T : class
    {
        if (!options.Value.Urls.TryGetValue(agent, out var url))
        {
            return await here();
        }

        var reason = "";
        for (var i = 1; i <= Attempts; i++)
        {
            try
            {
                var outcome = await AskAsync(new Uri($"{url.TrimEnd('/')}/chat"), run, attempt);
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

    public void Dispose() => _http.Dispose();

    private async Task<AgentOutcome> AskAsync(Uri url, InvestigationRun run, int attempt)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(run.Stop);
        limit.CancelAfter(s_agentTimeout);
        run.Budget.Save();
        var body = new AgentRequest
        {
            Message = run.Job.Request.Text,
            SessionId = run.Job.SessionId,
            UserEmail = run.Job.UserEmail,
            Headers = Activity.Current?.Id is { } traceparent
                ? new Dictionary<string, string>(StringComparer.Ordinal) { ["traceparent"] = traceparent }
                : null,
            Task = new(run.Job.Id, run.Job.CreatedAt, run.Job.UserEmail, run.Job.SessionId, run.Job.Request, run.Job.Reply, run.State,
                attempt),
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, url)
        {
            Content = new StringContent(JsonSerializer.Serialize(body, MatsJson.Default.AgentRequest), System.Text.Encoding.UTF8,
                "application/json"),
        };
        if (mats.Value.AgentToken is { Length: > 0 } token)
        {
            request.Headers.Authorization = new("Bearer", token);
        }
        else
        {
            request.Headers.Add(RequestIdentity.UserHeader, run.Job.UserEmail);
        }

        request.Headers.Add(RequestIdentity.SessionHeader, run.Job.SessionId);
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        response.EnsureSuccessStatusCode();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(limit.Token));
        while (await reader.ReadLineAsync(limit.Token) is { } text)
        {
            var line = JsonSerializer.Deserialize(text, MatsJson.Default.AgentLine)
                ?? throw new JsonException("The agent's answer holds an empty line.");
            if (line.Event is { Message: { } message } told)
            {
                await run.TellAsync(Jobs.EventLog.Types.Contains(told.Type) ? told.Type : "INFO", message, told.Source);
            }

            if (line.Failure is { } failure)
            {
                throw failure.Telemetry ? new PhoenixUnavailableException(failure.Reason, failure.Denied) : new IOException(failure.Reason);
            }

            if (line.Outcome is { } outcome)
            {
                return outcome;
            }
        }

        throw new IOException("its answer broke off");
    }

    private static bool IsFailure(Exception e, CancellationToken stop) =>
        e is HttpRequestException or IOException or JsonException or NotSupportedException
            || (e is OperationCanceledException && !stop.IsCancellationRequested);

    private static partial class Log
    {
        [LoggerMessage(4051, LogLevel.Warning, "The {Agent} agent did not answer ({Reason}); asking it once more")]
        public static partial void Retrying(ILogger logger, string agent, string reason);

        [LoggerMessage(4052, LogLevel.Warning, "The {Agent} agent at {Url} did not do its part ({Reason}); this process does it")]
        public static partial void FellBack(ILogger logger, string agent, string url, string reason);
    }
}
