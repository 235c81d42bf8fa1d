using System.Buffers.Text;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Cost;

/// <summary>
/// The cost of one span: each detail at its own rate, else at that of <c>input</c> or <c>output</c>; the rest of its side at these. Exact
/// arithmetic, rounded once a side, to pico-USD.
/// </summary>
internal readonly struct SpanCost
{
    private readonly ModelPrice _price;
    private readonly TokenCounts _tokens;

    private SpanCost(ModelPrice price, in TokenCounts tokens, long promptPicoUsd, long completionPicoUsd)
    {
        _price = price;
        _tokens = tokens;
        PromptPicoUsd = promptPicoUsd;
        CompletionPicoUsd = completionPicoUsd;
    }

    /// <summary>Cost of the prompt side.</summary>
    public long PromptPicoUsd { get; }

    /// <summary>Cost of the completion side.</summary>
    public long CompletionPicoUsd { get; }

    /// <summary>Both.</summary>
    public long TotalPicoUsd => PromptPicoUsd + CompletionPicoUsd;

    /// <summary>Computes the cost; false when the counts are so large that it does not fit.</summary>
    public static bool TryCompute(ModelPrice price, in TokenCounts tokens, out SpanCost cost)
    {
        var size = tokens.Prompt.GetValueOrDefault();
        Sum prompt = default, completion = default;
        prompt.Add(price.CacheRead, tokens.CacheRead, size);
        prompt.Add(price.CacheWrite, tokens.CacheWrite, size);
        prompt.Add(price.PromptAudio, tokens.PromptAudio, size);
        prompt.Add(price.Input, PromptRest(tokens), size);
        completion.Add(price.Reasoning, tokens.Reasoning, size);
        completion.Add(price.CompletionAudio, tokens.CompletionAudio, size);
        completion.Add(price.Output, CompletionRest(tokens), size);
        if (prompt.IsWhole && completion.IsWhole && prompt.Whole + completion.Whole <= long.MaxValue)
        {
            cost = new SpanCost(price, tokens, (long)prompt.Whole, (long)completion.Whole);
            return true;
        }

        if (prompt.Exact + completion.Exact > long.MaxValue)
        {
            cost = default;
            return false;
        }

        cost = new SpanCost(price, tokens, (long)decimal.Round(prompt.Exact), (long)decimal.Round(completion.Exact));
        return true;
    }

    /// <summary>
    /// Writes <c>{"model","table","version","prompt":{type:[tokens, pico-USD a
    /// token]},"completion":{…},"prompt_pico_usd","completion_pico_usd"</c> and, when cached tokens are known,
    /// <c>"cache":"inclusive"|"exclusive"</c>; the closing brace is the caller's.
    /// </summary>
    public void WriteOpen(CopyRows rows)
    {
        var size = _tokens.Prompt.GetValueOrDefault();
        AttributeJson.WriteRaw(rows, _price.Json);
        WritePart(rows, PromptRest(_tokens), _price.Input, size);
        WriteDetail(rows, ",\"cache_read\":["u8, _tokens.CacheRead, _price.CacheRead, size);
        WriteDetail(rows, ",\"cache_write\":["u8, _tokens.CacheWrite, _price.CacheWrite, size);
        WriteDetail(rows, ",\"audio\":["u8, _tokens.PromptAudio, _price.PromptAudio, size);
        AttributeJson.WriteRaw(rows, "},\"completion\":{\"output\":["u8);
        WritePart(rows, CompletionRest(_tokens), _price.Output, size);
        WriteDetail(rows, ",\"reasoning\":["u8, _tokens.Reasoning, _price.Reasoning, size);
        WriteDetail(rows, ",\"audio\":["u8, _tokens.CompletionAudio, _price.CompletionAudio, size);
        AttributeJson.WriteRaw(rows, "},\"prompt_pico_usd\":"u8);
        AttributeJson.WriteInt(rows, PromptPicoUsd);
        AttributeJson.WriteRaw(rows, ",\"completion_pico_usd\":"u8);
        AttributeJson.WriteInt(rows, CompletionPicoUsd);
        if (_tokens.CacheRead is not null || _tokens.CacheWrite is not null)
        {
            AttributeJson.WriteRaw(rows, _tokens.CacheWasExclusive ? ",\"cache\":\"exclusive\""u8 : ",\"cache\":\"inclusive\""u8);
        }
    }

    private static long PromptRest(in TokenCounts tokens) => Math.Max(
        0,
        tokens.Prompt.GetValueOrDefault() - tokens.CacheRead.GetValueOrDefault() - tokens.CacheWrite.GetValueOrDefault()
            - tokens.PromptAudio.GetValueOrDefault());

    private static long CompletionRest(in TokenCounts tokens) => Math.Max(
        0, tokens.Completion.GetValueOrDefault() - tokens.Reasoning.GetValueOrDefault() - tokens.CompletionAudio.GetValueOrDefault());

    private static void WriteDetail(CopyRows rows, ReadOnlySpan<byte> name, long? tokens, Rate rate, long promptTokens)
    {
        if (tokens is { } count)
        {
            AttributeJson.WriteRaw(rows, name);
            WritePart(rows, count, rate, promptTokens);
        }
    }

    private static void WritePart(CopyRows rows, long tokens, Rate rate, long promptTokens)
    {
        var text = rate.PicoUsdText(promptTokens);
        var room = rows.Reserve(text.Length + 22);
        Utf8Formatter.TryFormat(tokens, room, out var written);
        room[written] = (byte)',';
        text.CopyTo(room[(written + 1)..]);
        written += text.Length + 1;
        room[written] = (byte)']';
        rows.Advance(written + 1);
    }

    /// <summary>The cost of one side in pico-USD. Rates are nearly always whole, and whole numbers need no decimal.</summary>
    private struct Sum
    {
        private decimal _broken;

        /// <summary>What was added at whole rates.</summary>
        public UInt128 Whole { get; private set; }

        /// <summary>Whether that is all of it.</summary>
        public readonly bool IsWhole => _broken == 0;

        /// <summary>All of it.</summary>
        public readonly decimal Exact => (decimal)Whole + _broken;

        /// <summary>Adds tokens of one type; unknown ones cost nothing.</summary>
        public void Add(Rate rate, long? tokens, long promptTokens)
        {
            if (tokens is not > 0)
            {
                return;
            }

            if (rate.WholePicoUsd(promptTokens) is { } pico)
            {
                Whole += Math.BigMul((ulong)tokens.GetValueOrDefault(), (ulong)pico);
            }
            else
            {
                _broken += tokens.GetValueOrDefault() * rate.PicoUsd(promptTokens);
            }
        }
    }
}
