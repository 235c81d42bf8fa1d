using MatsObservability.Tests.Support;
using Npgsql;
using Phoenix.Service.Configuration;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>
/// TLS on the way to PostgreSQL, as a PHOENIX_SQL_DATABASE_URL asks for it: against a server with a certificate of an authority of its own.
/// </summary>
[Trait("Req", "A12")]
public sealed class DatabaseTlsTests : IAsyncLifetime, IDisposable
{
    private readonly TestCertificates _certificates = new();
    private readonly TestCertificates _others = new();
    private TestPostgres _postgres = null!;

    public async Task InitializeAsync()
    {
        _postgres = await TestPostgres.StartAsync();
        using var certificate = _certificates.Issue("postgres");
        var (cert, key) = _certificates.WriteFiles(certificate);
        await using var connection = new NpgsqlConnection(_postgres.ConnectionString("postgres") + ";Pooling=false");
        await connection.OpenAsync();
        foreach (var (name, path) in new[] { ("server.crt", cert), ("server.key", key) })
        {
            // The server writes its own files: it refuses a key that others own or can read.
            var lines = (await File.ReadAllTextAsync(path)).ReplaceLineEndings("\n");
            await ExecuteAsync(
                connection, $"COPY (SELECT unnest(string_to_array('{lines}', chr(10)))) TO PROGRAM 'umask 077; cat > {name}'");
        }

        await ExecuteAsync(connection, "ALTER SYSTEM SET ssl = on");
        await ExecuteAsync(connection, "SELECT pg_reload_conf()");
        await Eventually.TrueAsync(async () =>
        {
            await using var fresh = new NpgsqlConnection(_postgres.ConnectionString("postgres") + ";SSL Mode=Require;Pooling=false");
            try
            {
                await fresh.OpenAsync();
                return true;
            }
            catch (NpgsqlException)
            {
                return false;
            }
        });
    }

    public async Task DisposeAsync() => await _postgres.DisposeAsync();

    public void Dispose()
    {
        _certificates.Dispose();
        _others.Dispose();
    }

    [Fact]
    public async Task Start_EveryModeThatTheCertificateMeets_StoresOverTls()
    {
        foreach (var parameters in new[] { "sslmode=require", $"sslmode=verify-ca&sslrootcert={_certificates.RootFile}", $"sslmode=verify-full&sslrootcert={_certificates.RootFile}" })
        {
            await using var server = await PhoenixServer.StartAsync(Url("localhost", parameters));
            (await server.Client.PostAsync(Otlp.Spans(3))).EnsureSuccessStatusCode();

            Assert.True(
                await server.ScalarAsync<bool>(
                    "SELECT count(*) > 1 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE backend_type = 'client backend' AND datname = 'postgres' AND pid <> pg_backend_pid()"),
                parameters);
        }
    }

    [Fact]
    public async Task Start_CertificateThatCannotBeTrusted_IsNeverReadyAndSaysSo()
    {
        foreach (var parameters in new[] { "sslmode=verify-full", $"sslmode=require&sslrootcert={_others.RootFile}", $"sslmode=verify-full&sslrootcert={_others.RootFile}" })
        {
            await using var server = await PhoenixServer.StartUnreadyAsync(Url("localhost", parameters));
            await Eventually.TrueAsync(async () =>
            {
                using var ready = await server.Client.GetAsync("/readyz");
                return (await ready.Content.ReadAsStringAsync()).Contains("does not answer", StringComparison.Ordinal);
            });
            using var refused = await server.Client.PostAsync(Otlp.Spans(1));

            Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        }
    }

    private string Url(string host, string parameters)
    {
        var direct = new NpgsqlConnectionStringBuilder(_postgres.ConnectionString("postgres"));
        return DatabaseUrl.ToConnectionString(
            $"postgresql://{direct.Username}:{Uri.EscapeDataString(direct.Password!)}@{host}:{direct.Port}/postgres?{parameters}");
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
