using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui.Models;

/// <summary>
/// The spans of a trace in display order: depth first, siblings by start. Spans whose parent is missing count as roots, and so does the
/// earliest span of a cycle, so that no span is hidden; of spans that repeat an id one is shown. Works without recursion: a hostile trace
/// may be as deep as it has spans.
/// </summary>
public sealed class SpanTree
{
    private SpanTree(IReadOnlyList<SpanNode> nodes, long startNanos, long endNanos) =>
        (Nodes, StartNanos, EndNanos) = (nodes, startNanos, endNanos);

    /// <summary>Every span id once.</summary>
    public IReadOnlyList<SpanNode> Nodes { get; }

    /// <summary>Earliest start.</summary>
    public long StartNanos { get; }

    /// <summary>Latest end, at least <see cref="StartNanos"/>.</summary>
    public long EndNanos { get; }

    /// <summary>Wall-clock length.</summary>
    public long DurationNanos => EndNanos - StartNanos;

    /// <summary>Arranges <paramref name="rows"/>, which are of one trace and not empty.</summary>
    internal static SpanTree Build(IReadOnlyList<SpanRow> rows, Func<long, string> serviceOf)
    {
        var start = rows.Min(static row => row.StartNanos);
        var end = rows.Max(static row => Math.Max(row.StartNanos, row.EndNanos));
        var byId = rows.Select(static row => row.SpanId).ToHashSet();
        var children = rows.Where(row => row.ParentId is { } parent && byId.Contains(parent)).ToLookup(static row => row.ParentId!.Value);
        var placed = new HashSet<long>(rows.Count);
        var nodes = new List<SpanNode>(rows.Count);
        var byStart = rows.OrderBy(static row => row.StartNanos).ThenBy(static row => row.SpanId).ToList();
        foreach (var root in byStart.Where(row => row.ParentId is not { } parent || !byId.Contains(parent)))
        {
            Place(root);
        }

        // What is left hangs in cycles.
        foreach (var row in byStart.Where(row => !placed.Contains(row.SpanId)))
        {
            Place(row);
        }

        CountDescendants(nodes);
        return new SpanTree(nodes, start, end);

        void Place(SpanRow root)
        {
            var open = new Stack<(SpanRow Row, int Depth)>();
            open.Push((root, 0));
            while (open.TryPop(out var next))
            {
                if (!placed.Add(next.Row.SpanId))
                {
                    continue;
                }

                nodes.Add(ToNode(next.Row, next.Depth, start, end, serviceOf));
                foreach (var child in children[next.Row.SpanId].OrderByDescending(static row => row.StartNanos)
                    .ThenByDescending(static row => row.SpanId))
                {
                    open.Push((child, next.Depth + 1));
                }
            }
        }
    }

    // Walking backwards, a node's descendants are the run of deeper nodes right behind it.
    private static void CountDescendants(List<SpanNode> nodes)
    {
        var open = new Stack<(int Depth, int Spans, int Errors)>();
        for (var index = nodes.Count - 1; index >= 0; index--)
        {
            var node = nodes[index];
            var (spans, errors) = (0, 0);
            while (open.TryPeek(out var below) && below.Depth > node.Depth)
            {
                open.Pop();
                spans += below.Spans;
                errors += below.Errors;
            }

            (node.Descendants, node.ErrorsBelow) = (spans, errors);
            open.Push((node.Depth, spans + 1, errors + (node.IsError ? 1 : 0)));
        }
    }

    private static SpanNode ToNode(SpanRow row, int depth, long start, long end, Func<long, string> serviceOf)
    {
        var length = Math.Max(1d, end - start);
        return new SpanNode
        {
            Id = TelemetryIds.FormatSpan(row.SpanId),
            Name = row.Name,
            Kind = row.SpanKind,
            Service = serviceOf(row.ResourceId),
            IsError = row.Status == SpanCodes.ErrorStatus,
            StartNanos = row.StartNanos,
            DurationNanos = row.DurationNanos,
            Model = row.LlmModel,
            Tokens = row.PromptTokens is null && row.CompletionTokens is null
                ? null
                : (row.PromptTokens ?? 0) + (row.CompletionTokens ?? 0),
            CostPicoUsd = row.CostPicoUsd,
            IsOrphan = depth == 0 && row.ParentId is not null,
            Depth = depth,
            Offset = (row.StartNanos - start) / length,
            Width = row.DurationNanos / length,
        };
    }
}
