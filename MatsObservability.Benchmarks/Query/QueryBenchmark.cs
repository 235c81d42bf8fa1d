using System.Diagnostics;
using System.Globalization;
using MatsObservability.Benchmarks.Ingest;
using MatsObservability.Benchmarks.Load;
using Npgsql;

namespace MatsObservability.Benchmarks.Query;

/// <summary>
/// <c>query [--spans 1000000] [--rounds 50] [--json FILE]</c>: loads spans by OTLP, waits until they are rolled up, then asks the REST API
/// what people ask, each time for something else, one request at a time. Milliseconds to the last byte.
/// </summary>
internal static class QueryBenchmark
{
    public const string Purpose = "what reading costs with many spans stored: [--spans 1000000] [--rounds 50] [--json FILE]";

    private static readonly TimeSpan s_loadStep = TimeSpan.FromSeconds(5);

    /// <summary>Runs the command.</summary>
    public static async Task<int> RunAsync(string[] args, CancellationToken cancellationToken)
    {
        var wanted = (long)IngestBenchmark.Number(args, "--spans", 1_000_000);
        var rounds = (int)IngestBenchmark.Number(args, "--rounds", 50);
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
        var starts = await SampleAsync(system, $"SELECT start_ns::text FROM traces ORDER BY random() LIMIT {rounds}", cancellationToken);
        using var client = new HttpClient { BaseAddress = new Uri(system.Phoenix.HttpUrl) };
        var figures = new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["cores"] = Environment.ProcessorCount,
            ["spans_stored"] = stored,
            ["rollup_lag_ms"] = rollupLag.TotalMilliseconds,
        };
        var questions = new (string Name, IReadOnlyList<string> Samples, Func<string, string> Path)[]
        {
            ("get_trace", traces, trace => $"/v1/projects/default/spans?limit=1000&trace_id={trace}"),
            ("list_traces", starts, start => $"/v1/projects/default/traces?limit=100&end_time_unix_nano={start}"),
            ("slowest_traces", starts, _ => "/v1/projects/default/traces?limit=100&sort=latency_ms"),
            ("list_spans", starts, start => $"/v1/projects/default/spans?limit=100&end_time_unix_nano={start}"),
            ("filter_attribute", users, user => $"/v1/projects/default/spans?limit=20&attribute=user.id:%22{user}%22"),
            ("full_text", users, user => $"/v1/projects/default/spans?limit=20&text={user}"),
            ("session", sessions, session => $"/v1/sessions/{session}"),
            ("dashboard", starts, _ => "/projects/default"),
        };
        foreach (var (name, samples, path) in questions)
        {
            await AskAsync(client, path(samples[0]), cancellationToken);
            var times = new List<double>(samples.Count);
            foreach (var sample in samples)
            {
                times.Add(await AskAsync(client, path(sample), cancellationToken));
            }

            times.Sort();
            figures[$"{name}_p50_ms"] = times[times.Count / 2];
            figures[$"{name}_p95_ms"] = times[Math.Min(times.Count - 1, times.Count * 95 / 100)];
        }

        IngestBenchmark.Report(args, figures);
        return 0;
    }

    private static async Task<double> AskAsync(HttpClient client, string path, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        using var response = await client.GetAsync(path, cancellationToken);
        await response.Content.ReadAsByteArrayAsync(cancellationToken);
        response.EnsureSuccessStatusCode();
        return clock.Elapsed.TotalMilliseconds;
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
