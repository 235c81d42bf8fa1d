using System.CommandLine;
using System.Globalization;

namespace MatsObservability.Benchmarks.Ingest;

/// <summary>A server of its own in a comparison: its name among the figures, and what its Phoenix.Service is told.</summary>
internal sealed record IngestVariant(string Name, Dictionary<string, string?> Phoenix);

/// <summary>What <c>ingest</c> is asked for.</summary>
/// <param name="Duration">Of each phase.</param>
/// <param name="Rate">Spans a second at which latencies are measured.</param>
/// <param name="Stored">Spans to store at full load before the rate is measured once more; 0 = none.</param>
/// <param name="Watch">How long the server's memory is watched at full load, and nothing else done; zero = not.</param>
/// <param name="IsPaced">Only latencies.</param>
/// <param name="LeavesMemoryFresh">The free memory is not used up first.</param>
/// <param name="Postgres">Settings of PostgreSQL, to try what one is worth.</param>
/// <param name="Writers">Numbers of writers to compare.</param>
/// <param name="Batches">Sizes of transactions to compare.</param>
internal sealed record IngestSettings(
    TimeSpan Duration, int Connections, int SpansPerRequest, double Rate, long Stored, TimeSpan Watch, bool IsPaced, bool LeavesMemoryFresh,
    Dictionary<string, string> Postgres, IReadOnlyList<IngestVariant> Writers, IReadOnlyList<IngestVariant> Batches)
{
    /// <summary>Adds the options to <paramref name="command"/>; how they are read.</summary>
    public static Func<ParseResult, IngestSettings> AddTo(Command command)
    {
        var seconds = Arguments.Number("--seconds", 20.0, "length of each phase");
        var connections = Arguments.Number("--connections", 4, "connections, each with one request under way");
        var spans = Arguments.Number("--spans", 2000, "spans of a request");
        var rate = Arguments.Number("--rate", 20_000.0, "spans a second at which latencies are measured");
        var stored = Arguments.Number("--stored", 0L, "then full load until so many spans are stored, and the rate once more");
        var minutes = Arguments.Number("--minutes", 0.0, "only full load for so long, and the server's memory");
        var paced = new Option<bool>("--paced") { Description = "only the latencies" };
        var fresh = new Option<bool>("--fresh") { Description = "leaves the free memory as it is, instead of using it up first" };
        var postgres = Pairs();
        var writers = Variants("--writers", "1,2,4", "only compares these numbers of writers", Writer);
        var batches = Variants(
            "--batches", "512,2048,2048/5s", "only compares these largest transactions in records, behind a slash their linger", Batch);
        foreach (var option in (Option[])[seconds, connections, spans, rate, stored, minutes, paced, fresh, postgres, writers, batches])
        {
            command.Add(option);
        }

        return given => new IngestSettings(
            TimeSpan.FromSeconds(given.GetValue(seconds)), given.GetValue(connections), given.GetValue(spans), given.GetValue(rate),
            given.GetValue(stored), TimeSpan.FromMinutes(given.GetValue(minutes)), given.GetValue(paced), given.GetValue(fresh),
            given.GetValue(postgres)!, given.GetValue(writers)!, given.GetValue(batches)!);
    }

    private static Option<Dictionary<string, string>> Pairs() => new("--postgres")
    {
        Description = "a setting of PostgreSQL, also several times", HelpName = "NAME=VALUE",
        Arity = ArgumentArity.OneOrMore, DefaultValueFactory = static _ => [],
        CustomParser = static result =>
        {
            var settings = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var token in result.Tokens)
            {
                if (token.Value.Split('=', 2) is [{ Length: > 0 } name, var value])
                {
                    settings[name] = value;
                }
                else
                {
                    result.AddError($"--postgres must be NAME=VALUE, got '{token.Value}'.");
                }
            }

            return settings;
        },
    };

    private static Option<List<IngestVariant>> Variants(
        string name, string example, string description, Func<string, IngestVariant?> read) => new(name)
        {
            Description = description, HelpName = example, DefaultValueFactory = static _ => [],
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                var variants = text.Split(',').Select(read).ToList();
                if (variants.Contains(null))
                {
                    result.AddError($"{name} must be like {example}, got '{text}'.");
                }

                return [.. variants.OfType<IngestVariant>()];
            },
        };

    private static IngestVariant? Writer(string text) => IsCount(text, out _)
        ? new($"writers_{text}", new(StringComparer.Ordinal) { ["PHOENIX_MAX_WORKERS"] = text }) : null;

    private static IngestVariant? Batch(string text)
    {
        var (most, linger) = text.Split('/') is [var records, var wait] ? (records, wait) : (text, "0");
        return IsCount(most, out var count)
            ? new($"batch_{text}", new(StringComparer.Ordinal)
            {
                ["Phoenix__Storage__MaxBatchRecords"] = most,
                ["Phoenix__Storage__BatchRecords"] = Math.Min(count, 1024).ToString(CultureInfo.InvariantCulture),
                ["Phoenix__Storage__Linger"] = linger,
            })
            : null;
    }

    private static bool IsCount(string text, out int count) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count > 0;
}
