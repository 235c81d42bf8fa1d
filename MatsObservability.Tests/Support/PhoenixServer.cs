using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Phoenix.Service.Listening;
using Phoenix.Service.Storage.Postgres;

namespace MatsObservability.Tests.Support;

/// <summary>The real service in this process, on free ports, over a database of its own.</summary>
public sealed class PhoenixServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private PhoenixServer(WebApplication app, string connectionString)
    {
        _app = app;
        ConnectionString = connectionString;
        Client = new HttpClient { BaseAddress = new Uri(HttpUrl) };
    }

    /// <summary>UI, REST and OTLP/HTTP.</summary>
    public string HttpUrl => _app.AddressOf(Listeners.Http);

    /// <summary>OTLP/gRPC.</summary>
    public string GrpcUrl => _app.AddressOf(Listeners.Grpc);

    /// <summary>OTLP/HTTP alone.</summary>
    public string OtlpHttpUrl => _app.AddressOf(Listeners.Otlp);

    /// <summary>Prometheus metrics.</summary>
    public string MetricsUrl => _app.AddressOf(Listeners.Metrics);

    /// <summary>The database, with the service's schema in the search path.</summary>
    public string ConnectionString { get; }

    /// <summary>A client of <see cref="HttpUrl"/>.</summary>
    public HttpClient Client { get; }

    /// <summary>The service's container.</summary>
    public IServiceProvider Services => _app.Services;

    /// <summary>
    /// Starts over a fresh database and waits until it is ready; <paramref name="settings"/> are configuration keys or PHOENIX_* names.
    /// </summary>
    public static async Task<PhoenixServer> StartAsync(PostgresFixture postgres, params (string Key, string Value)[] settings) =>
        await StartAsync(await postgres.CreateDatabaseAsync(), settings);

    /// <summary>Starts over the database <paramref name="connectionString"/> and waits until it is ready.</summary>
    public static async Task<PhoenixServer> StartAsync(string connectionString, params (string Key, string Value)[] settings)
    {
        var server = await StartUnreadyAsync(connectionString, settings);
        await server.Services.GetRequiredService<DatabaseState>().WaitReadyAsync(CancellationToken.None)
            .WaitAsync(TimeSpan.FromSeconds(60));
        return server;
    }

    /// <summary>Starts without waiting for the database.</summary>
    public static async Task<PhoenixServer> StartUnreadyAsync(string connectionString, params (string Key, string Value)[] settings)
    {
        string[] ports = ["PHOENIX_PORT", "PHOENIX_GRPC_PORT", "PHOENIX_OTLP_HTTP_PORT", "PHOENIX_METRICS_PORT"];
        var app = global::Phoenix.Service.Program.Build([
            .. ports.Select(port => $"--{port}=0"),
            $"--ConnectionStrings:phoenixdb={connectionString}",
            "--Logging:LogLevel:Default=Warning",
            .. settings.Select(setting => $"--{setting.Key}={setting.Value}"),
        ]);
        await app.StartAsync();
        var schema = settings.FirstOrDefault(setting => setting.Key is "PHOENIX_SQL_DATABASE_SCHEMA").Value ?? "phoenix";
        return new PhoenixServer(app, new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = schema }.ConnectionString);
    }

    /// <summary>Opens a connection to the service's tables.</summary>
    public async Task<NpgsqlConnection> OpenAsync()
    {
        var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>The first column of the first row of <paramref name="sql"/>.</summary>
    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = await OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Stops it as SIGTERM does: running requests finish, the queue is drained.</summary>
    public Task StopAsync() => _app.StopAsync();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        await using var connection = new NpgsqlConnection(ConnectionString);
        NpgsqlConnection.ClearPool(connection);
    }
}
