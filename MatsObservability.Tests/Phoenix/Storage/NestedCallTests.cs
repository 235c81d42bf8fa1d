using System.Net;
using MatsObservability.Tests.Phoenix.Metrics;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>An LLM span that repeats the call of an LLM span below it is not summed (semantic conventions, token accounting 2).</summary>
[Trait("Req", "B094")]
public sealed class NestedCallTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Theory]
    [InlineData(null, null, true)]
    [InlineData("a", null, true)]
    [InlineData(null, "a", true)]
    [InlineData("a", "a", true)]
    [InlineData("a", "b", false)]
    public void Find_CallUnderCall_OuterDoesNotCountUnlessTheyNameDifferentResponses(string? outer, string? inner, bool repeated)
    {
        CallSpan[] trace = [new(1, null, true, outer), new(2, 1, false, null), new(3, 2, true, inner)];

        Assert.Equal(repeated ? [1] : [], NestedCalls.Find(trace));
    }

    [Fact]
    public void Find_InnerWithoutUsageOrBesideIt_BothCount()
    {
        Assert.Empty(NestedCalls.Find([new(1, null, true, null), new(2, 1, false, null)]));
        Assert.Empty(NestedCalls.Find([new(1, 9, true, null), new(2, 9, true, null), new(9, null, false, null)]));
    }

    [Fact]
    public void Find_DeepChainCircleAndMissingParent_EndAndFindEveryOuterCall()
    {
        var chain = Enumerable.Range(1, 50_000).Select(id => new CallSpan(id, id + 1, true, null)).ToArray();

        Assert.Equal(49_999, NestedCalls.Find(chain).Count);
        Assert.Single(NestedCalls.Find([new(1, 2, true, null), new(2, 1, true, null)]));
        Assert.Equal([3], NestedCalls.Find([new(1, 2, true, "a"), new(2, 3, true, "b"), new(3, null, true, "a")]));
    }

    [Fact]
    public async Task Rollups_NestedCallsInAnyOrderAndAgain_CountTheInnermostOnce()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        int[][] orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for (var round = 0; round < orders.Length; round++)
        {
            var spans = Trace(round + 1);
            foreach (var index in orders[round])
            {
                await QueryServer.SendAsync(server.Client, "nested", spans[index]);
                if (round % 2 == 0)
                {
                    await QueryServer.RolledUpAsync(server);
                }
            }
        }

        await QueryServer.SendAsync(server.Client, "nested", Trace(7));
        await QueryServer.SendAsync(server.Client, "nested", Trace(7));
        await QueryServer.SendAsync(server.Client, "nested", [.. Trace(1), .. Trace(2)]);
        await QueryServer.RolledUpAsync(server);

        Assert.Equal(
            "7|700|70", await server.ScalarAsync<string>(
                "SELECT concat_ws('|', count(*), sum(prompt_tokens), sum(completion_tokens)) FROM traces WHERE prompt_tokens = 100"));
        Assert.Equal("1|700|70",
            await server.ScalarAsync<string>("SELECT concat_ws('|', count(*), sum(prompt_tokens), sum(completion_tokens)) FROM sessions"));
        Assert.Equal(
            "700|70|21", await server.ScalarAsync<string>(
                "SELECT concat_ws('|', sum(prompt_tokens), sum(completion_tokens), sum(span_count)) FROM span_minutes"));
        Assert.Equal(
            await server.ScalarAsync<long>("SELECT sum(cost_pico_usd)::bigint / 2 FROM spans"),
            await server.ScalarAsync<long>("SELECT sum(cost_pico_usd)::bigint FROM span_minutes"));
        Assert.Equal(0, await server.ScalarAsync<long>("SELECT count(*) FROM nested_suspects"));
    }

    [Theory]
    [InlineData(UncountedCalls.MostSpans - 1, 100)]
    [InlineData(UncountedCalls.MostSpans, 200)]
    public async Task Rollups_InnerCallComesToALargeTrace_IsOnlyLookedForUpToTheBound(int spansBefore, long prompt)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await QueryServer.SendAsync(server.Client, "nested", Trace(1)[..2]);
        await QueryServer.RolledUpAsync(server);
        await server.ScalarAsync<long>($"UPDATE traces SET span_count = {spansBefore} RETURNING span_count");

        await QueryServer.SendAsync(server.Client, "nested", Trace(1)[2]);
        await QueryServer.RolledUpAsync(server);

        Assert.Equal(prompt, await server.ScalarAsync<long>("SELECT prompt_tokens FROM traces"));
        Assert.Equal(prompt, await server.ScalarAsync<long>("SELECT sum(prompt_tokens)::bigint FROM span_minutes"));
    }

    [Fact]
    public async Task SettleAllAsync_ManySuspectsThatAreGone_TakesAllOffTheList()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using var connection = await server.OpenAsync();

        // Never committed, so the service's own worker does not take them.
        await using var transaction = await connection.BeginTransactionAsync();
        await RollupStore.OwnAsync(connection, CancellationToken.None);
        const int Suspects = (2 * RollupStore.SettleTraces) + 1;
        await RollupStore.ExecuteAsync(
            connection, $"INSERT INTO nested_suspects SELECT gen_random_uuid(), 1 FROM generate_series(1, {Suspects})",
            CancellationToken.None);

        await UncountedCalls.SettleAllAsync(connection, new RollupFindings(), CancellationToken.None);

        Assert.False(await UncountedCalls.HasSuspectsAsync(connection, CancellationToken.None));
    }

    [Fact]
    public async Task Remove_InnerCall_TheOuterOneCountsAgain()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await QueryServer.SendAsync(server.Client, "nested", Trace(1));
        await QueryServer.SendAsync(server.Client, "nested", Trace(2));
        await QueryServer.RolledUpAsync(server);

        using var inner = await server.Client.DeleteAsync($"/v1/spans/{103:x16}");
        using var trace = await server.Client.DeleteAsync($"/v1/traces/{TestSpan.Hex(2)}");

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NoContent), (inner.StatusCode, trace.StatusCode));
        Assert.Equal(
            "100|10", await server.ScalarAsync<string>("SELECT concat_ws('|', sum(prompt_tokens), sum(completion_tokens)) FROM traces"));
        Assert.Equal(
            "100|10|2", await server.ScalarAsync<string>(
                "SELECT concat_ws('|', sum(prompt_tokens), sum(completion_tokens), sum(span_count)) FROM span_minutes"));
        Assert.Equal(0, await server.ScalarAsync<long>("SELECT count(*) FROM uncounted_calls"));
    }

    [Fact]
    [Trait("Req", "B050")]
    public async Task Scrape_NestedCallsInAnyOrderOverTwoReplicas_CountsEachCallOnceAndNeverLess()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var one = await PhoenixServer.StartAsync(database);
        await using var two = await PhoenixServer.StartAsync(database);
        int[][] orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for (var round = 0; round < orders.Length; round++)
        {
            var spans = Trace(round + 1);
            foreach (var call in new[] { spans[0], spans[2] })
            {
                // Parts of the prompt and the completion, not more of them.
                call.Attributes.Add(
                    new OpenTelemetry.Proto.Common.V1.KeyValue
                    {
                        Key = "llm.token_count.prompt_details.cache_read",
                        Value = TestSpan.Any(80L),
                    });
                call.Attributes.Add(
                    new OpenTelemetry.Proto.Common.V1.KeyValue
                    {
                        Key = "llm.token_count.completion_details.reasoning",
                        Value = TestSpan.Any(5L),
                    });
            }

            foreach (var index in orders[round])
            {
                await QueryServer.SendAsync((index == 0 ? one : two).Client, "nested", spans[index]);
                if (round % 2 == 0)
                {
                    await QueryServer.RolledUpAsync(one);
                }
            }
        }

        await QueryServer.SendAsync(two.Client, "nested", Trace(1));
        await QueryServer.RolledUpAsync(one);
        var usd = await one.ScalarAsync<long>("SELECT sum(cost_pico_usd)::bigint FROM span_minutes") / 1e12;
        await Eventually.TrueAsync(
            async () => await CountedAsync(one, two) is var (prompt, completion, cost) && prompt == 600 && completion == 60
                && Math.Abs(cost - usd) < 1e-12);

        using var inner = await one.Client.DeleteAsync($"/v1/spans/{103:x16}");
        await QueryServer.SendAsync(one.Client, "nested", Trace(7));
        await QueryServer.RolledUpAsync(one);
        var last = await Eventually.GetAsync(() => CountedAsync(one, two), counted => counted.Prompt >= 700);
        Assert.Equal((HttpStatusCode.NoContent, 700, 70), (inner.StatusCode, last.Prompt, last.Completion));
    }

    private static async Task<(double Prompt, double Completion, double Usd)> CountedAsync(params PhoenixServer[] replicas)
    {
        var (prompt, completion, usd) = (0d, 0d, 0d);
        foreach (var replica in replicas)
        {
            using var client = new HttpClient { BaseAddress = new Uri(replica.MetricsUrl) };
            var metrics = PrometheusText.Parse(await client.GetStringAsync("/metrics?collect=phoenix"));
            if (metrics.Has("phoenix_trace_llm_token_usage_total"))
            {
                prompt += metrics["phoenix_trace_llm_token_usage_total", "llm_model=\"gpt-4o\"", "token_type=\"prompt\""];
                completion += metrics["phoenix_trace_llm_token_usage_total", "llm_model=\"gpt-4o\"", "token_type=\"completion\""];
                usd += metrics["phoenix_trace_llm_estimated_cost_usd_total", "llm_model=\"gpt-4o\""];
            }
        }

        return (prompt, completion, usd);
    }

    /// <summary>
    /// An LLM span, a CHAIN below it, an LLM span below that; both calls report 100 and 10 tokens. Ids are 100 times the trace's and up.
    /// </summary>
    private static Span[] Trace(int trace)
    {
        Span[] spans =
        [
            TestSpan.Of(trace, (100 * trace) + 1, parent: 0, startMs: 10, name: "outer", kind: "LLM", session: "s"),
            TestSpan.Of(trace, (100 * trace) + 2, parent: (100 * trace) + 1, startMs: 20, name: "glue", kind: "CHAIN"),
            TestSpan.Of(trace, (100 * trace) + 3, parent: (100 * trace) + 2, startMs: 30, name: "inner", kind: "LLM"),
        ];
        foreach (var call in new[] { spans[0], spans[2] })
        {
            call.Attributes.Add(Otlp.Text("llm.model_name", "gpt-4o"));
            call.Attributes.Add(new OpenTelemetry.Proto.Common.V1.KeyValue { Key = "llm.token_count.prompt", Value = TestSpan.Any(100L) });
            call.Attributes.Add(
                new OpenTelemetry.Proto.Common.V1.KeyValue { Key = "llm.token_count.completion", Value = TestSpan.Any(10L) });
        }

        spans[2].Attributes.Add(Otlp.Text("gen_ai.response.id", "r"));
        return spans;
    }
}
