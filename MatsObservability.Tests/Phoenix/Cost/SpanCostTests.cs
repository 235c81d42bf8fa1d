using System.Collections.Immutable;
using System.Text;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.Options;
using Phoenix.Service.Cost;
using Phoenix.Service.Ingest.Decode;

namespace MatsObservability.Tests.Phoenix.Cost;

/// <summary>Prices, the choice among them, and golden costs.</summary>
public sealed class SpanCostTests : IDisposable
{
    private const long Now = 1_750_000_000_000_000_000;

    private readonly Decoding _decoding = new();
    private readonly TextCache _texts = new();

    public void Dispose() => _decoding.Dispose();

    [Fact]
    public void TryCompute_CachedAndReasoningTokens_CostAtTheirOwnRates()
    {
        var price = Prices("""{"models":[{"name":"m","prompt":{"input":2e-6,"cache_read":5e-7},"completion":{"output":8e-6}}]}""")[0];
        var tokens = new TokenCounts { Prompt = 1000, CacheRead = 800, Completion = 200, Reasoning = 150 };

        Assert.True(SpanCost.TryCompute(price, tokens, out var cost));

        Assert.Equal(2_400_000_000, cost.TotalPicoUsd);
        Assert.Equal((800_000_000, 1_600_000_000), (cost.PromptPicoUsd, cost.CompletionPicoUsd));
    }

    [Fact]
    public void TryCompute_RatesBelowOnePicoUsd_AreRoundedOnceASide()
    {
        var price = Prices(
            """{"models":[{"name":"m","prompt":{"input":1.5e-12,"cache_read":1.25e-12,"audio":2e-12},"completion":{"output":3e-12}}]}""")[0];
        var tokens = new TokenCounts { Prompt = 6, CacheRead = 1, PromptAudio = 2, Completion = 7 };

        Assert.True(SpanCost.TryCompute(price, tokens, out var cost));

        // 3 × 1.5 + 1 × 1.25 + 2 × 2 = 9.75
        Assert.Equal((10, 21), (cost.PromptPicoUsd, cost.CompletionPicoUsd));
    }

    [Theory]
    [InlineData("1e-1")]
    [InlineData("0.1000000000000005")]
    public void TryCompute_CostBeyondTheColumn_IsRefused(string rate)
    {
        var price = Prices($$$"""{"models":[{"name":"m","prompt":{"input":{{{rate}}}},"completion":{"output":0}}]}""")[0];

        Assert.True(SpanCost.TryCompute(price, new TokenCounts { Prompt = 90_000_000 }, out _));
        Assert.False(SpanCost.TryCompute(price, new TokenCounts { Prompt = 93_000_000 }, out _));
    }

    [Theory]
    [InlineData("gpt-4o-mini-2024-07-18", "openai", 1_000_000, 1_000_000, 0.75)]
    [InlineData("gpt-4o", "azure", 1_000, 500, 0.0075)]
    [InlineData("openai/gpt-4o-2024-08-06", null, 1_000, 500, 0.0075)]
    [InlineData("gpt-4o-2024-05-13", "openai", 1_000, 500, 0.0125)]
    [InlineData("gpt-5.1-2025-11-13", "openai", 1_000, 1_000, 0.01125)]
    [InlineData("claude-3-5-sonnet-20241022", "anthropic", 1_000, 1_000, 0.018)]
    [InlineData("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "aws", 1_000, 1_000, 0.018)]
    [InlineData("claude-sonnet-4-5@20250929", "google", 1_000, 1_000, 0.018)]
    [InlineData("gemini-2.5-pro", "google", 200_000, 1_000, 0.26)]
    [InlineData("gemini-2.5-pro", "google", 200_001, 1_000, 0.5150025)]
    [InlineData("models/gemini-1.5-flash-002", "google", 1_000, 1_000, 0.000375)]
    [InlineData("mistral-large-2411", "mistralai", 1_000, 1_000, 0.008)]
    [InlineData("deepseek-chat", "deepseek", 1_000_000, 1_000_000, 0.7)]
    [InlineData("grok-3-mini", "xai", 1_000_000, 1_000_000, 0.8)]
    [InlineData("command-r-plus-08-2024", "cohere", 1_000, 1_000, 0.0125)]
    [InlineData("o3-mini-2025-01-31", "openai", 1_000, 1_000, 0.0055)]
    public void Decode_KnownModel_CostsAsTheListSays(string model, string? provider, long prompt, long completion, double usd)
    {
        var row = Llm(("llm.model_name", model), ("llm.provider", provider ?? ""), ("llm.token_count.prompt", prompt),
            ("llm.token_count.completion", completion));

        Assert.Equal((long)((decimal)usd * 1_000_000_000_000m), row.CostPicoUsd);
        Assert.Contains("\"version\":\"2026-11-21\"", row.Derived("phoenix.cost"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpt-4o-mega")]
    [InlineData("my-finetune")]
    public void Decode_UnknownModel_HasNoCost(string model)
    {
        var row = Llm(("llm.model_name", model), ("llm.token_count.prompt", 10));

        Assert.Null(row.CostPicoUsd);
        Assert.Equal(10, row.PromptTokens);
        Assert.Null(row.Derived("phoenix.cost"));
    }

    [Fact]
    public void Decode_Embedding_IsPricedAndNotPartOfTheTrace()
    {
        var span = Decoding.Span(
            ("openinference.span.kind", "EMBEDDING"), ("embedding.model_name", "text-embedding-3-small"),
            ("llm.token_count.prompt", 1_000_000));

        var trace = _decoding.Decode(Decoding.Request(span), batch => Assert.Single(batch.Traces));

        Assert.Equal(20_000_000_000, trace.CostPicoUsd);
        Assert.Equal(0, trace.PromptTokens);
    }

    [Theory]
    [InlineData(0.00075, false)]
    [InlineData(0.5, true)]
    public void Decode_ReportedCost_IsKeptBesideTheComputedOne(double reported, bool differs)
    {
        var row = Llm(("llm.model_name", "gpt-4o-mini"), ("llm.token_count.prompt", 1_000), ("llm.token_count.completion", 1_000),
            ("llm.cost.total", reported));

        Assert.Equal(750_000_000, row.CostPicoUsd);
        Assert.Contains($"\"reported_by\":\"llm.cost.total\",\"differs\":{(differs ? "true" : "false")}",
            row.Derived("phoenix.cost"), StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_ReportedCostOfUnknownModel_IsKeptAlone()
    {
        var row = Llm(("llm.model_name", "mine"), ("llm.token_count.prompt", 1), ("llm.cost.total", 0.25));

        Assert.Null(row.CostPicoUsd);
        Assert.Equal("""{"reported_usd":0.25,"reported_by":"llm.cost.total"}""", row.Derived("phoenix.cost"));
    }

    [Fact]
    public void Decode_AbsurdCounts_AreUnknown()
    {
        var row = Llm(("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", long.MaxValue), ("llm.token_count.completion", 1L << 53));

        Assert.Null(row.PromptTokens);
        Assert.Null(row.CostPicoUsd);
    }

    [Fact]
    public void BuiltIn_EveryModel_IsFoundByItsOwnName()
    {
        var book = new PriceBook();

        Assert.All(PriceTable.BuiltIn,
            price => Assert.Equal(price.Name, book.Find(_texts.Get(Utf8(price.Name)), _texts.Get(Utf8(price.Provider!)), Now)?.Name));
    }

    [Fact]
    public void Find_UserDefined_WinsOverBuiltIn()
    {
        var book = new PriceBook();
        Assert.True(Find(book, "gpt-4o")!.IsBuiltIn);

        book.Replace(
            Prices("""{"version":"ours","models":[{"name":"special","name_pattern":"gpt-4o","prompt":{"input":1e-9},"completion":{"output":0}}]}"""));

        Assert.Equal("special", Find(book, "gpt-4o")!.Name);
        Assert.Equal("o3", Find(book, "o3")!.Name);
    }

    [Fact]
    public void Find_SeveralCandidates_PrefersProviderThenSpecificityThenStart()
    {
        var book = new PriceBook();
        book.Replace(Prices(
            """
            {"models":[
              {"name":"any","name_pattern":"acme","prompt":{"input":1e-9},"completion":{"output":0}},
              {"name":"exact","name_pattern":"^acme-large$","prompt":{"input":1e-9},"completion":{"output":0}},
              {"name":"later","name_pattern":"^acme-large$","start_time":"2025-01-01","prompt":{"input":1e-9},"completion":{"output":0}},
              {"name":"future","name_pattern":"^acme-large$","start_time":"2999-01-01","prompt":{"input":1e-9},"completion":{"output":0}},
              {"name":"hosted","provider":"azure","name_pattern":"acme","prompt":{"input":1e-9},"completion":{"output":0}}]}
            """));

        Assert.Equal("later", Find(book, "acme-large", "openai")!.Name);
        Assert.Equal("exact", book.Find(_texts.Get("acme-large"u8), _texts.Get("openai"u8), 1)!.Name);
        Assert.Equal("hosted", Find(book, "acme-large", "azure")!.Name);

        // Nothing else tells these two apart: the later entry counts.
        Assert.Equal("hosted", Find(book, "acme-small", "openai")!.Name);
    }

    [Theory]
    [InlineData("llm.cost.total", long.MaxValue)]
    [InlineData("llm.cost.total", "1e27")]
    [InlineData("llm.cost.total", double.PositiveInfinity)]
    [InlineData("llm.cost.total", double.NaN)]
    [InlineData("llm.cost.total", -1.5)]
    [InlineData("llm.cost.total", "EUR 5")]
    [InlineData("gen_ai.usage.cost", "7e27")]
    [InlineData("litellm.cost.total", long.MaxValue)]
    [InlineData("langfuse.observation.cost_details", """{"total":7e27}""")]
    [InlineData("langfuse.observation.cost_details", """{"total":-3}""")]
    public void Decode_AbsurdReportedCost_IsNotBelieved(string key, object value)
    {
        var row = Llm(("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", 10), (key, value));

        Assert.Equal(25_000_000, row.CostPicoUsd);
        Assert.DoesNotContain("reported", row.Derived("phoenix.cost"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("langfuse.observation.usage_details",
        """{"input":9223372036854775807,"cache_read_input_tokens":9223372036854775807,"output":1}""")]
    [InlineData("langfuse.observation.usage_details", """{"input":-5,"output":1}""")]
    [InlineData("langfuse.observation.usage_details", """{"input":"N/A","output":1.0}""")]
    public void Decode_AbsurdCountsInJson_AreUnknown(string key, string value)
    {
        var row = _decoding.Row(("langfuse.observation.type", "generation"), ("langfuse.observation.model.name", "gpt-4o"), (key, value));

        Assert.Equal((null, 1L), (row.PromptTokens, row.CompletionTokens));
    }

    [Fact]
    public void Decode_SumsThatDoNotFit_StayAtTheBound()
    {
        var call = Decoding.Span(("openinference.span.kind", "LLM"), ("llm.model_name", "gpt-4o"),
            ("llm.token_count.prompt", 3_600_000_000_000));

        var (trace, minute) = _decoding.Decode(
            Decoding.Request(call, call, call), batch => (Assert.Single(batch.Traces), Assert.Single(batch.Minutes)));

        Assert.Equal((long.MaxValue, long.MaxValue), (trace.CostPicoUsd, minute.CostPicoUsd));
    }

    [Fact]
    public async Task Find_CatastrophicPattern_IsLinear()
    {
        var book = new PriceBook();
        book.Replace(
            Prices("""{"models":[{"name":"slow","name_pattern":"^(a+)+(a|b)*(a+)+c$","prompt":{"input":1e-9},"completion":{"output":0}}]}"""));

        await Task.Run(() =>
        {
            for (var length = 900; length < 1000; length++)
            {
                Assert.Null(Find(book, new string('a', length)));
            }
        }).WaitAsync(TimeSpan.FromSeconds(60));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("""{"models":[{"name":"m","prompt":{},"completion":{}}]}""")]
    [InlineData("""{"models":[{"name":"m","prompt":{"input":-1},"completion":{"output":0}}]}""")]
    [InlineData("""{"models":[{"name":"m","prompt":{"input":1e25},"completion":{"output":0}}]}""")]
    [InlineData("""{"models":[{"name":"m","prompt":{"input":1e999},"completion":{"output":0}}]}""")]
    [InlineData("""{"models":[{"name":"m","prompt":{"input":{"base_rate":1}},"completion":{"output":0}}]}""")]
    [InlineData("""{"models":[{"name":"m","start_time":"soon","prompt":{"input":0},"completion":{"output":0}}]}""")]
    [InlineData("""{"models":[{"name":"m","name_pattern":"(","prompt":{"input":0},"completion":{"output":0}}]}""")]
    [InlineData("""{"models":[{"name":"m","name_pattern":"(?=a)b","prompt":{"input":0},"completion":{"output":0}}]}""")]
    [InlineData("""{"models":[{"name":"m","name_pattern":null,"prompt":{"input":0},"completion":{"output":0}}]}""")]
    public void Parse_NotATable_IsAFormatException(string json) => Assert.Throws<FormatException>(() => Prices(json));

    [Fact]
    public async Task PriceFileWatcher_ChangedFile_TakesEffectAndABrokenOneDoesNot()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, Table("first"));
            var (book, log) = (new PriceBook(), new RecordedLog<PriceFileWatcher>());
            using var watcher = new PriceFileWatcher(
                book, Options.Create(new CostOptions { PricesFile = file, ReloadInterval = TimeSpan.FromMilliseconds(100) }),
                TimeProvider.System, log);
            await watcher.StartAsync(CancellationToken.None);
            Assert.Equal("first", Find(book, "mine")!.Name);

            await File.WriteAllTextAsync(file, "{ not a table");
            await Eventually.TrueAsync(() => log.Errors > 0);
            Assert.Equal("first", Find(book, "mine")!.Name);
            await File.WriteAllTextAsync(file, Table("second version"));
            await Eventually.TrueAsync(() => Find(book, "mine")?.Name == "second version");

            await watcher.StopAsync(CancellationToken.None);
        }
        finally
        {
            File.Delete(file);
        }

        static string Table(string name) =>
            $$$"""{"models":[{"name":"{{{name}}}","name_pattern":"^mine$","prompt":{"input":1e-9},"completion":{"output":0}}]}""";
    }

    private static ImmutableArray<ModelPrice> Prices(string json) => PriceTable.Parse(Utf8(json), isBuiltIn: false);

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private ModelPrice? Find(PriceBook book, string model, string provider = "") =>
        book.Find(_texts.Get(Utf8(model)), _texts.Get(Utf8(provider)), Now);

    private DecodedSpan Llm(params (string Key, object Value)[] attributes) =>
        _decoding.Row([("openinference.span.kind", "LLM"), .. attributes]);
}
