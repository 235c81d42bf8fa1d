using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace MatsObservability.Benchmarks;

/// <summary>What commands found out: a table for people, and a file for programs.</summary>
internal static class Figures
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <summary>Prints figures of speed as a table, and writes them to <paramref name="file"/> if there is one.</summary>
    public static async Task ReportAsync(FileInfo? file, Dictionary<string, double> figures, CancellationToken cancellationToken)
    {
        var table = new Table().AddColumns("figure", "value");
        foreach (var (name, value) in figures)
        {
            table.AddRow(name, value.ToString(value < 1000 ? "0.##" : "N0", CultureInfo.InvariantCulture));
        }

        AnsiConsole.Write(table);
        await WriteAsync(file, new JsonObject([.. figures.Select(static pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))]),
            cancellationToken);
#if DEBUG
        await Console.Error.WriteLineAsync("Measured without optimization: these figures say nothing. Run it with -c Release.");
#endif
    }

    /// <summary>Writes <paramref name="json"/> to <paramref name="file"/> if there is one.</summary>
    public static Task WriteAsync(FileInfo? file, JsonObject json, CancellationToken cancellationToken) =>
        file is null ? Task.CompletedTask : File.WriteAllTextAsync(file.FullName, json.ToJsonString(s_indented), cancellationToken);
}
