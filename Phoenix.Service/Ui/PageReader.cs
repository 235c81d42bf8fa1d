using System.Data.Common;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui;

/// <summary>The readers, as the pages use them: rows become views, with the names of their resources.</summary>
internal sealed class PageReader(
    ProjectReader projects, SpanReader spans, TraceReader traces, TraceListReader traceLists, SessionListReader sessions, LogReader logs,
    MetricReader metrics, InternReader interned, TraceRanges ranges, OverviewReader overviews, TimeProvider time)
{
    /// <summary>Most spans of one trace that a page shows.</summary>
    public const int MostSpans = 20_000;

    private const int MostLogsOfSpan = 200;
    private const int MostOfTurn = 20_000;
    private const int MostMetricNames = 1000;
    private const int ActivitySlices = 90;

    // A search for what hardly any trace has goes on this long before it hands the rest to the next page.
    private static readonly TimeSpan s_searchBudget = TimeSpan.FromSeconds(3);

    /// <summary>The project that a path names, or null.</summary>
    public Task<ProjectRow?> FindProjectAsync(string identifier, CancellationToken cancellationToken) =>
        projects.FindProjectAsync(identifier, cancellationToken);

    /// <summary>The project's line for its header.</summary>
    public Task<ProjectOverviewRow?> FindOverviewAsync(int projectId, TimeRange range, CancellationToken cancellationToken) =>
        overviews.FindProjectAsync(projectId, range.StartNanos, range.EndNanos, cancellationToken);

    /// <summary>
    /// The trace's spans, at most <see cref="MostSpans"/>, with no more of their attributes than its facts are made of, and its tree; null
    /// when the project has no such trace.
    /// </summary>
    public async Task<(List<SpanRow> Rows, SpanTree Tree)?> FindTraceAsync(int projectId, Guid traceId, CancellationToken cancellationToken)
    {
        var rows = await spans.ReadTraceAsync(projectId, traceId, MostSpans, TraceFacts.Trim, cancellationToken);
        if (rows.Count == 0)
        {
            return null;
        }

        var resources = await interned.ResourcesAsync(rows.Select(static row => row.ResourceId), cancellationToken);
        return (rows, SpanTree.Build(rows, id => resources[id].ServiceName));
    }

    /// <summary>All about one span of <paramref name="row"/>.</summary>
    public async Task<SpanDetail> DescribeAsync(SpanRow row, CancellationToken cancellationToken)
    {
        var resources = await interned.ResourcesAsync([row.ResourceId], cancellationToken);
        var scopes = await interned.ScopesAsync([row.ScopeId], cancellationToken);
        var found = await logs.ReadAscendingAsync(
            row.ProjectId, new LogFilter { TraceId = row.TraceId, SpanId = row.SpanId }, after: null, MostLogsOfSpan, cancellationToken);
        return SpanDetail.From(row, resources[row.ResourceId], scopes[row.ScopeId], await ViewAsync(found, cancellationToken));
    }

    /// <summary>The span with this id, or null.</summary>
    public async Task<SpanRow?> FindSpanAsync(int projectId, Guid traceId, long spanId, CancellationToken cancellationToken) =>
        (await spans.FindAsync(projectId, [(traceId, spanId)], cancellationToken)).Rows.FirstOrDefault();

    /// <summary>One page of spans, newest first, and where the next starts (null on the last).</summary>
    public async Task<(List<SpanListItem> Items, SpanKey? Next)> ListSpansAsync(
        int projectId, SpanFilter filter, SpanKey? after, int limit, CancellationToken cancellationToken)
    {
        var page = await spans.ListAsync(projectId, filter, after, limit, cancellationToken);
        var resources = await interned.ResourcesAsync(page.Spans.Select(static row => row.ResourceId), cancellationToken);
        return ([.. page.Spans.Select(row => SpanListItem.From(row, resources[row.ResourceId].ServiceName))], page.Next);
    }

    /// <summary>One page of traces, newest first, with the beginnings of what their roots were asked and answered.</summary>
    public async Task<(List<TraceListItem> Items, TraceListKey? Next)> ListTracesAsync(
        int projectId, TraceListFilter filter, TraceListKey? after, int limit, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var found = new List<TraceRow>();
        do
        {
            var page = await traceLists.ListAsync(projectId, filter, after, limit - found.Count, cancellationToken);
            found.AddRange(page.Traces);
            after = page.Next;
        }
        while (after is not null && found.Count < limit && time.GetElapsedTime(started) < s_searchBudget);

        var roots = await ReadRootsAsync(projectId,
            found.Select(static trace => ((Guid?)trace.TraceId, trace.RootSpanId)), Preview.Of, cancellationToken);
        return ([.. found.Select(trace => View(trace, roots.GetValueOrDefault(trace.TraceId)))], after);

        static TraceListItem View(TraceRow trace, (string? Input, string? Output) root) => new(
            TelemetryIds.FormatTrace(trace.TraceId), trace.RootName ?? "(no root yet)", trace.RootSpanKind, trace.RootService,
            trace.StartNanos, trace.DurationNanos,
            trace.SpanCount, trace.ErrorCount, trace.PromptTokens, trace.CompletionTokens, trace.CostPicoUsd, trace.SessionId, trace.UserId,
            root.Input, root.Output);
    }

    /// <summary>One page of sessions, newest first, with how each began and ended.</summary>
    public async Task<(List<SessionListItem> Items, TraceListKey? Next)> ListSessionsAsync(
        int projectId, TimeRange range, string? text, TraceListKey? after, int limit, CancellationToken cancellationToken)
    {
        var page = await sessions.ListAsync(projectId, range.StartNanos, range.EndNanos, text, after, limit, cancellationToken);
        var ends = page.Sessions.SelectMany(static row => new[] { (row.FirstTraceId, row.FirstRootId), (row.LastTraceId, row.LastRootId) })
            .Distinct();
        var roots = await ReadRootsAsync(projectId, ends, Preview.Of, cancellationToken);
        return ([.. page.Sessions.Select(row => View(row, Root(row.FirstTraceId).Input, Root(row.LastTraceId).Output))], page.Next);

        (string? Input, string? Output) Root(Guid? traceId) => traceId is { } id ? roots.GetValueOrDefault(id) : default;
    }

    /// <summary>
    /// A session and its exchanges by start, at most <paramref name="limit"/>; null when the project has no such session.
    /// </summary>
    public async Task<(SessionListItem Session, List<SessionTurn> Turns)?> FindSessionAsync(
        int projectId, string sessionId, int limit, CancellationToken cancellationToken)
    {
        if (await sessions.FindAsync(projectId, sessionId, cancellationToken) is not { } row)
        {
            return null;
        }

        var found = await traces.OfSessionsAsync(projectId, [sessionId], limit, cancellationToken);
        var roots = await ReadRootsAsync(projectId,
            found.Select(static trace => ((Guid?)trace.TraceId, trace.RootSpanId)), static (root, side) => Preview.Beginning(root, side, MostOfTurn),
            cancellationToken);
        return (View(row, input: null, output: null), [.. found.Select(trace => Turn(trace, roots.GetValueOrDefault(trace.TraceId)))]);

        static SessionTurn Turn(TraceRow trace, (string? Input, string? Output) root) => new(
            TelemetryIds.FormatTrace(trace.TraceId), trace.RootName ?? "(no root yet)", trace.StartNanos,
            trace.DurationNanos, trace.ErrorCount > 0,
            BoundedSum.Add(trace.PromptTokens, trace.CompletionTokens), trace.CostPicoUsd, trace.SpanCount,
            root.Input, root.Output);
    }

    private static SessionListItem View(SessionListRow row, string? input, string? output) => new(
        row.Session.SessionId, row.Session.UserId, row.Session.StartNanos, row.Session.EndNanos,
        row.Session.TraceCount, row.Session.ErrorCount,
        BoundedSum.Add(row.Session.PromptTokens, row.Session.CompletionTokens), row.Session.CostPicoUsd, row.P50Nanos, row.SuccessShare, input, output);

    // What root spans were asked and answered, by trace, without traces whose root has not arrived. As many at once as a page may hold: of
    // large spans only what is shown is kept.
    private async Task<Dictionary<Guid, (string? Input, string? Output)>> ReadRootsAsync(
        int projectId, IEnumerable<(Guid? TraceId, long? SpanId)> roots, Func<AttributeSet, string, string?> view,
        CancellationToken cancellationToken)
    {
        var ids = roots.Where(static root => root is { TraceId: not null, SpanId: not null })
            .Select(static root => (root.TraceId!.Value, root.SpanId!.Value)).ToList();
        var shown = new Dictionary<Guid, (string? Input, string? Output)>();
        for (int first = 0, count = ids.Count; first < ids.Count; count = Math.Min(count, ids.Count - first))
        {
            var (rows, cut) = await spans.FindAsync(projectId, ids.GetRange(first, count), cancellationToken);
            if (cut)
            {
                count /= 2; // one alone always fits
                continue;
            }

            foreach (var row in rows)
            {
                var attributes = new AttributeSet(row.Attributes, row.Derived);
                shown[row.TraceId] = (view(attributes, "input"), view(attributes, "output"));
            }

            first += count;
        }

        return shown;
    }

    /// <summary>One page of log records, newest first, from <paramref name="from"/> (inclusive) on, and where the next starts.</summary>
    public async Task<(List<LogView> Items, LogKey? Next)> ListLogsAsync(
        int projectId, LogFilter filter, LogKey? from, int limit, CancellationToken cancellationToken)
    {
        var page = await logs.ReadDescendingAsync(projectId, filter, from, limit, cancellationToken);
        return (await ViewAsync(page.Logs, cancellationToken), page.Next);
    }

    /// <summary>The project's models as choices of a filter.</summary>
    public async Task<IReadOnlyList<(string Value, string Label)>> ListModelsAsync(
        int projectId, TimeRange range, CancellationToken cancellationToken)
    {
        var models = await overviews.ReadModelsAsync(projectId, range.StartNanos, range.EndNanos, cancellationToken);
        return [.. models.Select(static model => model.Model).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
            .Select(static name => (name, name))];
    }

    /// <summary>The project's activity over time; null without spans.</summary>
    public async Task<ActivityView?> ReadActivityAsync(int projectId, TimeRange range, CancellationToken cancellationToken)
    {
        var (rows, sliceMinutes) = await overviews.ReadActivityAsync(
            projectId, range.StartNanos, range.EndNanos, ActivitySlices, cancellationToken);
        return ActivityView.From(rows, sliceMinutes);
    }

    /// <summary>The project's models, the costliest first.</summary>
    public async Task<IReadOnlyList<ModelUsageView>> ReadModelUsageAsync(
        int projectId, TimeRange range, CancellationToken cancellationToken) =>
        [.. (await overviews.ReadModelsAsync(projectId, range.StartNanos, range.EndNanos, cancellationToken)).Select(ModelUsageView.From)];

    /// <summary>Names of the metrics the project sent, as choices.</summary>
    public async Task<IReadOnlyList<(string Value, string Label)>> ListMetricNamesAsync(
        int projectId, CancellationToken cancellationToken) =>
        [.. (await overviews.ListMetricNamesAsync(projectId, MostMetricNames, cancellationToken)).Select(static name => (name, name))];

    /// <summary>A received metric as lines, and whether something was left out; null when the project never sent it.</summary>
    public async Task<(IReadOnlyList<ChartLine> Lines, string? Unit, bool IsCut)?> ReadMetricAsync(
        int projectId, string name, TimeRange range, int mostSeries, int mostPoints, CancellationToken cancellationToken)
    {
        var (series, hasMore) = await metrics.ListSeriesAsync(projectId, name, afterName: null, afterId: 0, mostSeries, cancellationToken);
        if (series.Count == 0)
        {
            return null;
        }

        var resources = await interned.ResourcesAsync(series.Select(static row => row.ResourceId), cancellationToken);
        var points = await metrics.ReadValuesAsync(
            [.. series.Select(static row => row.Id)], range.StartNanos, range.EndNanos, mostPoints, cancellationToken);
        return (MetricViews.Lines(series, resources, points), series[0].Unit, hasMore || points.Count == mostPoints);
    }

    /// <summary>Log records with their services.</summary>
    public async Task<List<LogView>> ViewAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken)
    {
        var resources = await interned.ResourcesAsync(rows.Select(static row => row.ResourceId), cancellationToken);
        return [.. rows.Select(row => new LogView(
            row.Id, row.TimeNanos, row.Severity, row.SeverityText
                ?? (row.Severity == 0 ? "–" : $"{row.Severity}"), resources[row.ResourceId].ServiceName,
            row.Body ?? "", row.EventName, row.TraceId is { } trace ? TelemetryIds.FormatTrace(trace) : null,
            TelemetryIds.FormatSpan(row.SpanId), new AttributeSet(row.Attributes, derived: null)))];
    }

    /// <summary>A project that has this trace, the one where it started last, by name or id; null when none has it.</summary>
    public async Task<string?> FindProjectOfTraceAsync(Guid traceId, CancellationToken cancellationToken)
    {
        var found = await ranges.FindAsync(traceId, cancellationToken);
        if (found.Count == 0 || await projects.FindAsync(found[0].ProjectId, cancellationToken) is not { } project)
        {
            return null;
        }

        return Links.Identifier(project.Id, project.Name);
    }

    /// <summary>Whether a failure to read is the reader's: a value of the address that no text can hold.</summary>
    public static bool IsNoText(Exception failure) => PostgresErrors.IsNoText(failure);

    /// <summary>Whether a failure to read is the database's, so that a page says so instead of failing.</summary>
    public static bool IsDatabaseFault(Exception failure) => failure is DbException or TimeoutException;
}
