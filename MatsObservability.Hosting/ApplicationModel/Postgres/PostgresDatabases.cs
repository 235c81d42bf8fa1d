using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Creates the databases of a server that is ready.</summary>
internal static partial class PostgresDatabases
{
    /// <summary>
    /// A database that exists already is fine; another failure is logged at the database, whose health check then stays unhealthy.
    /// </summary>
    public static async Task CreateAsync(PostgresServerResource server, IServiceProvider services, CancellationToken cancellationToken)
    {
        var loggers = services.GetRequiredService<ResourceLoggerService>();
        var databases = services.GetRequiredService<DistributedApplicationModel>().Resources.OfType<PostgresDatabaseResource>()
            .Where(database => database.Parent == server);
        var settings = new NpgsqlConnectionStringBuilder(
            await ((IResourceWithConnectionString)server).GetConnectionStringAsync(cancellationToken))
        {
            Database = "postgres",
            Pooling = false,
        };
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        foreach (var database in databases.Where(database => !database.HasAnnotationOfType<ConnectionStringRedirectAnnotation>()))
        {
            await CreateAsync(connection, database, loggers.GetLogger(database), cancellationToken);
        }
    }

    private static async Task CreateAsync(NpgsqlConnection connection, PostgresDatabaseResource database, ILogger logger,
        CancellationToken cancellationToken)
    {
        var script = database.TryGetLastAnnotation<PostgresCreationScriptAnnotation>(out var annotation)
            ? annotation.Script
            : $"CREATE DATABASE {new NpgsqlCommandBuilder().QuoteIdentifier(database.DatabaseName)}";
        try
        {
            // Asked first, so that the server's log of every later start shows no error.
            await using var question = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = $1", connection)
            {
                Parameters = { new() { Value = database.DatabaseName } },
            };
            if (annotation is null && await question.ExecuteScalarAsync(cancellationToken) is not null)
            {
                Log.Exists(logger, database.DatabaseName);
                return;
            }

            await using var command = new NpgsqlCommand(script, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
            Log.Created(logger, database.DatabaseName);
        }
        catch (PostgresException failure) when (failure.SqlState == PostgresErrorCodes.DuplicateDatabase)
        {
            Log.Exists(logger, database.DatabaseName);
        }
        catch (PostgresException failure)
        {
            Log.Failed(logger, failure, database.DatabaseName);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(110, LogLevel.Information, "The database '{Database}' was created.")]
        public static partial void Created(ILogger logger, string database);

        [LoggerMessage(111, LogLevel.Debug, "The database '{Database}' exists.")]
        public static partial void Exists(ILogger logger, string database);

        [LoggerMessage(112, LogLevel.Error, "The database '{Database}' cannot be created; what depends on it keeps waiting.")]
        public static partial void Failed(ILogger logger, Exception failure, string database);
    }
}
