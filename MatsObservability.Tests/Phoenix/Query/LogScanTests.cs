using System.Text.Json;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Logs.V1;

namespace MatsObservability.Tests.Phoenix.Query;

/// <summary>Lists of log records in which one among very many passes the filter.</summary>
[Trait("Req", "B002")]
public sealed class LogScanTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const int Records = 120_000;

    [Fact]
    public async Task List_OneRecordAmongMany_IsFoundInOnePageOrHandedOnByTheCursor()
    {
        await using var patient = await PhoenixServer.StartAsync(postgres);
        var first = Otlp.Log("hay", "noisy");
        first.ResourceLogs[0].ScopeLogs[0].LogRecords[0].SeverityNumber = SeverityNumber.Info;
        using var answer = await patient.Client.PostAsync(first);
        answer.EnsureSuccessStatusCode();
        await patient.ScalarAsync<long>($"""
            INSERT INTO logs (project_id, time_ns, severity, body, resource_id, scope_id, attributes)
            SELECT p.id, 1000 + i / 7, CASE WHEN i = 1 THEN 17 ELSE 9 END, CASE WHEN i = 1 THEN 'the needle' ELSE 'hay' END, l.resource_id, l.scope_id, '[]'
            FROM projects p JOIN logs l ON l.project_id = p.id, generate_series(1, {Records}) AS i WHERE p.name = 'noisy';
            SELECT 1::bigint
            """);

        await using var hasty = await PhoenixServer.StartAsync(patient.ConnectionString, ("Phoenix:Query:ScanBudget", "00:00:00"));
        foreach (var filter in (string[])["min_severity=17", "body_contains=needle"])
        {
            Assert.Equal(["1"], await WalkAsync(patient, filter));
            Assert.Equal(["0", "0", "1"], await WalkAsync(hasty, filter));
        }

        Assert.Equal(Records + 1, (await WalkAsync(hasty, "body_contains=&limit=1000")).Sum(int.Parse));
        var page = await hasty.Client.GetStringAsync("/projects/noisy/logs?level=17");
        Assert.Contains("Not all records were looked through yet", page, StringComparison.Ordinal);
        Assert.Contains("rel=\"next\"", page, StringComparison.Ordinal);
    }

    /// <summary>How many records each page of the list has.</summary>
    private static async Task<List<string>> WalkAsync(PhoenixServer server, string filter)
    {
        var sizes = new List<string>();
        for (string? cursor = ""; cursor is not null;)
        {
            var page = JsonSerializer.Deserialize<JsonElement>(await server.Client.GetStringAsync(
                $"/v1/projects/noisy/logs?{filter}" + (cursor.Length > 0 ? $"&cursor={cursor}" : "")));
            sizes.Add($"{page.GetProperty("data").GetArrayLength()}");
            cursor = page.GetProperty("next_cursor").GetString();
        }

        return sizes;
    }
}
