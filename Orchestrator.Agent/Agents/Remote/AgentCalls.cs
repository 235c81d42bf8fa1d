using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remote;

/// <summary>
/// Calls to agents in other processes: who asks, for which session, under which span (as a header and in the body's <c>headers</c>), and
/// no longer than the agent's own limit or what is left of the job's budget.
/// </summary>
internal sealed class AgentCalls(IOptions<MatsOptions> mats) : IDisposable
{
    private const int MaxAnswerBytes = 1024 * 1024;

    // Not from the factory: an agent may take longer than one request elsewhere, and what it streams must not be waited for as a whole.
    private readonly HttpClient _http = new() { Timeout = Timeout.InfiniteTimeSpan };

    /// <summary>The part of a body that carries the span of the caller; null outside of a trace.</summary>
    public static IReadOnlyDictionary<string, string>? TraceHeaders() => Activity.Current?.Id is { } traceparent
        ? new Dictionary<string, string>(StringComparer.Ordinal) { ["traceparent"] = traceparent } : null;

    /// <summary>Hands a task over and reads the stream of its events, which are told here, up to its outcome.</summary>
    /// <exception cref="PhoenixUnavailableException">When the agent's process could not read the telemetry.</exception>
    /// <exception cref="IOException">When the agent failed, or its answer broke off.</exception>
    public async Task<AgentOutcome> AskAsync(Uri url, string body, InvestigationRun run, TimeSpan timeout)
    {
        using var limit = Limit(run, timeout);
        using var response = await SendAsync(url, body, run, limit.Token);
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
                return outcome is { State: not null, Report.ValueKind: JsonValueKind.Object }
                    ? outcome : throw new JsonException("its outcome lacks the report or the state");
            }
        }

        throw new IOException("its answer broke off");
    }

    /// <summary>Asks for one JSON document of at most 1 MiB.</summary>
    public async Task<JsonElement> GetAnswerAsync(Uri url, string body, InvestigationRun run, TimeSpan timeout)
    {
        using var limit = Limit(run, timeout);
        using var response = await SendAsync(url, body, run, limit.Token);
        await using var stream = await response.Content.ReadAsStreamAsync(limit.Token);
        var buffer = new byte[MaxAnswerBytes + 1];
        var read = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, limit.Token);
        return read <= MaxAnswerBytes
            ? JsonElement.Parse(buffer.AsSpan(0, read)) : throw new IOException($"its answer has more than {MaxAnswerBytes} bytes");
    }

    public void Dispose() => _http.Dispose();

    private static CancellationTokenSource Limit(InvestigationRun run, TimeSpan timeout)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(run.Stop);
        limit.CancelAfter(timeout);
        return limit;
    }

    private async Task<HttpResponseMessage> SendAsync(Uri url, string body, InvestigationRun run, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, url)
        {
            Content = new StringContent(body, Encoding.UTF8, "application/json"),
        };
        if (mats.Value.AgentToken is { Length: > 0 } token)
        {
            request.Headers.Authorization = new("Bearer", token);
        }
        else
        {
            request.Headers.Add(RequestIdentity.UserHeader, run.Job.UserEmail);
        }

        if (Activity.Current?.Id is { } traceparent)
        {
            request.Headers.Add("traceparent", traceparent);
        }

        request.Headers.Add(RequestIdentity.SessionHeader, run.Job.SessionId);
        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        try
        {
            return response.EnsureSuccessStatusCode();
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }
}
