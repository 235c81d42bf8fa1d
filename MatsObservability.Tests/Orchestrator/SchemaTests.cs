using Npgsql;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>The schema <c>mats</c> at a start.</summary>
public sealed class SchemaTests(EmptySystem system) : IClassFixture<EmptySystem>
{
    [Fact]
    public async Task Start_SchemaOfANewerRelease_IsRefusedByName()
    {
        var database = await system.NewDatabaseAsync();
        await using (await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl))
        {
            // Makes the schema of this release.
        }

        await using var source = NpgsqlDataSource.Create(database);
        await using var newer = source.CreateCommand("insert into mats.schema_migrations (name) values ('Schema.9999_later.sql')");
        await newer.ExecuteNonQueryAsync();
        var fault = await Assert.ThrowsAsync<InvalidOperationException>(
            () => OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl));
        Assert.Contains("schema mats has Schema.9999_later.sql", fault.Message, StringComparison.Ordinal);

        await using var gone = source.CreateCommand("delete from mats.schema_migrations where name like '%9999%'");
        await gone.ExecuteNonQueryAsync();
        await using var again = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);
    }
}
