using System.Net;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Phoenix;

public sealed class HealthTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Probes_Migrated_AnswerAsDocumented()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);

        foreach (var (path, body) in new[] { ("/healthz", "OK"), ("/readyz", "{}"), ("/health", "Healthy"), ("/health/live", "OK"),
            ("/health/ready", "{}"), ("/alive", "OK"), ("/arize_phoenix_version", "20.3.0") })
        {
            using var response = await server.Client.GetAsync(path);

            Assert.Equal((HttpStatusCode.OK, body), (response.StatusCode, await response.Content.ReadAsStringAsync()));
            Assert.Equal("20.3.0", Assert.Single(response.Headers.GetValues("x-phoenix-server-version")));
        }
    }

    [Fact]
    public async Task Migrations_SecondStart_AppliesNothingAndLeavesForeignTablesAlone()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using (var first = await PhoenixServer.StartAsync(database))
        {
            await first.ScalarAsync<int>("CREATE TABLE public.foreign_table AS SELECT 1 AS one; SELECT one FROM public.foreign_table");
        }

        await using var second = await PhoenixServer.StartAsync(database);

        Assert.Equal(1, await second.ScalarAsync<int>("SELECT one FROM public.foreign_table"));
        Assert.Equal(0L,
            await second.ScalarAsync<long>("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'foreign_table'"));
        Assert.Equal(0L,
            await second.ScalarAsync<long>("SELECT count(*) FROM schema_versions GROUP BY version HAVING count(*) > 1 UNION ALL SELECT 0"));
    }
}
