using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;

namespace Orchestrator.Agent.Evidence;

/// <summary>Reads a project's telemetry of a time range from Phoenix.Service's export.</summary>
/// <param name="http">Based on Phoenix.Service's address.</param>
/// <param name="stall">A stream that brings nothing for this long counts as cut short.</param>
public sealed class TelemetryReader(HttpClient http, TimeSpan stall)
{
    private const int MaxLineBytes = 64 * 1024 * 1024;
    private static readonly string[] s_instanceKeys = ["k8s.pod.name", "service.instance.id", "host.name"];
    private static readonly string[] s_versionKeys = ["service.version", "vcs.ref.head.revision", "git_commit_sha", "container.image.tag"];

    /// <summary>How far before a window its metrics are read: what a series did before is its first baseline.</summary>
    private static readonly long s_metricHistoryNanos = (long)TimeSpan.FromMinutes(10).TotalNanoseconds;

    /// <summary>
    /// One signal of [start, end), in Unix nanoseconds; metrics with their history before it. Whole or not at all: a half-read signal would
    /// look as if something had vanished. An unknown project is an empty window with a gap that says so.
    /// </summary>
    /// <param name="signal">One of <see cref="TelemetryWindow.Signals"/>, or <see cref="TelemetryWindow.Changes"/>: the log records that
    /// are change events.</param>
    /// <exception cref="HttpRequestException">When the service does not answer, or with an error.</exception>
    /// <exception cref="IOException">When the stream was cut short, stalled, or holds something else than records.</exception>
    public async Task<TelemetryWindow> ReadAsync(string project, string signal, long startNanos, long endNanos,
        CancellationToken cancellationToken)
    {
        var from = signal == TelemetryWindow.Metrics ? Math.Max(0, startNanos - s_metricHistoryNanos) : startNanos;
        var kind = signal == TelemetryWindow.Changes ? $"logs&event_name={ChangeEvent.Name}" : signal;
        var path = string.Create(
            CultureInfo.InvariantCulture,
            $"v1/projects/{Uri.EscapeDataString(project)}/export?start_time_unix_nano={from}&end_time_unix_nano={endNanos}&signals={kind}");
        using var response = await http.GetAsync(new Uri(path, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead,
            cancellationToken);
        if (response.StatusCode == System.Net.HttpStatusCode.NotFound)
        {
            return TelemetryWindow.Empty(project, startNanos, endNanos, new(TelemetryGap.Project, $"there is no project '{project}'"));
        }

        response.EnsureSuccessStatusCode();
        var lines = await ReadLinesAsync(project, await response.Content.ReadAsStreamAsync(cancellationToken), cancellationToken);
        return new(project, startNanos, endNanos, lines.Spans, lines.Logs, lines.Series, []);
    }

    private async Task<Lines> ReadLinesAsync(string project, Stream body, CancellationToken cancellationToken)
    {
        var lines = new Lines();
        var reader = PipeReader.Create(body);
        try
        {
            while (!lines.Ended)
            {
                var read = await NextAsync(project, reader, cancellationToken);
                var buffer = read.Buffer;
                while (buffer.PositionOf((byte)'\n') is { } end)
                {
                    lines.Add(buffer.Slice(0, end));
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                }

                if (buffer.Length > MaxLineBytes)
                {
                    throw new IOException($"The export of {project} has a line over {MaxLineBytes} bytes.");
                }

                reader.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted && !lines.Ended)
                {
                    throw new IOException($"The export of {project} was cut short.");
                }
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or FormatException)
        {
            throw new IOException($"The export of {project} holds a line that is no record.", e);
        }
        finally
        {
            await reader.CompleteAsync();
        }

        return lines;
    }

    private async Task<ReadResult> NextAsync(string project, PipeReader reader, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(stall);
        try
        {
            return await reader.ReadAsync(limit.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"The export of {project} brought nothing for {stall.TotalSeconds:0.#} s."), e);
        }
    }

    /// <summary>The lines of one export, as they come.</summary>
    private sealed class Lines
    {
        private static readonly IReadOnlyDictionary<string, object> s_none = new Dictionary<string, object>();
        private readonly Dictionary<string, Resource> _resources = new(StringComparer.Ordinal);
        private readonly Dictionary<string, (MetricSeries Series, List<MetricPoint> Points)> _series = new(StringComparer.Ordinal);

        public List<SpanRecord> Spans { get; } = [];
        public List<LogRecord> Logs { get; } = [];
        public List<MetricSeries> Series => [.. _series.Values.Select(entry => entry.Series)];
        public bool Ended { get; private set; }

        public void Add(ReadOnlySequence<byte> line)
        {
            if (line.IsEmpty)
            {
                return;
            }

            using var document = JsonDocument.Parse(line);
            var root = document.RootElement;
            foreach (var record in root.EnumerateObject())
            {
                var body = record.Value;
                switch (record.Name)
                {
                    case "resource":
                        var about = Attributes(body);
                        _resources[body.GetProperty("id").GetString()!] = new(
                            Text(body, "service") ?? "", s_instanceKeys.Select(key => about.GetValueOrDefault(key) as string)
                                .FirstOrDefault(value => value is not null),
                            [.. s_versionKeys.Where(about.ContainsKey).Select(key => KeyValuePair.Create(key, about[key]))]);
                        break;
                    case "span":
                        Spans.Add(Span(body));
                        break;
                    case "log":
                        Logs.Add(Log(body));
                        break;
                    case "series":
                        AddSeries(body);
                        break;
                    case "points":
                        AddPoints(body);
                        break;
                    case "end":
                        Ended = true;
                        break;
                }
            }
        }

        private SpanRecord Span(JsonElement span)
        {
            var resource = Of(span);
            return new(
                Text(span, "trace_id")!, Text(span, "span_id")!, Text(span, "parent_id"), resource.Service, resource.Instance,
                Text(span, "name") ?? "",
                span.GetProperty("kind").GetInt32(), span.GetProperty("status").GetInt32(), Text(span, "status_message"),
                span.GetProperty("start_ns").GetInt64(),
                span.GetProperty("end_ns").GetInt64(), Attributes(span, resource.Version), Events(span));
        }

        private LogRecord Log(JsonElement log)
        {
            var resource = Of(log);
            return new(
                log.GetProperty("record_id").GetInt64(), log.GetProperty("time_ns").GetInt64(), resource.Service, resource.Instance,
                log.TryGetProperty("severity", out var severity) && severity.ValueKind == JsonValueKind.Number ? severity.GetInt32() : 0,
                Text(log, "severity_text"), Text(log, "body") ?? "", Text(log, "trace_id"), Text(log, "span_id"), Text(log, "event_name"),
                Attributes(log, resource.Version));
        }

        private void AddSeries(JsonElement series)
        {
            var resource = Of(series);
            var id = series.GetProperty("series_id").GetString()!;
            var points = new List<MetricPoint>();
            _series[id] = (
                new(long.Parse(id, CultureInfo.InvariantCulture), Text(series, "name")
                    ?? "", Text(series, "unit"), series.GetProperty("type").GetInt32(),
                    resource.Service, resource.Instance, Attributes(series), points),
                points);
        }

        private void AddPoints(JsonElement points)
        {
            var target = _series[points.GetProperty("series_id").GetString()!].Points;
            foreach (var pair in points.GetProperty("values").EnumerateArray())
            {
                if (pair[1].ValueKind == JsonValueKind.Number)
                {
                    target.Add(new(pair[0].GetInt64(), pair[1].GetDouble()));
                }
            }
        }

        private Resource Of(JsonElement record) => _resources[record.GetProperty("resource").GetString()!];

        private static List<SpanEventRecord> Events(JsonElement span)
        {
            var events = new List<SpanEventRecord>();
            foreach (var e in span.GetProperty("events").EnumerateArray())
            {
                events.Add(new(Text(e, "name") ?? "", e.TryGetProperty("time_ns", out var time) ? time.GetInt64() : 0, Attributes(e)));
            }

            return events;
        }

        private static IReadOnlyDictionary<string, object> Attributes(JsonElement record, KeyValuePair<string, object>[]? inherited = null)
        {
            if (!record.TryGetProperty("attributes", out var found) || found.ValueKind != JsonValueKind.Object)
            {
                return s_none;
            }

            var attributes = new Dictionary<string, object>(StringComparer.Ordinal);
            foreach (var (key, value) in inherited ?? [])
            {
                attributes[key] = value;
            }

            foreach (var attribute in found.EnumerateObject())
            {
                if (Value(attribute.Value) is { } value)
                {
                    attributes[attribute.Name] = value;
                }
            }

            return attributes;
        }

        private static object? Value(JsonElement value) => value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.Number => value.TryGetInt64(out var whole) ? whole : value.GetDouble(),
            JsonValueKind.Null or JsonValueKind.Undefined => null,
            _ => value.GetRawText(),
        };

        private static string? Text(JsonElement record, string name) =>
            record.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    private sealed record Resource(string Service, string? Instance, KeyValuePair<string, object>[] Version);
}
