using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Phoenix.Service.Cost;

/// <summary>
/// USD per token of one token type; above <see cref="Threshold"/> prompt tokens <see cref="NewRate"/> holds for all tokens of the type.
/// </summary>
internal sealed record Rate(decimal BaseRate, long? Threshold, decimal NewRate)
{
    private const decimal PicoUsdPerUsd = 1_000_000_000_000m;

    private readonly decimal _basePicoUsd = PicoUsdOf(BaseRate);
    private readonly decimal _newPicoUsd = PicoUsdOf(NewRate);

    private readonly long? _baseWhole = WholeOf(BaseRate);
    private readonly long? _newWhole = WholeOf(NewRate);

    private readonly byte[] _baseText = Text(BaseRate);
    private readonly byte[] _newText = Text(NewRate);

    /// <summary>The rate for a call with <paramref name="promptTokens"/> prompt tokens, in pico-USD per token.</summary>
    public decimal PicoUsd(long promptTokens) => promptTokens > Threshold ? _newPicoUsd : _basePicoUsd;

    /// <summary>The same when it is a whole number; null when it is not.</summary>
    public long? WholePicoUsd(long promptTokens) => promptTokens > Threshold ? _newWhole : _baseWhole;

    /// <summary>The same as text.</summary>
    public ReadOnlySpan<byte> PicoUsdText(long promptTokens) => promptTokens > Threshold ? _newText : _baseText;

    // Dividing by a one with all digits drops trailing zeros, so that a rate prints as short as it can.
    private static decimal PicoUsdOf(decimal rate) => rate * PicoUsdPerUsd / 1.0000000000000000000000000000m;

    private static long? WholeOf(decimal rate) =>
        PicoUsdOf(rate) is >= 0 and <= PicoUsdPerUsd and var pico && decimal.IsInteger(pico) ? (long)pico : null;

    private static byte[] Text(decimal rate) => Encoding.UTF8.GetBytes(PicoUsdOf(rate).ToString(CultureInfo.InvariantCulture));
}

/// <summary>
/// The price of one model from <see cref="StartTime"/> on. Details without a rate of their own cost as <c>input</c> or <c>output</c>.
/// </summary>
internal sealed record ModelPrice(
    string Name, string? Provider, Regex Pattern, DateTimeOffset? StartTime, IReadOnlyDictionary<string, Rate> Prompt,
    IReadOnlyDictionary<string, Rate> Completion, bool IsBuiltIn, int Order, string Version)
{
    /// <summary>
    /// <see cref="StartTime"/> in Unix ns; the lowest number for a price that always held, the highest for one past the year 2262.
    /// </summary>
    public long StartNanos { get; } = StartTime is not { } start ? long.MinValue
        : (long)Int128.Clamp((Int128)(start - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick, long.MinValue, long.MaxValue);

    /// <summary>Rate of prompt tokens without one of their own.</summary>
    public Rate Input { get; } = Prompt["input"];

    /// <summary>Rate of prompt tokens read from a cache.</summary>
    public Rate CacheRead { get; } = Prompt.GetValueOrDefault("cache_read", Prompt["input"]);

    /// <summary>Rate of prompt tokens written to a cache.</summary>
    public Rate CacheWrite { get; } = Prompt.GetValueOrDefault("cache_write", Prompt["input"]);

    /// <summary>Rate of spoken prompt tokens.</summary>
    public Rate PromptAudio { get; } = Prompt.GetValueOrDefault("audio", Prompt["input"]);

    /// <summary>Rate of completion tokens without one of their own.</summary>
    public Rate Output { get; } = Completion["output"];

    /// <summary>Rate of reasoning tokens.</summary>
    public Rate Reasoning { get; } = Completion.GetValueOrDefault("reasoning", Completion["output"]);

    /// <summary>Rate of spoken completion tokens.</summary>
    public Rate CompletionAudio { get; } = Completion.GetValueOrDefault("audio", Completion["output"]);

    /// <summary>How exactly the pattern names a model: anchors and literals raise it, wildcards and alternations lower it.</summary>
    public int Specificity { get; } = Score(Pattern.ToString());

    /// <summary>The start of the cost object in the column <c>derived</c>, up to the tokens of its first part.</summary>
    public byte[] Json { get; } = JsonSerializer.SerializeToUtf8Bytes(
        new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["model"] = Name, ["table"] = IsBuiltIn ? "built-in" : "user", ["version"] = Version,
        })[..^1].Concat(",\"prompt\":{\"input\":["u8.ToArray()).ToArray();

    private static int Score(string pattern)
    {
        var score = 0;
        for (var i = 0; i < pattern.Length; i++)
        {
            score += pattern[i] switch
            {
                '^' or '$' => 10,
                '|' or '*' or '+' or '?' => -2,
                '\\' when i + 1 < pattern.Length => char.IsAsciiLetter(pattern[++i]) ? -1 : 1,
                var c when char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or ':' or '/' => 1,
                _ => 0,
            };
        }

        return score;
    }
}

/// <summary>A list of model prices, built in or written by users.</summary>
internal static class PriceTable
{
    /// <summary>The table that ships with the service (Cost/prices.json).</summary>
    public static ImmutableArray<ModelPrice> BuiltIn { get; } = ReadBuiltIn();

    /// <summary>Reads a table.</summary>
    /// <exception cref="FormatException">The document is not a price table; the message says where.</exception>
    public static ImmutableArray<ModelPrice> Parse(ReadOnlyMemory<byte> json, bool isBuiltIn)
    {
        try
        {
            using var document = JsonDocument.Parse(
                json, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            var version = document.RootElement.TryGetProperty("version", out var text) ? text.ToString() : string.Empty;
            return [.. document.RootElement.GetProperty("models").EnumerateArray()
                .Select((model, order) => ReadModel(model, isBuiltIn, order, version))];
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException
            or ArgumentException or NotSupportedException)
        {
            throw new FormatException(exception.Message, exception);
        }
    }

    private static ImmutableArray<ModelPrice> ReadBuiltIn()
    {
        using var stream = typeof(PriceTable).Assembly.GetManifestResourceStream("Phoenix.Service.Cost.prices.json")!;
        var json = new byte[stream.Length];
        stream.ReadExactly(json);
        return Parse(json, isBuiltIn: true);
    }

    private static ModelPrice ReadModel(JsonElement model, bool isBuiltIn, int order, string version)
    {
        var name = model.GetProperty("name").GetString() ?? throw new FormatException($"models[{order}].name must be text");
        var prompt = ReadRates(model, "prompt", name);
        var completion = ReadRates(model, "completion", name);
        if (!prompt.ContainsKey("input") || !completion.ContainsKey("output"))
        {
            throw new FormatException($"model {name} must have prompt.input and completion.output");
        }

        var pattern = model.TryGetProperty("name_pattern", out var own) ? own.GetString()! : $"^{Regex.Escape(name)}$";
        return new ModelPrice(
            name,
            model.TryGetProperty("provider", out var provider) ? provider.GetString() : null,
            // Of what users write, nothing may take more than linear time; the built-in patterns take no more anyway.
            new Regex(pattern, isBuiltIn ? RegexOptions.CultureInvariant : RegexOptions.CultureInvariant | RegexOptions.NonBacktracking),
            model.TryGetProperty("start_time", out var start)
                ? DateTimeOffset.Parse(start.GetString()!, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal) : null,
            prompt, completion, isBuiltIn, order, version);
    }

    private static Dictionary<string, Rate> ReadRates(JsonElement model, string side, string name)
    {
        var rates = new Dictionary<string, Rate>(StringComparer.Ordinal);
        foreach (var entry in model.GetProperty(side).EnumerateObject())
        {
            rates[entry.Name] = entry.Value.ValueKind == JsonValueKind.Number
                ? new Rate(Usd(entry.Value), null, 0)
                : new Rate(Usd(entry.Value.GetProperty("base_rate")), entry.Value.GetProperty("threshold").GetInt64(),
                    Usd(entry.Value.GetProperty("new_rate")));

            decimal Usd(JsonElement value) => value.GetDecimal() is >= 0 and <= 1 and var usd
                ? usd
                : throw new FormatException($"model {name}: {side}.{entry.Name} must be from 0 to 1 USD per token");
        }

        return rates;
    }
}
