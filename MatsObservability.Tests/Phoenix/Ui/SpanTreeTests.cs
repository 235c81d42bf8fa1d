using Phoenix.Service.Storage;
using Phoenix.Service.Ui.Models;

namespace MatsObservability.Tests.Phoenix.Ui;

public sealed class SpanTreeTests
{
    [Fact]
    public void Build_Siblings_AreDepthFirstByStart()
    {
        var tree = Build(Row(3, 1, 30), Row(1, null, 0), Row(2, 1, 10), Row(4, 2, 20));

        Assert.Equal([(1, 0), (2, 1), (4, 2), (3, 1)], tree.Nodes.Select(node => (Convert.ToInt32(node.Id, 16), node.Depth)));
        Assert.Equal([3, 1, 0, 0], tree.Nodes.Select(node => node.Descendants));
    }

    [Fact]
    public void Build_ParentMissing_IsARootMarkedAsOrphan()
    {
        var tree = Build(Row(1, null, 0), Row(2, 99, 5));

        Assert.Equal([false, true], tree.Nodes.Select(node => node.IsOrphan));
        Assert.All(tree.Nodes, node => Assert.Equal(0, node.Depth));
    }

    [Fact]
    public void Build_Cycle_ShowsEverySpanOnce()
    {
        var tree = Build(Row(1, 2, 0), Row(2, 1, 5), Row(3, 3, 7));

        Assert.Equal(3, tree.Nodes.Select(node => node.Id).Distinct().Count());
    }

    [Fact]
    public void Build_ChainOfTenThousand_DoesNotOverflow()
    {
        var tree = Build([.. Enumerable.Range(1, 10_000).Select(id => Row(id, id == 1 ? null : id - 1, id))]);

        Assert.Equal(9_999, tree.Nodes[^1].Depth);
        Assert.Equal(9_999, tree.Nodes[0].Descendants);
    }

    [Fact]
    public void Build_ErrorsBelow_AreCountedOnEveryAncestor()
    {
        var tree = Build(Row(1, null, 0), Row(2, 1, 1), Row(3, 2, 2, status: 2), Row(4, 1, 3, status: 2));

        Assert.Equal([2, 1, 0, 0], tree.Nodes.Select(node => node.ErrorsBelow));
    }

    [Fact]
    public void Build_Bars_AreSharesOfTheTrace()
    {
        var tree = Build(Row(1, null, 0, end: 100), Row(2, 1, 25, end: 75));

        Assert.Equal(0.25, tree.Nodes[1].Offset);
        Assert.Equal(0.5, tree.Nodes[1].Width);
        Assert.Equal(100, tree.DurationNanos);
    }

    [Fact]
    public void Facts_ErrorThatItsCallersPassOn_IsFirstWhereItBegan()
    {
        SpanRow[] rows = [Row(1, null, 0, 100, status: 2), Row(2, 1, 10, 30), Row(3, 1, 40, 90, status: 2), Row(4, 3, 50, 90, status: 2)];

        var facts = TraceFacts.From(rows, Build(rows));

        Assert.Equal((3, "span 4"), (facts.Errors, facts.FirstErrorName));
    }

    private static SpanTree Build(params SpanRow[] rows) => SpanTree.Build(rows, _ => "service");

    private static SpanRow Row(long id, long? parent, long start, long? end = null, short status = 0) => new(
        1, Guid.Empty, id, parent, start, end ?? start + 1, $"span {id}", 1, 0, status, null, 1, 1, null, null, null, null, null, null,
        null, "{}", null, null, null, null, null);
}
