using System.Buffers;
using System.IO.Pipelines;
using System.Text.Encodings.Web;
using System.Text.Json;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Export;

/// <summary>What an export holds.</summary>
internal readonly record struct ExportRequest(int ProjectId, long StartNanos, long EndNanos, bool Spans, bool Logs, bool Metrics)
{
    /// <summary>Only log records of this event name; null = all.</summary>
    public string? LogEventName { get; init; }
}

/// <summary>
/// Streams a project's telemetry of a time range as JSON lines. Rows are read in pages, each a statement of its own, so memory stays at one
/// page and no connection is held while a slow client reads. The last line, <c>{"end":…}</c>, proves that the stream is complete.
/// </summary>
internal sealed class ExportStream(SpanReader spans, LogReader logs, MetricReader metrics, InternReader interned)
{
    /// <summary>About how many bytes are written before they are sent.</summary>
    public const int FlushBytes = 64 * 1024;

    private const int PageRows = 2_000;
    private const int SeriesPage = 500;
    private const int PointPage = 20_000;
    private const int PointsPerLine = 1_000;

    /// <summary>
    /// 1. Spans by start. 2. Logs by time. 3. Metrics series by series, points by time. 4. The end mark.
    /// A resource's line precedes the first line that names it, a series' line its points.
    /// </summary>
    public async Task WriteAsync(ExportRequest request, PipeWriter output, CancellationToken cancellationToken)
    {
        using var lines = new LineWriter(output);
        long spanCount = 0, logCount = 0, pointCount = 0;

        // 1.
        if (request.Spans)
        {
            spanCount = await WriteSpansAsync(request, lines, cancellationToken);
        }

        // 2.
        if (request.Logs)
        {
            logCount = await WriteLogsAsync(request, lines, cancellationToken);
        }

        // 3.
        if (request.Metrics)
        {
            pointCount = await WriteMetricsAsync(request, lines, cancellationToken);
        }

        // 4.
        var json = lines.Start();
        json.WriteStartObject();
        json.WriteStartObject("end");
        json.WriteNumber("spans", spanCount);
        json.WriteNumber("logs", logCount);
        json.WriteNumber("points", pointCount);
        json.WriteEndObject();
        json.WriteEndObject();
        lines.End();
        await lines.FlushAsync(cancellationToken);
    }

    private Task<long> WriteSpansAsync(ExportRequest request, LineWriter lines,
        CancellationToken cancellationToken) => WriteRecordsAsync<SpanRow, SpanKey>(
        after => spans.ReadAscendingAsync(request.ProjectId, request.StartNanos, request.EndNanos, after, PageRows, cancellationToken),
        static row => (row.Key, row.ResourceId, row.ScopeId), RecordJson.WriteSpan, lines, cancellationToken);

    private Task<long> WriteLogsAsync(ExportRequest request, LineWriter lines, CancellationToken cancellationToken)
    {
        var filter = new LogFilter { StartNanos = request.StartNanos, EndNanos = request.EndNanos, EventName = request.LogEventName };
        return WriteRecordsAsync<LogRow, LogKey>(
            after => logs.ReadAscendingAsync(request.ProjectId, filter, after, PageRows, cancellationToken),
            static row => (row.Key, row.ResourceId, row.ScopeId), RecordJson.WriteLog, lines, cancellationToken);
    }

    /// <summary>Writes all records, page by page; how many there were.</summary>
    private async Task<long> WriteRecordsAsync<TRow, TKey>(
        Func<TKey?, Task<List<TRow>>> readAfter, Func<TRow, (TKey Key, long ResourceId, long ScopeId)> refer,
        Action<Utf8JsonWriter, TRow, ResourceRow, ScopeRow> write, LineWriter lines, CancellationToken cancellationToken)
        where TKey : struct
    {
        long count = 0;
        TKey? after = null;
        while (await readAfter(after) is { Count: > 0 } page)
        {
            var resources = await interned.ResourcesAsync(page.Select(row => refer(row).ResourceId), cancellationToken);
            var scopes = await interned.ScopesAsync(page.Select(row => refer(row).ScopeId), cancellationToken);
            foreach (var row in page)
            {
                var resource = resources[refer(row).ResourceId];
                lines.Resource(resource);
                write(lines.Start(), row, resource, scopes[refer(row).ScopeId]);
                lines.End();
                await lines.FlushWhenFullAsync(cancellationToken);
            }

            count += page.Count;
            after = refer(page[^1]).Key;
        }

        return count;
    }

    private async Task<long> WriteMetricsAsync(ExportRequest request, LineWriter lines, CancellationToken cancellationToken)
    {
        long count = 0;
        MetricSeriesRow? last = null;
        while (true)
        {
            var (series, _) = await metrics.ListSeriesAsync(request.ProjectId, null, last?.Name, last?.Id ?? 0, SeriesPage, cancellationToken);
            if (series.Count == 0)
            {
                return count;
            }

            var resources = await interned.ResourcesAsync(series.Select(row => row.ResourceId), cancellationToken);
            var byId = series.ToDictionary(row => row.Id);
            long[] ids = [.. byId.Keys];
            long announced = 0;
            var isAnnounced = false;
            (long SeriesId, long TimeNanos)? after = null;
            while (await metrics.ReadPointsAsync(
                ids, request.StartNanos, request.EndNanos, after, PointPage, cancellationToken) is { Count: > 0 } page)
            {
                for (var start = 0; start < page.Count;)
                {
                    var id = page[start].SeriesId;
                    var end = start + 1;
                    while (end < page.Count && page[end].SeriesId == id && end - start < PointsPerLine)
                    {
                        end++;
                    }

                    if (!isAnnounced || announced != id)
                    {
                        (announced, isAnnounced) = (id, true);
                        var resource = resources[byId[id].ResourceId];
                        lines.Resource(resource);
                        lines.Series(byId[id], resource);
                    }

                    count += lines.Points(id, page, start, end);
                    await lines.FlushWhenFullAsync(cancellationToken);
                    start = end;
                }

                after = (page[^1].SeriesId, page[^1].TimeNanos);
            }

            last = series[^1];
        }
    }

    /// <summary>Writes JSON objects one a line. The pipe's buffers are the only memory it uses.</summary>
    private sealed class LineWriter(PipeWriter output) : IDisposable
    {
        private static readonly JsonWriterOptions s_options = new()
        {
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            SkipValidation = true,
        };

        private readonly Utf8JsonWriter _json = new(output, s_options);
        private readonly HashSet<long> _resources = [];

        public void Dispose() => _json.Dispose();

        public Utf8JsonWriter Start() => _json;

        public void End()
        {
            _json.Flush();
            _json.Reset();
            output.Write("\n"u8);
        }

        public void Resource(ResourceRow resource)
        {
            if (_resources.Add(resource.Id))
            {
                RecordJson.WriteResource(_json, resource);
                End();
            }
        }

        public void Series(MetricSeriesRow series, ResourceRow resource)
        {
            _json.WriteStartObject();
            RecordJson.WriteSeries(_json, series, resource);
            _json.WriteEndObject();
            End();
        }

        /// <summary>The points that recorded a finite number; returns how many they are.</summary>
        public int Points(long seriesId, List<MetricPointRow> points, int start, int end)
        {
            var count = 0;
            for (var index = start; index < end; index++)
            {
                if (points[index].Number is not { } number)
                {
                    continue;
                }

                if (count++ == 0)
                {
                    _json.WriteStartObject();
                    _json.WriteStartObject("points");
                    _json.WriteString("series_id", RecordJson.Decimal(seriesId));
                    _json.WriteStartArray("values");
                }

                _json.WriteStartArray();
                _json.WriteNumberValue(points[index].TimeNanos);
                _json.WriteNumberValue(number);
                _json.WriteEndArray();
            }

            if (count > 0)
            {
                _json.WriteEndArray();
                _json.WriteEndObject();
                _json.WriteEndObject();
                End();
            }

            return count;
        }

        public ValueTask FlushWhenFullAsync(CancellationToken cancellationToken) =>
            output.UnflushedBytes >= FlushBytes ? FlushAsync(cancellationToken) : ValueTask.CompletedTask;

        public async ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            var result = await output.FlushAsync(cancellationToken);
            if (result.IsCompleted)
            {
                throw new OperationCanceledException("The reader of the export went away.");
            }
        }
    }
}
