using System.Globalization;
using System.Text.Json;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Indexes;
using Phoenix.Service.Storage.Postgres.Readers;

namespace MatsObservability.Tests.Phoenix.Storage.Indexes;

/// <summary>What an index on an attribute finds is what a search without it finds, and it is really used.</summary>
[Trait("Req", "B090")]
public sealed class AttributeIndexTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string Keys = "user.id,score,flag,a.b.c,metadata.team";

    [Fact]
    public async Task Search_IndexedAttribute_FindsExactlyTheRowsThatMatch()
    {
        await using var server = await StartAsync(Keys);
        object[] values =
        [
            "u1", "u2", "äöü €", "", "42", "true", "NaN", "{\"a\":1}", new string('x', 300), new string('x', 300) + "y", 42L, 42.0, 42.5,
            0L, 0.0, -0.0, -7L, 1e15, 1e300, long.MaxValue,
            double.NaN, true, false, new object[] { "u1" }, new Dictionary<string, object> { ["id"] = "u1" },
            new byte[] { 1 }, "tab\tquote\"slash\\end",
        ];
        var spans = values.SelectMany((value, index) => (string[])["user.id", "score", "flag", "a.b.c"], (value, key) => (key, value))
            .Select((pair, index) => TestSpan.Of(1, index + 1, startMs: index, attributes: (pair.key, pair.value))).ToList();
        (string, object)[] odd =
        [
            ("user", new Dictionary<string, object> { ["id"] = "u1" }), ("user", new Dictionary<string, object> { ["id"] = 42L }),
            ("a.b", new Dictionary<string, object> { ["c"] = "u1" }),
            ("a", new Dictionary<string, object> { ["b"] = new Dictionary<string, object> { ["c"] = 42.0 } }),
            ("a", new Dictionary<string, object> { ["b.c"] = "u2" }),
            ("metadata", "{\"team\": \"u1\"}"), ("metadata", "{\"team\": 42}"), ("metadata.team", "u2"), ("metadata", "no json \"team\""),
            ("other", "u1"), ("text", "\"user.id\":\"u1\""),
            ("x", new Dictionary<string, object> { ["user.id"] = "u1" }),
        ];
        spans.AddRange(odd.Select((pair, index) => TestSpan.Of(2, 1000 + index, startMs: index, attributes: pair)));
        spans.Add(TestSpan.Of(2, 2000, attributes: [("user.id", "u2"), ("user", new Dictionary<string, object> { ["id"] = "u1" })]));
        await QueryServer.SendAsync(server.Client, "p", [.. spans]);
        var rows = new List<(string Id, string Attributes, string? Derived)>();
        await using (var connection = await server.OpenAsync())
        await using (var reader = await new NpgsqlCommand(
            "SELECT lpad(to_hex(span_id), 16, '0'), attributes, derived FROM spans", connection).ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                rows.Add((reader.GetString(0), reader.GetString(1), await reader.IsDBNullAsync(2) ? null : reader.GetString(2)));
            }
        }

        var found = 0;
        string[] sought = ["u1", "\"u1\"", "u2", "äöü €", "42", "\"42\"", "42.0", "42.5", "0", "-7", "1000000000000000",
            "9223372036854775807", "true", "\"true\"", "false", "NaN", "{\"a\":1}", new string('x', 300), "none"];
        foreach (var condition in Keys.Split(',').SelectMany(_ => sought, (key, value) => $"{key}:{value}")
            .Where(text => !text.EndsWith("{\"a\":1}", StringComparison.Ordinal)))
        {
            Assert.Null(AttributeCondition.TryParse(condition, out var parsed));
            var expected = rows.Where(row => parsed!.Matches(row.Attributes, row.Derived)).Select(row => row.Id)
                .Order(StringComparer.Ordinal);

            var page = JsonSerializer.Deserialize<JsonElement>(
                await server.Client.GetStringAsync($"/v1/projects/p/spans?limit=500&attribute={Uri.EscapeDataString(condition)}"));

            var ids = page.GetProperty("data").EnumerateArray()
                .Select(span => span.GetProperty("context").GetProperty("span_id").GetString()!).Order(StringComparer.Ordinal).ToList();
            Assert.True(expected.SequenceEqual(ids), $"{condition}: {string.Join(',', ids)}");
            found += ids.Count;
        }

        Assert.True(found > 60, $"only {found} rows were found at all");
    }

    [Fact]
    public async Task Search_IndexedAttribute_PagesNewestFirstThroughEveryMatch()
    {
        await using var server = await StartAsync("user.id");
        await QueryServer.SendAsync(server.Client, "p",
            [.. Enumerable.Range(1, 120)
                .Select(id => TestSpan.Of(1, id, startMs: id / 3, attributes: (id % 2 == 0 ? "user.id" : "user.name", "u")))]);

        var (ids, path) = (new List<long>(), "/v1/projects/p/spans?limit=7&attribute=user.id:u");
        for (string? cursor = ""; cursor is not null;)
        {
            var page = JsonSerializer.Deserialize<JsonElement>(
                await server.Client.GetStringAsync(cursor.Length == 0 ? path : $"{path}&cursor={Uri.EscapeDataString(cursor)}"));
            ids.AddRange(
                page.GetProperty("data").EnumerateArray()
                    .Select(span =>
                        long.Parse(span.GetProperty("context").GetProperty("span_id").GetString()!, NumberStyles.HexNumber,
                            CultureInfo.InvariantCulture)));
            cursor = page.GetProperty("next_cursor").GetString();
        }

        Assert.Equal(Enumerable.Range(1, 60).Select(half => half * 2L).Reverse(), ids);
    }

    [Theory]
    [InlineData("user.id:u77")]
    [InlineData("user.id:77")]
    [InlineData("a.b.c:true")]
    public async Task ListCommand_IndexedAttribute_IsPlannedOverItsIndex(string condition)
    {
        await using var server = await StartAsync("user.id,a.b.c");
        await FillAsync(server, 20_000);
        Assert.Null(AttributeCondition.TryParse(condition, out var parsed));
        var project = await server.ScalarAsync<int>("SELECT min(project_id) FROM spans");

        await using var command = server.Services.GetRequiredService<SpanReader>()
            .ListCommand(project, new SpanFilter { Attributes = [parsed!] }, null, null, null, 101);
        var plan = await ExplainAsync(server, command);

        // Partitions without rows may be read in any way.
        var leaf = await server.ScalarAsync<string>("SELECT DISTINCT tableoid::regclass::text FROM spans");
        Assert.Contains(AttributeIndexes.On(leaf, parsed!.Path).Name, plan, StringComparison.Ordinal);
        Assert.DoesNotContain($"Seq Scan on {leaf} ", plan, StringComparison.Ordinal);
        Assert.DoesNotContain($"{leaf}_project_id", plan, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Setting_KeyRemovedAndAnotherAdded_DropsAndBuildsOnStoredSpans()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using (var first = await PhoenixServer.StartAsync(database, ("PHOENIX_INDEXED_ATTRIBUTES", "user.id, old.key")))
        {
            await ReadyAsync(first, "old.key");
            await FillAsync(first, 500);
        }

        await using var second = await PhoenixServer.StartAsync(database, ("PHOENIX_INDEXED_ATTRIBUTES", "user.id,new.key,user.id"));
        await ReadyAsync(second, "new.key");

        var leaves = await second.ScalarAsync<long>("SELECT count(*) FROM pg_inherits WHERE inhparent = 'spans'::regclass");
        foreach (var (key, expected) in ((string, long)[])[("user.id", leaves), ("new.key", leaves), ("old.key", 0)])
        {
            var suffix = AttributeIndexes.On("", key).Name;
            Assert.Equal(
                expected,
                await second.ScalarAsync<long>($"SELECT count(*) FROM pg_class JOIN pg_index ON indexrelid = oid WHERE relname LIKE '%{suffix}' AND indisvalid"));
        }

        Assert.False(second.Services.GetRequiredService<AttributeIndexes>().IsReady("old.key"));
        using var answer = await second.Client.PostAsync(
            Otlp.Spans(Guid.NewGuid(), 2, startNanos: Otlp.NowNanos - (33UL * 86_400_000_000_000)));
        answer.EnsureSuccessStatusCode();
        Assert.Equal(2 * (leaves + 1),
            await second.ScalarAsync<long>($"SELECT count(*) FROM pg_class WHERE relkind = 'i' AND relname ~ '_attr_[0-9a-f]{{8}}$'"));
    }

    [Fact]
    public void Check_KeyThatCannotBeIndexed_IsNamed()
    {
        var faults = StorageOptions.Check(
            new StorageOptions { IndexedAttributes = ["fine.key-1:x_", "it's", "a\"b", new string('k', 201)] })
            .ToList();

        Assert.Equal(3, faults.Count);
        Assert.All(faults,
            fault => Assert.StartsWith("Phoenix:Storage:IndexedAttributes must ", fault, StringComparison.Ordinal));
        Assert.Single(
            StorageOptions.Check(new StorageOptions { IndexedAttributes = [.. Enumerable.Range(0, 17).Select(key => $"k{key}")] }));
    }

    private async Task<PhoenixServer> StartAsync(string keys)
    {
        var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_INDEXED_ATTRIBUTES", keys));
        foreach (var key in keys.Split(','))
        {
            await ReadyAsync(server, key);
        }

        return server;
    }

    private static Task ReadyAsync(PhoenixServer server, string key) =>
        Eventually.TrueAsync(() => server.Services.GetRequiredService<AttributeIndexes>().IsReady(key));

    /// <summary>Stores many spans of today with a user of their own each, in one statement.</summary>
    private static async Task FillAsync(PhoenixServer server, int spans)
    {
        using var answer = await server.Client.PostAsync(Otlp.Spans(1, "p"));
        answer.EnsureSuccessStatusCode();
        await server.ScalarAsync<long>($$"""
            WITH added AS (
                INSERT INTO spans (project_id, trace_id, span_id, start_ns, end_ns, name, kind, span_kind, status, resource_id, scope_id, attributes)
                SELECT project_id, gen_random_uuid(), n, start_ns + n, start_ns + n, 'filled', 0, 0, 0, resource_id, scope_id, '{"user.id":"u' || n || '"}'
                FROM spans, generate_series(10, {{spans + 9}}) AS n RETURNING 1)
            SELECT count(*) FROM added
            """);
        await using var connection = await server.OpenAsync();
        await using var analyze = new NpgsqlCommand("ANALYZE spans", connection);
        await analyze.ExecuteNonQueryAsync();
    }

    private static async Task<string> ExplainAsync(PhoenixServer server, NpgsqlCommand command)
    {
        await using var connection = await server.OpenAsync();
        await using var explain = new NpgsqlCommand($"EXPLAIN {command.CommandText}", connection);
        foreach (NpgsqlParameter parameter in command.Parameters)
        {
            explain.Parameters.Add(parameter.Clone());
        }

        var plan = new List<string>();
        await using var reader = await explain.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            plan.Add(reader.GetString(0));
        }

        return string.Join('\n', plan);
    }
}
