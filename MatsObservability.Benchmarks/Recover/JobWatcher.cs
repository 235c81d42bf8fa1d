using System.Globalization;
using System.Text.Json.Nodes;

namespace MatsObservability.Benchmarks.Recover;

/// <summary>A job's event as the stream carries it.</summary>
internal readonly record struct WatchedEvent(long Seq, string Message);

/// <summary>
/// Follows a job's event stream as a browser does: when the connection breaks it connects again, to whichever replica answers, with
/// Last-Event-ID.
/// </summary>
internal sealed class JobWatcher(IReadOnlyList<string> replicas, string job) : IDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);
    private readonly HttpClient _http = new() { Timeout = Timeout.InfiniteTimeSpan };

    /// <summary>How often it had to connect again.</summary>
    public int Reconnects { get; private set; }

    /// <summary>Every event in the order it came, until the job's last one.</summary>
    public async Task<List<WatchedEvent>> WatchAsync(CancellationToken cancellationToken)
    {
        var events = new List<WatchedEvent>();
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, $"{replicas[attempt % replicas.Count]}/jobs/{job}/events");
                request.Headers.Accept.ParseAdd("text/event-stream");
                if (events.Count > 0)
                {
                    request.Headers.Add("Last-Event-ID", events[^1].Seq.ToString(CultureInfo.InvariantCulture));
                }

                using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                response.EnsureSuccessStatusCode();
                if (await ReadAsync(response, events, cancellationToken))
                {
                    return events;
                }
            }
            catch (Exception broken) when (broken is HttpRequestException or IOException)
            {
                await Task.Delay(s_pause, cancellationToken);
            }

            Reconnects++;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>True when the job's last event was read.</summary>
    private static async Task<bool> ReadAsync(HttpResponseMessage response, List<WatchedEvent> events, CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
        var id = 0L;
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.StartsWith("id: ", StringComparison.Ordinal))
            {
                id = long.Parse(line.AsSpan(4), CultureInfo.InvariantCulture);
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                events.Add(new(id, JsonNode.Parse(line[6..])!["message"]!.GetValue<string>()));
            }
        }

        return events.Count > 0 && RecoveryTrial.IsEnd(events[^1].Message);
    }
}
