using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;
using AnyValue = OpenTelemetry.Proto.Common.V1.AnyValue;
using KeyValueList = OpenTelemetry.Proto.Common.V1.KeyValueList;

namespace MatsObservability.Tests.Phoenix.Ingest.Normalize;

/// <summary>Redaction, size limits and head sampling.</summary>
public sealed class PolicyTests
{
    private const string Token = "eyJhbGciOiJIUzI1NiJ9.payload.signature";
    private const string ApiKey = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789";

    [Fact]
    [Trait("Req", "B072")]
    public void Sampling_ByDefault_KeepsEverySpan()
    {
        using var decoding = new Decoding();

        Assert.Equal(1, new NormalizeOptions().SampleRate);
        Assert.Empty(new NormalizeOptions().ProjectSampleRates);
        Assert.False(new global::Phoenix.Service.Retention.TailSamplingOptions().Enabled);
        Assert.Equal(500, decoding.Rows(Decoding.Request([.. Enumerable.Range(0, 500).Select(_ => Decoding.Span())])).Count);
    }

    [Theory]
    [Trait("Req", "B131")]
    [InlineData("llm.api_key")]
    [InlineData("user.token")]
    [InlineData("session.token")]
    [InlineData("http.request.header.authorization")]
    [InlineData("Authorization")]
    [InlineData("http.request.header.cookie")]
    [InlineData("custom.api_key")]
    public void Redaction_SecretKey_IsNeverStored(string key)
    {
        using var decoding = new Decoding();
        var row = decoding.Row(("kept", 1), (key, "secret value"));

        Assert.Equal("""{"kept":1}""", row.Text("attributes"));
        Assert.Equal(1, decoding.Metrics.RedactedValues);
    }

    [Fact]
    [Trait("Req", "B131")]
    public void Redaction_SecretsInEveryPlace_AreMasked()
    {
        using var decoding = new Decoding();
        var nested = new KeyValueList
        {
            Values = { Decoding.Attribute("authorization", "Basic abc"), Decoding.Attribute("note", $"bearer {Token}") },
        };
        var span = Decoding.Span(
            ("input.value", $$"""{"Authorization":"Bearer {{Token}}","key":"{{ApiKey}}"}"""),
            ("headers", new AnyValue { KvlistValue = nested }),
            ("list", new[] { $"BEARER {Token}" }), ("gen_ai.input.messages", $$"""[{"role":"user","content":"my key is {{ApiKey}}"}]"""));
        span.Name = $"call with Bearer {Token}";
        span.Status = new Status { Message = $"401 for Bearer {Token}", Code = Status.Types.StatusCode.Error };
        span.Events.Add(new Span.Types.Event { Name = "log", Attributes = { Decoding.Attribute("line", $"Bearer {Token}") } });
        span.Links.Add(new Span.Types.Link { Attributes = { Decoding.Attribute("proxy-authorization", Token) } });
        var request = Decoding.Request(span);
        request.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("llm.api_key", ApiKey));
        request.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("process.command_line", $"run --key {ApiKey}"));

        var (row, resource) = decoding.Decode(request, batch => (Assert.Single(DecodedSpan.Read(batch)), Assert.Single(batch.Resources)));

        var stored =
            string.Join('\n', row.Fields.Where(field => field is not null).Select(field => System.Text.Encoding.UTF8.GetString(field!)))
                + resource;
        Assert.DoesNotContain(Token, stored, StringComparison.Ordinal);
        Assert.DoesNotContain(ApiKey, stored, StringComparison.Ordinal);
        Assert.DoesNotContain("Basic abc", stored, StringComparison.Ordinal);
        Assert.Equal("""{"Authorization":"Bearer ***","key":"***"}""", row.Attributes.GetProperty("input.value").GetString());
        Assert.Equal("my key is ***", row.Derived("llm.input_messages.0.message.content"));
    }

    [Theory]
    [Trait("Req", "B131")]
    [InlineData($"Bearer {Token}")]
    [InlineData($"BEARER {Token}")]
    [InlineData(ApiKey)]
    public void Redaction_SecretAtAnyOffset_IsMasked(string secret)
    {
        using var decoding = new Decoding();
        for (var offset = 0; offset < 140; offset++)
        {
            var span = Decoding.Span(("input.value", new string(' ', offset) + secret));

            var value = decoding.Decode(
                Decoding.Request(span), batch => Assert.Single(DecodedSpan.Read(batch)).Attributes.GetProperty("input.value").GetString());

            Assert.EndsWith("***", value, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("a task-force of risk-takers is no secret at all")]
    [InlineData("the bearer of this letter")]
    [InlineData("Bearer short")]
    public void Redaction_OrdinaryText_IsKept(string text)
    {
        using var decoding = new Decoding();

        Assert.Equal(text, decoding.Row(("input.value", text)).Attributes.GetProperty("input.value").GetString());
    }

    [Fact]
    public void Redaction_OwnRules_DropHashAndMask()
    {
        using var decoding = new Decoding(redact: options =>
        {
            options.Rules = ["drop internal.*", "hash user.email;enduser.*", "mask card",
                @"mask * /\b\d{4}-\d{4}\b/", "drop note /secret/"];
            options.HashSalt = "salt";
        });
        var row = decoding.Row(
            ("internal.x", 1), ("user.email", "a@b.c"), ("enduser.name", "a@b.c"), ("card", "4111111111111234"),
            ("text", "call 1234-5678 now"), ("note", "a secret b"),
            ("other", "a secret b"));

        Assert.False(row.Attributes.TryGetProperty("internal.x", out _));
        var hash = row.Attributes.GetProperty("user.email").GetString();
        Assert.Matches("^sha256:[0-9a-f]{32}$", hash);
        Assert.Equal(hash, row.Attributes.GetProperty("enduser.name").GetString());
        Assert.Equal("***1234", row.Attributes.GetProperty("card").GetString());
        Assert.Equal("call *** now", row.Attributes.GetProperty("text").GetString());
        Assert.Equal(("a  b", "a secret b"),
            (row.Attributes.GetProperty("note").GetString(), row.Attributes.GetProperty("other").GetString()));
    }

    [Fact]
    [Trait("Req", "B131")]
    public void Redaction_NamesInColumnsAndSums_FollowTheRules()
    {
        using var decoding = new Decoding(
            redact: options => options.Rules = ["hash user.id", "drop session.id", @"mask llm.* /\d{6}/", "hash service.name"]);
        var span = Decoding.Span(
            ("openinference.span.kind", "LLM"), ("user.id", "ada@example.com"), ("session.id", "ada-42"),
            ("llm.model_name", "tuned-123456"));
        span.Name = $"call with Bearer {Token}";

        var (row, trace, minute, resource) = decoding.Decode(Decoding.Request(span), batch =>
            (Assert.Single(DecodedSpan.Read(batch)), Assert.Single(batch.Traces), Assert.Single(batch.Minutes),
                Assert.Single(batch.Resources)));

        Assert.Matches("^sha256:[0-9a-f]{32}$", row.UserId);
        Assert.Equal(row.Attributes.GetProperty("user.id").GetString(), row.UserId);
        Assert.Equal((row.UserId, (string?)null), (trace.UserId, trace.SessionId ?? row.SessionId));
        Assert.Equal(("tuned-***", "tuned-***"), (row.Model, minute.Key.Model));
        Assert.Equal("call with Bearer ***", trace.Root!.Name);
        Assert.Matches("^sha256:", resource.ServiceName);
        Assert.Equal(resource.ServiceName, trace.Root.Service);
    }

    [Fact]
    [Trait("Req", "B131")]
    public void Redaction_PatternForADialectsKey_HoldsForWhatIsDerivedFromIt()
    {
        using var decoding = new Decoding(redact: options => options.Rules = [@"mask enduser.id;gen_ai.prompt /ada/"]);

        var row = decoding.Row(("enduser.id", "ada lovelace"), ("gen_ai.prompt", "I am ada"), ("gen_ai.operation.name", "chat"));

        Assert.Equal(("*** lovelace", "*** lovelace"), (row.UserId, row.Derived("user.id")));
        Assert.Equal("I am ***", row.Derived("llm.input_messages.0.message.content"));
    }

    [Theory]
    [Trait("Req", "B131")]
    [InlineData("ai.values", "EMBEDDING")]
    [InlineData("gen_ai.prompt", "LLM")]
    public void Redaction_PatternForADialectsList_HoldsForWhatIsDerivedFromIt(string key, string kind)
    {
        using var decoding = new Decoding(redact: options => options.Rules = [@"mask ai.values;gen_ai.prompt /\d{3}-\d{2}-\d{4}/"]);

        var row = decoding.Row(
            (key, new[] { "my number is 123-45-6789" }), ("gen_ai.operation.name", "chat"), ("openinference.span.kind", kind));

        Assert.Contains("my number is ***", row.Text("derived"), StringComparison.Ordinal);
        Assert.DoesNotContain("123-45", row.Text("derived"), StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Req", "B131")]
    [InlineData("embedding.model_name", "EMBEDDING")]
    [InlineData("reranker.model_name", "RERANKER")]
    [InlineData("llm.response.model_name", "LLM")]
    public void Redaction_PatternForAModelsKey_HoldsForTheColumn(string key, string kind)
    {
        using var decoding = new Decoding(redact: options => options.Rules = [$@"mask {key} /\d{{12}}/"]);

        var row = decoding.Row((key, "arn:123456789012:model"), ("openinference.span.kind", kind));

        Assert.Equal("arn:***:model", row.Attributes.GetProperty(key).GetString());
        Assert.Equal("arn:***:model", row.Model);
    }

    [Theory]
    [Trait("Req", "B131")]
    [InlineData("drop user.id")]
    [InlineData("mask user.id")]
    [InlineData("mask * /ada|bob/")]
    public void Redaction_OfWhatTellsSeriesApart_LeavesThemApart(string rule)
    {
        using var decoding = new Decoding(redact: options => options.Rules = [rule]);
        var request = Otlp.Gauge("g", 1, 1_750_000_000_000_000_000);
        var points = request.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].Gauge.DataPoints;
        points.Add(points[0].Clone());
        points.Add(points[0].Clone());
        points[0].Attributes.Add([Otlp.Text("user.id", "ada"), Otlp.Text("k", "v")]);
        points[1].Attributes.Add([Otlp.Text("user.id", "bob"), Otlp.Text("k", "v")]);
        points[2].Attributes.Add([Otlp.Text("k", "v"), Otlp.Text("user.id", "ada")]);

        using var batch = decoding.Decode(Signal.MetricPoints, request.ToByteArray()).Batch!;

        Assert.Equal(2, batch.Series.Count);
        Assert.Single(batch.Series.Select(series => series.Attributes).Distinct());
        Assert.DoesNotContain("ada", batch.Series[0].Attributes, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Req", "B131")]
    public void Redaction_PatternForEverything_HoldsForScopesAndSchemaUrls()
    {
        using var decoding = new Decoding(redact: options => options.Rules = [@"mask * /\S+@\S+/"]);
        var request = Decoding.Request(Decoding.Span());
        request.ResourceSpans[0].SchemaUrl = "of bob@example.com";
        var scope = request.ResourceSpans[0].ScopeSpans[0];
        (scope.Scope.Name, scope.Scope.Version, scope.SchemaUrl) =
            ("Tenant bob@example.com", "1 bob@example.com", new string('u', 5000));

        var (resource, stored) = decoding.Decode(request, batch => (batch.Resources[0], batch.Scopes[0]));

        Assert.Equal(("of ***.com", "Tenant ***.com", "1 ***.com"), (resource.SchemaUrl, stored.Name, stored.Version));
        Assert.StartsWith(new string('u', 1024) + " …[truncated, 5000", stored.SchemaUrl, StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Req", "B131")]
    [InlineData("llm.api_key\n")]
    [InlineData("line\nbreak.api_key")]
    public void Redaction_SecretKeyWithLineBreak_IsJudgedWhole(string key)
    {
        using var decoding = new Decoding();

        Assert.Equal(key.EndsWith('\n') ? 1 : 0, decoding.Row((key, "secret")).Attributes.EnumerateObject().Count());
    }

    [Fact]
    public void Redaction_KeyOfMegabytes_IsJudgedWithoutAFault()
    {
        using var decoding = new Decoding(redact: options => options.PatternTimeout = TimeSpan.FromMilliseconds(1));

        Assert.Single(decoding.Row((new string('k', 4 << 20), "v")).Attributes.EnumerateObject());
    }

    [Fact]
    public void Redaction_PatternThatTakesTooLong_MasksTheWholeValue()
    {
        using var decoding = new Decoding(redact: options =>
        {
            options.Rules = ["mask * /^(a+)+$/"];
            options.PatternTimeout = TimeSpan.FromMilliseconds(20);
        });

        Assert.Equal("***", decoding.Row(("text", new string('a', 40) + "!")).Attributes.GetProperty("text").GetString());
    }

    [Fact]
    public void Redaction_SwitchedOff_KeepsEverything()
    {
        using var decoding = new Decoding(redact: options => options.BuiltInRules = false);

        Assert.Equal(ApiKey, decoding.Row(("llm.api_key", ApiKey)).Attributes.GetProperty("llm.api_key").GetString());
    }

    [Theory]
    [InlineData("erase x")]
    [InlineData("drop")]
    [InlineData("mask x /(/")]
    [InlineData("mask x pattern")]
    public void Redaction_BadRule_IsAFaultThatNamesIt(string rule) =>
        Assert.Contains("Phoenix:Redaction:Rules:0",
            Assert.Single(RedactionOptions.Check(new RedactionOptions { Rules = [rule] })), StringComparison.Ordinal);

    [Fact]
    public void Limit_LongTexts_AreCutBetweenCharactersAndMarked()
    {
        using var decoding = new Decoding(options => options.MaxTraceBytes = 256);
        var row = decoding.Row(("long", new string('é', 200)), ("bytes", new byte[1000]), ("short", "x"));

        var text = row.Attributes.GetProperty("long").GetString()!;
        Assert.Equal(new string('é', 128) + " …[truncated, 400 bytes in all]", text);
        Assert.Equal(256, row.Attributes.GetProperty("bytes").GetProperty("$bytes").GetBytesFromBase64().Length);
        Assert.Equal("{\"long\":400,\"bytes\":1000}", row.Derived("phoenix.truncated"));
        Assert.Equal(2, decoding.Metrics.TruncatedValues);

        // Kept whole: a text as long as may be, and a list whose texts are short.
        Assert.Null(decoding.Row(("text", new string('x', 256)), ("list", Enumerable.Repeat("item", 100).ToArray())).Derived("phoenix.truncated"));
    }

    [Theory]
    [Trait("Req", "B027")]
    [InlineData(0)]
    [InlineData(0.25)]
    [InlineData(1)]
    public void Sampling_KeepsTheShareOfTraces(double rate)
    {
        using var decoding = new Decoding(options => options.SampleRate = rate);
        var request = Decoding.Request([.. Enumerable.Range(0, 4000).Select(Trace)]);

        var (kept, left) = decoding.Decode(request, batch => (batch.RecordCount, batch.SampledOutCount));

        Assert.InRange(kept / 4000d, rate - 0.03, rate + 0.03);
        Assert.Equal((4000 - kept, (double)left), (left, decoding.Metrics.SampledOutSpans));
    }

    [Fact]
    [Trait("Req", "B027")]
    public void Sampling_ATraceKeptAtALowRate_IsKeptAtEveryHigherOne()
    {
        var request = Decoding.Request([.. Enumerable.Range(0, 500).Select(Trace)]);
        HashSet<string>? lower = null;
        foreach (var rate in new[] { 0.1, 0.3, 0.9 })
        {
            using var decoding = new Decoding(options => options.SampleRate = rate);
            var kept = decoding.Rows(request).Select(row => row.TraceId).ToHashSet(StringComparer.Ordinal);
            Assert.True(lower is null || lower.IsSubsetOf(kept));
            lower = kept;
        }
    }

    [Fact]
    [Trait("Req", "B074")]
    public void Sampling_ServiceBeforeProjectBeforeGlobal()
    {
        var request = Decoding.Request(Decoding.Span());

        Assert.Equal(1, Kept(options => (options.SampleRate, options.ProjectSampleRates) = (0, ["default=1"])));
        Assert.Equal(0, Kept(options => (options.ProjectSampleRates, options.ServiceSampleRates) = (["default=1"], ["tests=0"])));
        Assert.Equal(1, Kept(options => options.ServiceSampleRates = ["other=0"]));

        int Kept(Action<NormalizeOptions> configure)
        {
            using var decoding = new Decoding(configure);
            return decoding.Decode(request, batch => batch.RecordCount);
        }
    }

    [Theory]
    [InlineData(1.5, "", 1024, "SampleRate")]
    [InlineData(double.NaN, "", 1024, "SampleRate")]
    [InlineData(1, "name=2", 1024, "ProjectSampleRates")]
    [InlineData(1, "name", 1024, "ProjectSampleRates")]
    [InlineData(1, "name=0.5", 1, "MaxTraceBytes")]
    public void Options_OutOfRange_NameTheirKey(double rate, string projectRate, long bytes, string key)
    {
        var options = new NormalizeOptions
        {
            SampleRate = rate,
            ProjectSampleRates = projectRate.Length > 0 ? [projectRate] : [],
            MaxTraceBytes = bytes,
        };

        Assert.Contains("Phoenix:Normalize:" + key, Assert.Single(NormalizeOptions.Check(options)), StringComparison.Ordinal);
    }

    private static Span Trace(int index)
    {
        // Sequential ids: the share must not depend on where a sender puts its randomness.
        var span = Decoding.Span();
        var id = new byte[16];
        BitConverter.TryWriteBytes(id.AsSpan(index % 2 == 0 ? 0 : 8), index + 1);
        span.TraceId = ByteString.CopyFrom(id);
        return span;
    }
}
