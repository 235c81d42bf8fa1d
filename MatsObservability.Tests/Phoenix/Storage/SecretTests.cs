using Google.Protobuf;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using Npgsql;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>What redaction takes out is in no table and no answer.</summary>
[Trait("Req", "B131")]
public sealed class SecretTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private static readonly string[] s_secrets =
        ["sk-proj-seededkeyseededkeyseededkey0001", "seeded-user-token-0002", "seeded-session-token-0003", "seededbearer0004seededbearer",
            "4111111111111111", "ada.seeded@example.com", "seeded-user-0007"];

    [Fact]
    public async Task Export_SecretsInAllSignals_AreInNoTableAndNoAnswer()
    {
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("Phoenix:Redaction:Rules:0", "drop user.email"), ("Phoenix:Redaction:Rules:1", @"mask * /\b\d{16}\b/"),
            ("Phoenix:Redaction:Rules:2", "hash user.id"));
        KeyValue[] seeded =
        [
            Otlp.Text("llm.api_key", s_secrets[0]), Otlp.Text("user.token", s_secrets[1]), Otlp.Text("session.token", s_secrets[2]),
            Otlp.Text("note", $"Authorization: Bearer {s_secrets[3]}, card {s_secrets[4]}"), Otlp.Text("user.email", s_secrets[5]),
            Otlp.Text("user.id", s_secrets[6]),
            Otlp.Text("session.id", $"session of {s_secrets[4]}"), Otlp.Text("kept", "harmless"),
        ];
        var spans = Otlp.Spans(2, "secrets");
        spans.ResourceSpans[0].Resource.Attributes.AddRange(seeded);
        spans.ResourceSpans[0].ScopeSpans[0].Scope.Attributes.AddRange(seeded);
        foreach (var span in spans.ResourceSpans[0].ScopeSpans[0].Spans)
        {
            span.Attributes.AddRange(seeded);
            span.Name = $"call by {s_secrets[0]}";
            span.Status = new Status { Code = Status.Types.StatusCode.Error, Message = $"refused Bearer {s_secrets[3]}" };
            span.Events.Add(new Span.Types.Event { Name = "gen_ai.user.message", Attributes = { seeded } });
        }

        var logs = Otlp.Log($"called with Bearer {s_secrets[3]}", "secrets");
        logs.ResourceLogs[0].ScopeLogs[0].LogRecords[0].Attributes.AddRange(seeded);
        var points = Otlp.Gauge("g", 1, Otlp.NowNanos);
        points.ResourceMetrics[0].Resource.Attributes.Add(Otlp.Text("openinference.project.name", "secrets"));
        points.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].Gauge.DataPoints[0].Attributes.AddRange(seeded);
        foreach (var message in (IMessage[])[spans, spans, logs, points])
        {
            (await server.Client.PostAsync(message)).EnsureSuccessStatusCode();
        }

        await QueryServer.RolledUpAsync(server);

        Assert.Equal([], await HoldingAsync(server, s_secrets));
        Assert.Contains("spans", string.Join(' ', await HoldingAsync(server, ["harmless"])), StringComparison.Ordinal);
        foreach (var path in (string[])["/v1/projects/secrets/export", "/v1/projects/secrets/spans", "/v1/projects/secrets/spans/otlpv1",
            "/v1/projects/secrets/logs", "/projects/secrets/spans"])
        {
            var answer = await server.Client.GetStringAsync(path);
            Assert.All(s_secrets, secret => Assert.DoesNotContain(secret, answer, StringComparison.Ordinal));
        }
    }

    /// <summary>The tables of the service's schema that hold one of these texts in any column.</summary>
    private static async Task<List<string>> HoldingAsync(PhoenixServer server, string[] texts)
    {
        await using var connection = await server.OpenAsync();
        var tables = new List<string>();
        await using (var list = new NpgsqlCommand(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace", connection))
        await using (var reader = await list.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                tables.Add(reader.GetString(0));
            }
        }

        var holding = new List<string>();
        foreach (var table in tables)
        {
            await using var command =
                new NpgsqlCommand($"SELECT EXISTS (SELECT FROM {table} t, unnest($1::text[]) AS secret WHERE strpos(t::text, secret) > 0)",
                    connection);
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = texts });
            if ((bool)(await command.ExecuteScalarAsync())!)
            {
                holding.Add(table);
            }
        }

        return holding;
    }
}
