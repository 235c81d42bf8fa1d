using System.Text.Json;
using System.Text.Json.Serialization;
using Orchestrator.Agent.Evidence;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>The true cause of a case, as its labels give it.</summary>
/// <param name="Evidence">Null where the system has nothing to point at, such as code faults without logs.</param>
internal sealed record RootCauseLabel(string Service, string Fault, string? Evidence);

/// <summary>A labelled window; its files lie in <c>cases/&lt;case&gt;</c>.</summary>
/// <param name="Label">Null where nothing is wrong in the window.</param>
internal sealed record RcaCase(
    [property: JsonPropertyName("case")] string Id,
    [property: JsonPropertyName("window_start")] DateTimeOffset WindowStart,
    [property: JsonPropertyName("window_end")] DateTimeOffset WindowEnd,
    [property: JsonPropertyName("baseline")] string Baseline,
    [property: JsonPropertyName("root_cause")] RootCauseLabel? Label)
{
    /// <summary>The true cause of an incident.</summary>
    [JsonIgnore]
    public RootCauseLabel RootCause => Label ?? throw new InvalidOperationException($"Case {Id} is fault-free.");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(List<RcaCase>))]
internal sealed partial class RcaCasesJson : JsonSerializerContext;

/// <summary>A folder of cases and baselines.</summary>
internal sealed class RcaCases
{
    private RcaCases(string folder, List<RcaCase> cases)
    {
        Folder = folder;
        All = cases.FindAll(static given => given.Label is not null);
        FaultFree = cases.FindAll(static given => given.Label is null);
        Baselines = [.. Directory.EnumerateDirectories(Path.Combine(folder, "baseline")).Select(static path => Path.GetFileName(path)!)
            .Order(StringComparer.Ordinal)];
    }

    public string Folder { get; }

    /// <summary>The incidents.</summary>
    public IReadOnlyList<RcaCase> All { get; }

    /// <summary>The windows labelled as fault-free: controls, beside those made of the baselines.</summary>
    public IReadOnlyList<RcaCase> FaultFree { get; }

    public IReadOnlyList<string> Baselines { get; }

    public static RcaCases Load(string folder) =>
        new(folder, JsonSerializer.Deserialize(File.ReadAllText(Path.Combine(folder, "labels.json")), RcaCasesJson.Default.ListRcaCase)!);

    public string CaseFolder(RcaCase given) => Path.Combine(Folder, "cases", given.Id);

    public string BaselineFolder(string day) => Path.Combine(Folder, "baseline", day);

    /// <summary>What the system would read for a case: spans and logs of the window, metrics with their history.</summary>
    public TelemetryWindow ReadCase(RcaCase given, TimeSpan shift = default)
    {
        var window = OtlpFiles.Read(CaseFolder(given), "rca-" + given.Id);
        return Cut(window, Nanos(given.WindowStart + shift), Nanos(given.WindowEnd + shift));
    }

    public TelemetryWindow ReadBaseline(string day) => OtlpFiles.Read(BaselineFolder(day), "rca-baseline-" + day);

    /// <summary>Spans and logs in [from, to), metrics up to the end.</summary>
    public static TelemetryWindow Cut(TelemetryWindow window, long from, long to) => window with
    {
        StartNanos = from,
        EndNanos = to,
        Spans = [.. window.Spans.Where(span => span.StartNanos >= from && span.StartNanos < to)],
        Logs = [.. window.Logs.Where(log => log.TimeNanos >= from && log.TimeNanos < to)],
        Series = [.. window.Series.Select(series => series with { Points = [.. series.Points.Where(point => point.TimeNanos < to)] })],
    };

    public static long Nanos(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
}
