using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Indexes;
using Phoenix.Service.Storage.Postgres.Vectors;
using Xunit.Abstractions;

namespace MatsObservability.Tests.Phoenix.Query;

/// <summary>Search by the vectors of embedding calls; without pgvector it is off, and nothing else is.</summary>
[Trait("Req", "B087")]
public sealed class VectorSearchTests(PostgresFixture postgres, ITestOutputHelper output) : IClassFixture<PostgresFixture>
{
    private const string Four = "4";

    [Fact]
    public async Task Search_WithoutTheExtension_Is501WithTheReasonAndTheRestWorks()
    {
        (string, string)[] settings = VectorExtension.IsAvailable ? [("PHOENIX_VECTOR_SEARCH", "false")] : [];
        await using var server = await PhoenixServer.StartAsync(postgres, settings);
        await QueryServer.SendAsync(server.Client, "p", Embedding(1, 1, [1f, 0f, 0f, 0f]));

        var (status, body) = await PostAsync(server, "p", """{"vector":[1,0,0,0]}""");

        Assert.Equal(HttpStatusCode.NotImplemented, status);
        Assert.StartsWith("Vector search is off: ", body, StringComparison.Ordinal);
        Assert.Contains(VectorExtension.IsAvailable ? "Phoenix:Vectors:Enabled is false" : "does not have the extension 'vector'",
            body, StringComparison.Ordinal);
        Assert.Equal(
            (1L, 0L), (await server.ScalarAsync<long>("SELECT count(*) FROM spans"),
                await server.ScalarAsync<long>("SELECT count(*) FROM vector_pending")));
        using var deleted = await server.Client.DeleteAsync($"/v1/traces/{TestSpan.Hex(1)}");
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
    }

    [VectorFact]
    public async Task Search_StoredSpans_GivesTheNearestOfTheProjectFirst()
    {
        await using var server = await StartAsync(Four);
        await QueryServer.SendAsync(server.Client, "p", Embedding(1, 1, [1f, 0f, 0f, 0f], [0.9f, 0.1f, 0f, 0f]),
            Embedding(1, 2, [0f, 1f, 0f, 0f]), Embedding(2, 3, [0.6f, 0.8f, 0f, 0f]));
        await QueryServer.SendAsync(server.Client, "q", Embedding(3, 4, [1f, 0f, 0f, 0f]));
        await CopiedAsync(server, 5);

        var near = await SearchAsync(server, "p", """{"vector":[1,0,0,0]}""");
        var all = await SearchAsync(server, "p", """{"vector":[1,0,0,0],"threshold":-1}""");
        var one = await SearchAsync(server, "p", """{"vector":[2,0,0,0],"limit":1}""");

        Assert.Equal(["1:0 text 1.0", "1:1 text 1.1"], near.Select(Name));
        Assert.Equal(["1:0 text 1.0", "1:1 text 1.1", "3:0 text 3.0", "2:0 text 2.0"], all.Select(Name));
        Assert.Equal([1, 0.9939, 0.6, 0], all.Select(match => Math.Round(match.GetProperty("similarity").GetDouble(), 4)));
        Assert.Equal("1:0 text 1.0", Name(Assert.Single(one)));
        var span = near[0].GetProperty("span");
        Assert.Equal(TestSpan.Hex(1), span.GetProperty("context").GetProperty("trace_id").GetString());
        Assert.Equal("2025-10-09T08:53:20.001000+00:00", span.GetProperty("start_time").GetString());
        using var found = await server.Client.DeleteAsync($"/v1/spans/{span.GetProperty("id").GetString()}");
        Assert.Equal(HttpStatusCode.NoContent, found.StatusCode);
    }

    [VectorFact]
    public async Task Search_TimeBounds_AreHalfOpen()
    {
        await using var server = await StartAsync(Four);
        await QueryServer.SendAsync(server.Client, "p", [.. Enumerable.Range(1, 5).Select(id => Embedding(1, id, [1f, id, 0f, 0f]))]);
        await CopiedAsync(server, 5);

        var nanos = await SearchAsync(server,
            "p", $$"""{"vector":[1,3,0,0],"start_time_unix_nano":{{TestSpan.Epoch + 2_000_000}},"end_time_unix_nano":{{TestSpan.Epoch + 4_000_000}}}""");
        var iso = await SearchAsync(server, "p", """{"vector":[1,3,0,0],"start_time":"2025-10-09T08:53:20.004Z"}""");

        Assert.Equal(["2", "3"], nanos.Select(Name).Select(name => name[..1]).Order());
        Assert.Equal(["4", "5"], iso.Select(Name).Select(name => name[..1]).Order());
    }

    [VectorFact]
    public async Task Copy_VectorsThatCannotBeCompared_AreLeftOutAndTheirSpansStay()
    {
        await using var server = await StartAsync(Four);
        var odd = TestSpan.Of(1, 1, kind: "EMBEDDING", attributes:
        [
            ("embedding.embeddings.0.embedding.vector", new object[] { 1.0, 2.0 }),
            ("embedding.embeddings.1.embedding.vector", new object[] { 1.0, double.NaN, 0.0, 0.0 }),
            ("embedding.embeddings.2.embedding.vector", new object[] { 0.0, 0.0, 0.0, 0.0 }),
            ("embedding.embeddings.3.embedding.vector", new object[] { 1e300, 0.0, 0.0, 0.0 }),
            ("embedding.embeddings.x.embedding.vector", new object[] { 1.0, 0.0, 0.0, 0.0 }),
            ("embedding.embeddings.4.embedding.vector", "[1,0,0,0]"),
            ("embedding.embeddings.5.embedding.vector", new object[] { 1L, 0.5, "x", 0L }),
            ("embedding.embeddings.6.embedding.vector", new object[] { 1L, 0L, -2.5e-3, 0L }),
        ]);
        var chain = TestSpan.Of(1, 2, kind: "CHAIN",
            attributes: [("embedding.embeddings.0.embedding.vector", new object[] { 1.0, 0.0, 0.0, 0.0 })]);
        await QueryServer.SendAsync(server.Client, "p", odd, chain);
        await CopiedAsync(server, 1);

        var match = Assert.Single(await SearchAsync(server, "p", """{"vector":[1,0,0,0]}"""));

        Assert.Equal((6, JsonValueKind.Null), (match.GetProperty("position").GetInt32(), match.GetProperty("text").ValueKind));
        Assert.Equal(2, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [VectorFact]
    public async Task Copy_RequestsSentTwiceAndNotesTakenTwice_KeepsEachVectorOnce()
    {
        await using var server = await StartAsync(Four);
        var spans = Enumerable.Range(1, 250).Select(id => Embedding(1, id, [1f, id, 0f, 0f])).ToArray();
        await QueryServer.SendAsync(server.Client, "p", spans[..100]);
        await CopiedAsync(server, 100);

        await QueryServer.SendAsync(server.Client, "p", spans);
        await server.ScalarAsync<int>(
            "INSERT INTO vector_pending SELECT DISTINCT project_id, trace_id, 0, 9000000000000000000 FROM spans, generate_series(1, 30); SELECT 1");

        await CopiedAsync(server, 250);
    }

    [VectorFact]
    public async Task Copy_DiesInTheMiddle_IsDoneByTheNextOne()
    {
        await using var server = await StartAsync(Four);
        await using (var blocker = await server.OpenAsync())
        {
            await using var hold = new NpgsqlCommand("BEGIN; LOCK TABLE span_vectors IN SHARE MODE", blocker);
            await hold.ExecuteNonQueryAsync();
            await QueryServer.SendAsync(server.Client, "p", Embedding(1, 1, [1f, 0f, 0f, 0f]));
            const string Blocked = $"{LockWaits.From} AND query LIKE 'INSERT INTO span_vectors%'";
            await Eventually.TrueAsync(() => server.ScalarAsync<bool>($"SELECT EXISTS (SELECT {Blocked})"));

            await server.ScalarAsync<bool>($"SELECT bool_and(pg_terminate_backend(pid)) {Blocked}");

            await Eventually.TrueAsync(() => server.ScalarAsync<bool>($"SELECT EXISTS (SELECT {Blocked})"));
            Assert.Equal(1, await server.ScalarAsync<long>("SELECT count(*) FROM vector_pending"));
        }

        await CopiedAsync(server, 1);
    }

    [VectorFact]
    public async Task Remove_SpanTraceOrProject_TakesItsVectorsAlong()
    {
        await using var server = await StartAsync(Four);
        foreach (var project in (string[])["p", "q"])
        {
            await QueryServer.SendAsync(server.Client, project, Embedding(1, 1, [1f, 0f, 0f, 0f]), Embedding(1, 2, [1f, 0f, 0f, 0f]),
                Embedding(2, 3, [1f, 0f, 0f, 0f]), Embedding(3, 4, [1f, 0f, 0f, 0f]));
        }

        await CopiedAsync(server, 8);

        await DeleteAsync($"/v1/spans/{(await SearchAsync(server, "p", """{"vector":[1,0,0,0],"end_time_unix_nano":1760000000001500000}"""))[0].GetProperty("span").GetProperty("id").GetString()}");
        Assert.Equal(7, await server.ScalarAsync<long>("SELECT count(*) FROM span_vectors"));
        await DeleteAsync($"/v1/traces/{TestSpan.Hex(2)}");
        Assert.Equal(6, await server.ScalarAsync<long>("SELECT count(*) FROM span_vectors"));
        await DeleteAsync("/v1/projects/q");
        Assert.Equal(
            await server.ScalarAsync<long>("SELECT count(*) FROM spans"),
            await server.ScalarAsync<long>("SELECT count(*) FROM span_vectors JOIN spans USING (project_id, start_ns, trace_id, span_id)"));

        async Task DeleteAsync(string path)
        {
            using var answer = await server.Client.DeleteAsync(path);
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }
    }

    [VectorTheory]
    [InlineData("{}", "vector")]
    [InlineData("""{"vector":[1,2]}""", "vector")]
    [InlineData("""{"vector":[1,0,0,0,0]}""", "vector")]
    [InlineData("""{"vector":[0,0,0,0]}""", "vector")]
    [InlineData("""{"vector":[1,0,1e60,0]}""", "vector.2")]
    [InlineData("""{"vector":[1,0,null,0]}""", "vector.2")]
    [InlineData("""{"vector":[1,0,NaN,0]}""", "vector.2")]
    [InlineData("""{"vector":"x"}""", "vector")]
    [InlineData("""{"vector":[1,0,0,0],"limit":0}""", "limit")]
    [InlineData("""{"vector":[1,0,0,0],"limit":101}""", "limit")]
    [InlineData("""{"vector":[1,0,0,0],"threshold":1.5}""", "threshold")]
    [InlineData("""{"vector":[1,0,0,0],"start_time":"yesterday"}""", "start_time")]
    public async Task Search_InvalidInput_Is422AndSaysWhere(string json, string where)
    {
        await using var server = await StartAsync(Four);

        var (status, body) = await PostAsync(server, "default", json);

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        var detail = Assert.Single(JsonSerializer.Deserialize<JsonElement>(body).GetProperty("detail").EnumerateArray());
        Assert.Equal($"body.{where}", string.Join('.', detail.GetProperty("loc").EnumerateArray().Select(part => part.ToString())));
        Assert.Equal((HttpStatusCode.NotFound, "Project with identifier 'nobody' not found"),
            await PostAsync(server, "nobody", """{"vector":[1,0,0,0]}"""));
    }

    [VectorFact]
    public async Task Start_ExtensionInAnotherSchemaAndAnotherLength_FindsWhatHasTheLength()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using (var first = await PhoenixServer.StartAsync(database, ("PHOENIX_VECTOR_DIMENSIONS", "3")))
        {
            await QueryServer.SendAsync(first.Client, "p", Embedding(1, 1, [1f, 0f, 0f]));
            await CopiedAsync(first, 1);
            await first.ScalarAsync<int>("ALTER EXTENSION vector SET SCHEMA public; SELECT 1");
        }

        await using var second = await PhoenixServer.StartAsync(
            database, ("PHOENIX_VECTOR_DIMENSIONS", Four), ("PHOENIX_VECTOR_INDEX", "hnsw"));
        await QueryServer.SendAsync(second.Client, "p", Embedding(1, 2, [1f, 0f, 0f, 0f]));
        await CopiedAsync(second, 2);

        Assert.Equal("2:0 text 2.0", Name(Assert.Single(await SearchAsync(second, "p", """{"vector":[1,0,0,0]}"""))));
    }

    [VectorTheory]
    [InlineData("ivfflat")]
    [InlineData("hnsw")]
    public async Task Search_ClusteredVectors_FindsNineOfTheTenNearest(string index)
    {
        const int Dimensions = 128;
        const int Count = 20_000;
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_VECTOR_DIMENSIONS", $"{Dimensions}"), ("PHOENIX_VECTOR_INDEX", index));
        var (random, vectors) = (new Random(7), server.Services.GetRequiredService<SpanVectors>());
        var centers = Enumerable.Range(0, 200).Select(_ => Around(random, new float[Dimensions], 1)).ToArray();
        var data = Enumerable.Range(0, Count).Select(_ => Around(random, centers[random.Next(centers.Length)], 0.4)).ToArray();
        await using (var connection = await server.OpenAsync())
        {
            foreach (var chunk in data.Index().Chunk(1000))
            {
                await vectors.AddAsync(connection,
                    [.. chunk.Select(
                        item => (1, new SpanKey(item.Index, Guid.Empty, item.Index), new Embedding(0, null, Text(item.Item))))],
                        CancellationToken.None);
            }
        }

        var builder = server.Services.GetRequiredService<IndexBuilder>();
        await Eventually.TrueAsync(() => builder.RunAsync(CancellationToken.None));
        var definition = await server.ScalarAsync<string>(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'span_vectors'::regclass AND NOT indisunique AND indisvalid");
        Assert.Contains(index == "hnsw" ? "WITH (m='16', ef_construction='128')" : "WITH (lists='100')",
            definition, StringComparison.Ordinal);
        Assert.Contains("vector_cosine_ops", definition, StringComparison.Ordinal);

        var (found, queries) = (0, 100);
        for (var query = 0; query < queries; query++)
        {
            var sought = Around(random, centers[random.Next(centers.Length)], 0.4);
            var nearest = data.Index().OrderByDescending(item => Cosine(item.Item, sought)).Take(10).Select(item => (long)item.Index)
                .ToHashSet();
            found += (await vectors.SearchAsync(1, long.MinValue, long.MaxValue, sought, 10, -1, CancellationToken.None)).Count(
                match => nearest.Contains(match.Span.StartNanos));
        }

        var recall = found / (10.0 * queries);
        output.WriteLine($"{index}: recall@10 {recall:0.000} over {Count} vectors of {Dimensions} numbers");
        Assert.True(recall >= 0.9, $"recall@10 is {recall}");
        await Eventually.TrueAsync(
            () => server.ScalarAsync<bool>(
                "SELECT sum(idx_scan) >= 100 FROM pg_stat_user_indexes WHERE indexrelname LIKE 'span_vectors_vec_%'"));

        // A narrow time leaves few of those the index gives: then all in it are compared.
        var narrow = await vectors.SearchAsync(1, 500, 540, data[520], 10, -1, CancellationToken.None);
        Assert.Equal(Enumerable.Range(500, 40).OrderByDescending(item => Cosine(data[item], data[520])).Take(10).Select(item => (long)item),
            narrow.Select(match => match.Span.StartNanos));
    }

    private Task<PhoenixServer> StartAsync(string dimensions) =>
        PhoenixServer.StartAsync(postgres, ("PHOENIX_VECTOR_DIMENSIONS", dimensions));

    /// <summary>A span of one embedding call that starts <paramref name="id"/> ms after the epoch.</summary>
    private static Span Embedding(int trace, int id, params float[][] vectors) => TestSpan.Of(
        trace, id, startMs: id, kind: "EMBEDDING", attributes:
        [
            .. vectors.SelectMany((vector, index) => ((string, object)[])
            [
                ($"embedding.embeddings.{index}.embedding.vector", vector.Select(number => (object)(double)number).ToArray()),
                ($"embedding.embeddings.{index}.embedding.text", $"text {id}.{index}"),
            ]),
        ]);

    /// <summary>Waits until nothing is left to copy, and <paramref name="vectors"/> are there.</summary>
    private static async Task CopiedAsync(PhoenixServer server, long vectors)
    {
        await Eventually.TrueAsync(() => server.ScalarAsync<bool>("SELECT NOT EXISTS (SELECT FROM vector_pending)"));
        Assert.Equal(vectors, await server.ScalarAsync<long>("SELECT count(*) FROM span_vectors"));
    }

    private static string Name(JsonElement match) =>
        $"{Convert.ToInt64(match.GetProperty("span").GetProperty("context").GetProperty("span_id").GetString(), 16)}:{match.GetProperty("position").GetInt32()} {match.GetProperty("text").GetString()}";

    private static async Task<List<JsonElement>> SearchAsync(PhoenixServer server, string project, string json)
    {
        var (status, body) = await PostAsync(server, project, json);
        Assert.True(status == HttpStatusCode.OK, body);
        return [.. JsonSerializer.Deserialize<JsonElement>(body).GetProperty("data").EnumerateArray()];
    }

    private static async Task<(HttpStatusCode Status, string Body)> PostAsync(PhoenixServer server, string project, string json)
    {
        using var response = await server.Client.PostAsync($"/v1/projects/{project}/vectors/search",
            new StringContent(json, Encoding.UTF8, "application/json"));
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private static float[] Around(Random random, float[] center, double spread)
    {
        // Gaussian, by Box and Muller.
        double Next() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return [.. center.Select(number => (float)(number + (spread * Next())))];
    }

    private static string Text(
        float[] vector) => $"[{string.Join(',', vector.Select(number => number.ToString("R", CultureInfo.InvariantCulture)))}]";

    private static double Cosine(float[] left, float[] right)
    {
        var (product, ofLeft, ofRight) = (0d, 0d, 0d);
        for (var index = 0; index < left.Length; index++)
        {
            product += left[index] * right[index];
            ofLeft += left[index] * left[index];
            ofRight += right[index] * right[index];
        }

        return product / Math.Sqrt(ofLeft * ofRight);
    }
}
