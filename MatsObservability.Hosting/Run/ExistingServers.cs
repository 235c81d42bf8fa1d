using System.Data.Common;
using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Npgsql;

namespace MatsObservability.Hosting.Run;

/// <summary>The server runs already, somewhere: it is used, not started.</summary>
internal sealed class ExistingServerAnnotation : IResourceAnnotation;

/// <summary>
/// Puts a server that the user names by <c>ConnectionStrings:database</c> (or <c>:server</c>) in the place of the one the model would
/// start.
/// </summary>
internal sealed class ExistingServers(RunContext context)
{
    private const int ConnectSeconds = 5;

    /// <summary>
    /// Looks for connection strings of the model's PostgreSQL servers and databases, tries them, and rewires the model to them.
    /// </summary>
    /// <exception cref="DistributedApplicationException">One cannot be used; the message names its setting and the reason, never its
    /// password.</exception>
    public async Task ApplyAsync(CancellationToken cancellationToken)
    {
        foreach (var server in context.Model.Resources.OfType<PostgresServerResource>())
        {
            foreach (var database in DatabasesOf(server))
            {
                if (context.Configuration.GetConnectionString(database.Name) is { Length: > 0 } text)
                {
                    var settings = await TryAsync(database.Name, text, database.DatabaseName, cancellationToken);
                    Use(server, settings);
                    Use(database, settings);
                }
            }

            if (!server.HasAnnotationOfType<ExistingServerAnnotation>()
                && context.Configuration.GetConnectionString(server.Name) is { Length: > 0 } serverText)
            {
                Use(server, await TryAsync(server.Name, serverText, "postgres", cancellationToken));
            }
        }
    }

    public IEnumerable<PostgresDatabaseResource> DatabasesOf(PostgresServerResource server) =>
        context.Model.Resources.OfType<PostgresDatabaseResource>().Where(database => ReferenceEquals(database.Parent, server));

    /// <summary>Connects once; a database that is missing is created.</summary>
    private static async Task<NpgsqlConnectionStringBuilder> TryAsync(
        string name, string text, string defaultDatabase, CancellationToken cancellationToken)
    {
        try
        {
            var settings = new NpgsqlConnectionStringBuilder(text);
            if (string.IsNullOrEmpty(settings.Host))
            {
                throw new DistributedApplicationException($"ConnectionStrings__{name} names no Host.");
            }

            settings.Database ??= defaultDatabase;
            var probe = new NpgsqlConnectionStringBuilder(settings.ConnectionString) { Pooling = false, Timeout = ConnectSeconds };
            try
            {
                await OpenAsync(probe, command: null, cancellationToken);
            }
            catch (PostgresException missing) when (missing.SqlState == PostgresErrorCodes.InvalidCatalogName)
            {
                var creation = $"CREATE DATABASE {new NpgsqlCommandBuilder().QuoteIdentifier(settings.Database)}";
                try
                {
                    await OpenAsync(new NpgsqlConnectionStringBuilder(probe.ConnectionString) { Database = "postgres" }, creation,
                        cancellationToken);
                }
                catch (PostgresException made) when (
                    made.SqlState is PostgresErrorCodes.DuplicateDatabase or PostgresErrorCodes.UniqueViolation)
                {
                    // Another AppHost made it meanwhile.
                }
            }

            return settings;
        }
        catch (Exception failure) when (failure is DbException or ArgumentException or FormatException or TimeoutException
            or InvalidOperationException)
        {
            var reason = failure.InnerException is { } inner && failure is not PostgresException
                ? $"{failure.Message} ({inner.Message})"
                : failure.Message;
            throw new DistributedApplicationException($"ConnectionStrings__{name} cannot be used: {reason.ReplaceLineEndings(" ")}",
                failure);
        }
    }

    private static async Task OpenAsync(NpgsqlConnectionStringBuilder settings, string? command, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        if (command is not null)
        {
            await using var statement = new NpgsqlCommand(command, connection);
            await statement.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    private static void Use(PostgresServerResource server, NpgsqlConnectionStringBuilder settings)
    {
        if (server.HasAnnotationOfType<ExistingServerAnnotation>())
        {
            return;
        }

        server.Annotations.Add(new ExistingServerAnnotation());
        server.UserNameParameter = Fixed($"{server.Name}-user", settings.Username ?? "", secret: false);
        server.PasswordParameter = Fixed($"{server.Name}-password", settings.Password ?? "", secret: true);
        var endpoint = server.PrimaryEndpoint.EndpointAnnotation;
        endpoint.AllocatedEndpoint = new AllocatedEndpoint(
            endpoint, settings.Host!, settings.Port, settings.Port.ToString(CultureInfo.InvariantCulture));
        var withoutDatabase = new NpgsqlConnectionStringBuilder(settings.ConnectionString);
        withoutDatabase.Remove("Database");
        Redirect(server, server.Name, withoutDatabase.ConnectionString);
    }

    private static void Use(PostgresDatabaseResource database, NpgsqlConnectionStringBuilder settings)
    {
        Redirect(database, database.Name, settings.ConnectionString);
        if (settings.Database is { } name && name != database.DatabaseName)
        {
            database.Annotations.Add(new ConnectionPropertyAnnotation("Uri", database.Parent.Uri(name)));
            database.Annotations.Add(new ConnectionPropertyAnnotation("JdbcConnectionString", database.Parent.Jdbc(name)));
            database.Annotations.Add(new ConnectionPropertyAnnotation("DatabaseName", ReferenceExpression.Create($"{name}")));
        }
    }

    private static void Redirect(IResource resource, string name, string connectionString) =>
        resource.Annotations.Add(
            new ConnectionStringRedirectAnnotation(
                new ConnectionStringParameterResource(name, _ => connectionString, environmentVariableName: null)));

    private static ParameterResource Fixed(string name, string value, bool secret) => new(name, _ => value, secret);
}
