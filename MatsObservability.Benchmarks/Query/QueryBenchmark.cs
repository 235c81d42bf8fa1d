using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using MatsObservability.Benchmarks.Load;
using Npgsql;

namespace MatsObservability.Benchmarks.Query;

/// <summary>
/// <c>query</c>: loads spans by OTLP, waits until they are rolled up, then asks the REST API
/// what people ask, one request at a time: each time for something else, but the slowest traces and the dashboard, which have one address.
/// Milliseconds to the last byte; an answer that does not hold what was asked for ends the run.
/// </summary>
internal static class QueryBenchmark
{
    private static readonly TimeSpan s_loadStep = TimeSpan.FromSeconds(5);

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var spans = Arguments.Number("--spans", 1_000_000L, "spans to store first");
        var rounds = Arguments.Number("--rounds", 50, "requests of each sort");
        var json = Arguments.Json();
        var command = new Command("query", "what reading costs with many spans stored") { spans, rounds, json };
        command.SetAction((given, cancellationToken) =>
            RunAsync(given.GetValue(spans), given.GetValue(rounds), given.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(long wanted, int rounds, FileInfo? json, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions(), cancellationToken);
        var load = new LoadRun(system.Phoenix.OtlpHttpUrl, grpc: false, connections: 4, spansPerRequest: 1000);
        long stored = 0;
        while (stored < wanted)
        {
            stored += (await load.RunAsync(s_loadStep, null, cancellationToken)).Spans;
        }

        var lag = Stopwatch.StartNew();
        while (await system.ScalarAsync<long>("SELECT coalesce(sum(span_count), 0)::bigint FROM traces", cancellationToken) < stored)
        {
            await Task.Delay(100, cancellationToken);
        }

        var rollupLag = lag.Elapsed;
        await system.ExecuteAsync("VACUUM ANALYZE", cancellationToken);
        var traces = await SampleAsync(system, $"SELECT replace(trace_id::text, '-', '') FROM traces ORDER BY random() LIMIT {rounds}",
            cancellationToken);
        var sessions = await SampleAsync(system, $"SELECT session_id FROM sessions ORDER BY random() LIMIT {rounds}", cancellationToken);
        var users = await SampleAsync(system, $"SELECT user_id FROM traces WHERE user_id IS NOT NULL ORDER BY random() LIMIT {rounds}",
            cancellationToken);
        var starts = await SampleAsync( // something began before each of them
            system, "SELECT start_ns::text FROM traces WHERE start_ns > (SELECT min(start_ns) FROM traces) " +
                $"ORDER BY random() LIMIT {rounds}", cancellationToken);
        using var client = new HttpClient { BaseAddress = new Uri(system.Phoenix.HttpUrl) };
        var figures = new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["cores"] = Environment.ProcessorCount,
            ["spans_stored"] = stored,
            ["rollup_lag_ms"] = rollupLag.TotalMilliseconds,
        };
        const string item = "\"data\":[{";
        var questions = new (string Name, IReadOnlyList<string> Samples, Func<string, string> Path, Func<string, string> Holds)[]
        {
            ("get_trace", traces, trace => $"/v1/projects/default/spans?limit=1000&trace_id={trace}", trace => trace),
            ("list_traces", starts, start => $"/v1/projects/default/traces?limit=100&end_time_unix_nano={start}", _ => item),
            ("slowest_traces", starts, _ => "/v1/projects/default/traces?limit=100&sort=latency_ms", _ => item),
            ("list_spans", starts, start => $"/v1/projects/default/spans?limit=100&end_time_unix_nano={start}", _ => item),
            ("filter_attribute", users, user => $"/v1/projects/default/spans?limit=20&attribute=user.id:%22{user}%22", user => user),
            ("full_text", users, user => $"/v1/projects/default/spans?limit=20&text={user}", user => user),
            ("session", sessions, session => $"/v1/sessions/{session}", session => session),
            ("dashboard", starts, _ => "/projects/default", _ => "default"),
        };
        foreach (var (name, samples, path, holds) in questions)
        {
            await AskAsync(client, path(samples[0]), holds(samples[0]), cancellationToken);
            var times = new List<double>(samples.Count);
            foreach (var sample in samples)
            {
                times.Add(await AskAsync(client, path(sample), holds(sample), cancellationToken));
            }

            times.Sort();
            figures[$"{name}_p50_ms"] = times[times.Count / 2];
            figures[$"{name}_p95_ms"] = times[Math.Min(times.Count - 1, times.Count * 95 / 100)];
        }

        await Figures.ReportAsync(json, figures, cancellationToken);
        return 0;
    }

    private static async Task<double> AskAsync(HttpClient client, string path, string holds, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        using var response = await client.GetAsync(path, cancellationToken);
        var answer = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        response.EnsureSuccessStatusCode();
        var milliseconds = clock.Elapsed.TotalMilliseconds;
        return answer.AsSpan().IndexOf(Encoding.UTF8.GetBytes(holds)) >= 0 ? milliseconds
            : throw new InvalidOperationException($"The answer to {path} does not hold {holds}.");
    }

    private static async Task<List<string>> SampleAsync(SystemUnderTest system, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(system.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var samples = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            samples.Add(reader.GetString(0));
        }

        return samples.Count > 0
            ? samples
            : throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Nothing to ask for: {sql}"));
    }
}
