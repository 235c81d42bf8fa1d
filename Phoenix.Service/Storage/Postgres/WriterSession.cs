using System.Globalization;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>The connection of one writer: opened when first needed, kept, replaced after a failure. Not thread-safe.</summary>
internal sealed class WriterSession(NpgsqlDataSource dataSource) : IAsyncDisposable
{
    /// <summary>Service key of the writers' own data source.</summary>
    public const string DataSourceKey = "writers";

    private NpgsqlConnection? _connection;
    private NpgsqlTransaction? _transaction;

    /// <summary>The open connection.</summary>
    public async ValueTask<NpgsqlConnection> ConnectAsync(CancellationToken cancellationToken) =>
        _connection ??= await dataSource.OpenConnectionAsync(cancellationToken);

    /// <summary>
    /// <paramref name="connectionString"/> with a statement timeout, set when a connection is opened so that no transaction pays for it.
    /// The server too must end a statement that takes too long: giving up a COPY here only closes the connection, and the server would
    /// notice that when what it waits for comes, so every new try would leave another one behind.
    /// </summary>
    public static string WithTimeout(string connectionString, TimeSpan timeout)
    {
        var builder = new NpgsqlConnectionStringBuilder(connectionString);
        builder.Options =
            string.Create(CultureInfo.InvariantCulture, $"{builder.Options} -c statement_timeout={(long)timeout.TotalMilliseconds}")
                .TrimStart();
        return builder.ConnectionString;
    }

    /// <summary>Starts the transaction of a write; it travels with the first statement.</summary>
    public async ValueTask BeginAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        _transaction = await connection.BeginTransactionAsync(cancellationToken);

    /// <summary>
    /// Makes the write durable, after its <paramref name="last"/> statements: all in one round trip, because a writer that waits stores
    /// nothing.
    /// </summary>
    public async Task CommitAsync(IReadOnlyList<NpgsqlBatchCommand> last, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(_connection);
        foreach (var command in last)
        {
            batch.BatchCommands.Add(command);
        }

        batch.BatchCommands.Add(new NpgsqlBatchCommand("COMMIT"));
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await _transaction!.DisposeAsync();
        _transaction = null;
    }

    /// <summary>Undoes what a failed write left. Throws nothing.</summary>
    public async ValueTask ResetAsync(bool keepConnection)
    {
        try
        {
            if (_transaction is not null)
            {
                await _transaction.DisposeAsync();
            }

            keepConnection &= _connection?.State == System.Data.ConnectionState.Open;
        }
        catch (Exception exception) when (IsOfConnection(exception))
        {
            keepConnection = false;
        }

        _transaction = null;
        if (keepConnection || _connection is not { } connection)
        {
            return;
        }

        _connection = null;
        try
        {
            await connection.DisposeAsync();
        }
        catch (Exception exception) when (IsOfConnection(exception))
        {
            // Broken meanwhile, as by a keep-alive that got no answer: the pool has dropped it.
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ResetAsync(keepConnection: false);

    private static bool IsOfConnection(Exception exception) =>
        PostgresErrors.IsDatabase(exception) || exception is InvalidOperationException;
}
