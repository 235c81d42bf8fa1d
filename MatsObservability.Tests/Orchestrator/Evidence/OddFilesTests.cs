using System.IO.Compression;
using MatsObservability.Benchmarks.Rca;
using Orchestrator.Agent.Evidence;

namespace MatsObservability.Tests.Orchestrator.Evidence;

/// <summary>
/// Folders of cases as other systems leave them: signals without a file, empty files, fields that are missing or written another way.
/// </summary>
[Trait("Req", "B072")]
public sealed class OddFilesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("odd-cases-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Read_NoLogsFile_HasTheOtherSignals()
    {
        Write("traces",
            """{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},"scopeSpans":[{"spans":[{"traceId":"01","spanId":"02","name":"Cart/Get","startTimeUnixNano":"5","endTimeUnixNano":"9"}]}]}]}""");

        var window = OtlpFiles.Read(_folder, "odd");

        Assert.Equal(("cart", "Cart/Get", 4L), (window.Spans[0].Service, window.Spans[0].Name, window.Spans[0].DurationNanos));
        Assert.Empty(window.Logs);
    }

    [Fact]
    public void Read_EmptyFiles_AreAnEmptyWindow()
    {
        Write("logs");
        File.WriteAllBytes(Path.Combine(_folder, "traces.jsonl.gz"), []);

        var window = OtlpFiles.Read(_folder, "odd");

        Assert.Empty(window.Spans);
        Assert.Equal(Verdict.NoData, EvidenceEngine.Diagnose(window, window).Verdict);
    }

    [Fact]
    public void Read_MissingFieldsAndNames_AreRead()
    {
        Write("traces",
            """{"resourceSpans":[{"scopeSpans":[{"scope":{}},{"spans":[{"traceId":"01","spanId":"02"},{"traceId":"01","spanId":"03","parentSpanId":"02","name":"a","kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"},"startTimeUnixNano":7,"endTimeUnixNano":3,"attributes":[{"key":"x"}],"events":[{}]}]}]}]}""",
            """{"resourceSpans":[{"resource":{"attributes":[]}}]}""");
        Write("logs", """{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"8"}]}]}]}""");

        var window = OtlpFiles.Read(_folder, "odd");

        Assert.Equal(["", "a"], window.Spans.Select(static span => span.Name));
        Assert.Equal((2, 2, 0L), (window.Spans[1].Kind, window.Spans[1].Status, window.Spans[1].DurationNanos));
        Assert.NotNull(EvidenceEngine.Diagnose(window, window));
    }

    [Fact]
    public void Read_MetricsThatAreNoNumbersOrNoGauges_LeaveTheRest()
    {
        Write("metrics", """
            {"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},"scopeMetrics":[{"metrics":[{"name":"cpu","gauge":{"dataPoints":[{"timeUnixNano":"1","asDouble":"NaN"},{"timeUnixNano":"2","asDouble":0.5},{"timeUnixNano":"3"},{"timeUnixNano":"4","asInt":"2"}]}},{"name":"none"},{"name":"latency","histogram":{"dataPoints":[{"timeUnixNano":"5","count":"4","sum":8},{"timeUnixNano":"6","count":"0","sum":0}]}}]}]}]}
            """.Trim());

        var window = OtlpFiles.Read(_folder, "odd");

        Assert.Equal([0.5, 2.0], window.Series[0].Points.Select(static point => point.Value));
        Assert.Equal((3, 2.0), (window.Series[1].Type, Assert.Single(window.Series[1].Points).Value));
        Assert.Equal((2L, 6L), (window.StartNanos, window.EndNanos));
    }

    [Fact]
    public void Requests_OfAStretch_KeepsWhatLiesInIt()
    {
        Write("traces",
            """{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"02","startTimeUnixNano":"5"},{"spanId":"03","startTimeUnixNano":"50"},{"spanId":"04"}]}]},{"resource":{}}]}""");

        var (_, line) = Assert.Single(OtlpFiles.Requests(_folder, 10, 90));

        Assert.Contains("03", line, StringComparison.Ordinal);
        Assert.DoesNotContain("02", line, StringComparison.Ordinal);
        Assert.DoesNotContain("04", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exception", null, "code", true)]
    [InlineData("return", "Cart/Get start_Cart/Get end", "code", true)]
    [InlineData("return", null, "cpu", false)]
    [InlineData("network_loss", null, "network", true)]
    public void InnerRight_LabelWithoutStatements_IsTheKindOfFault(string fault, string? evidence, string kind, bool right) =>
        Assert.Equal(right, new CaseScore(
            new("1", default, default, "day", new("cart", fault, evidence)), [new("cart", fault, kind, "", 1, [])], 0).InnerRight);

    private void Write(string signal, params string[] lines)
    {
        using var zip = new GZipStream(File.Create(Path.Combine(_folder, signal + ".jsonl.gz")), CompressionMode.Compress);
        using var writer = new StreamWriter(zip);
        foreach (var line in lines)
        {
            writer.WriteLine(line);
        }
    }
}
