using Npgsql;
using Phoenix.Service.Storage.Postgres.Vectors;

namespace Phoenix.Service.Storage.Postgres.Indexes;

/// <summary>
/// Makes and drops indexes of tables that hold data while writes go on: CREATE and DROP INDEX CONCURRENTLY, outside of any transaction, one
/// at a time, by one replica (advisory lock). What is to be done is read from the catalog, so a pass can end anywhere and the next one goes
/// on. Three kinds are wanted: those on attributes (<see cref="AttributeIndexes"/>), the one of the vectors (<see cref="SpanVectors"/>),
/// and the parts of an index that a migration declared by <c>CREATE INDEX … ON ONLY</c> a partitioned table; they are attached to it,
/// partition by partition, and partitions made meanwhile have theirs from the start.
/// </summary>
/// <remarks>
/// A pass: 1. take the lock or leave it to the replica that has it, 2. drop those of the first two kinds that nobody wants any more, 3. of
/// each wanted index drop what a failed build left, build it and attach it; a build that fails here is dropped at once, 4. tell the readers
/// which attribute indexes they may use.
/// </remarks>
internal sealed partial class IndexBuilder(
    NpgsqlDataSource dataSource, AttributeIndexes attributes, SpanVectors vectors, DatabaseState state, TimeProvider time,
    ILogger<IndexBuilder> logger) : DatabaseLoop(state, time, Every(s_interval, time))
{
    private const string LockKey = "hashtextextended('mats.indexes.' || current_schema(), 0)";
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(30);

    /// <summary>Longest wait to attach an index: who waits for it holds up the writers behind.</summary>
    private static readonly TimeSpan s_lockTimeout = TimeSpan.FromMilliseconds(500);

    /// <inheritdoc/>
    protected override async Task<TimeSpan> StepAsync(CancellationToken cancellationToken)
    {
        await RunAsync(cancellationToken);
        return s_interval;
    }

    /// <inheritdoc/>
    protected override void Failed(string reason) => Log.Failed(logger, reason);

    /// <summary>One pass. False when another replica is at work.</summary>
    internal async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);

        // 1. Never by waiting: a build waits for every statement that is older, and so for one that waits for this lock.
        await using var own = new NpgsqlCommand($"SELECT pg_try_advisory_lock({LockKey})", connection);
        var owns = (bool)(await own.ExecuteScalarAsync(cancellationToken))!;
        var leaves = await ReadAsync(connection,
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'spans'::regclass ORDER BY 1 DESC", cancellationToken);
        var wanted = leaves.SelectMany(leaf => attributes.Keys.Select(key => AttributeIndexes.On(leaf, key))).ToList();
        if (owns)
        {
            try
            {
                await ExecuteAsync(connection, "SET statement_timeout = 0", cancellationToken);
                wanted.AddRange(await vectors.WantedAsync(connection, cancellationToken));
                await DropUnwantedAsync(connection, wanted, cancellationToken);
                await BuildAsync(connection, [.. wanted, .. await DeclaredAsync(connection, cancellationToken)], cancellationToken);
            }
            finally
            {
                if (connection.FullState == System.Data.ConnectionState.Open)
                {
                    await ExecuteAsync(connection, $"SELECT pg_advisory_unlock({LockKey})", CancellationToken.None);
                }
            }
        }

        // 4.
        var valid = (await IndexesAsync(connection, isValid: true, cancellationToken)).ToHashSet(StringComparer.Ordinal);
        attributes.SetReady(attributes.Keys.Where(key => leaves.TrueForAll(leaf => valid.Contains(AttributeIndexes.On(leaf, key).Name))));
        return owns;
    }

    private async Task DropUnwantedAsync(NpgsqlConnection connection, IReadOnlyList<WantedIndex> wanted,
        CancellationToken cancellationToken)
    {
        var names = wanted.Select(index => index.Name).ToHashSet(StringComparer.Ordinal);
        var made = await ReadAsync(
            connection,
            "SELECT relname::text FROM pg_class WHERE relkind = 'i' AND relnamespace = current_schema()::regnamespace AND relname ~ '^span.*_(attr|vec)_[0-9a-f]{8}$'", cancellationToken);
        foreach (var name in made.Where(name => !names.Contains(name)))
        {
            await TryAsync(connection, name, async () =>
            {
                await DropAsync(connection, name, cancellationToken);
                Log.Dropped(logger, name);
            });
        }
    }

    /// <summary>The parts that indexes declared by migrations still lack.</summary>
    private static async Task<List<WantedIndex>> DeclaredAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var wanted = new List<WantedIndex>();
        await using var command = new NpgsqlCommand("""
            SELECT parent.relname, leaf.relname, pg_get_indexdef(parent.oid), declared.indisunique
            FROM pg_index declared JOIN pg_class parent ON parent.oid = declared.indexrelid AND parent.relkind = 'I'
            JOIN pg_inherits part ON part.inhparent = declared.indrelid JOIN pg_class leaf ON leaf.oid = part.inhrelid
            WHERE parent.relnamespace = current_schema()::regnamespace AND NOT declared.indisvalid AND NOT EXISTS (
                SELECT FROM pg_inherits attached JOIN pg_index child ON child.indexrelid = attached.inhrelid
                WHERE attached.inhparent = parent.oid AND child.indrelid = leaf.oid)
            ORDER BY parent.relname, leaf.relname DESC
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var (parent, leaf, definition) = (reader.GetString(0), reader.GetString(1), reader.GetString(2));
            wanted.Add(new WantedIndex(
                WantedIndex.NameOn(leaf, "part", parent), leaf, definition[(definition.IndexOf(" USING ", StringComparison.Ordinal) + 1)..],
                parent, reader.GetBoolean(3)));
        }

        return wanted;
    }

    private async Task BuildAsync(NpgsqlConnection connection, IReadOnlyList<WantedIndex> wanted, CancellationToken cancellationToken)
    {
        var valid = (await IndexesAsync(connection, isValid: true, cancellationToken)).ToHashSet(StringComparer.Ordinal);
        var invalid = (await IndexesAsync(connection, isValid: false, cancellationToken)).ToHashSet(StringComparer.Ordinal);
        var missing = wanted.Where(index => index.Parent is not null || !valid.Contains(index.Name)).ToList();
        if (missing.Count > 0)
        {
            Log.Begins(logger, missing.Count);
        }

        var done = 0;
        foreach (var index in missing)
        {
            await TryAsync(connection, index.Name, async () =>
            {
                var started = Time.GetTimestamp();
                if (invalid.Contains(index.Name))
                {
                    await DropAsync(connection, index.Name, cancellationToken);
                }

                if (!valid.Contains(index.Name))
                {
                    await CreateAsync(connection, index, cancellationToken);
                }

                if (index.Parent is not null)
                {
                    await AttachAsync(connection, index, cancellationToken);
                }

                Log.Built(logger, ++done, missing.Count, index.Name, Time.GetElapsedTime(started).TotalSeconds);
            });
        }
    }

    private static async Task CreateAsync(NpgsqlConnection connection, WantedIndex index, CancellationToken cancellationToken)
    {
        try
        {
            await ExecuteAsync(connection, index.CreateSql(concurrently: true), cancellationToken);
            if (index.Then is not null)
            {
                await ExecuteAsync(connection, index.Then, cancellationToken);
            }
        }
        catch (PostgresException) when (connection.FullState == System.Data.ConnectionState.Open)
        {
            await DropAsync(connection, index.Name, cancellationToken);
            throw;
        }
    }

    private static async Task AttachAsync(NpgsqlConnection connection, WantedIndex index, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(
            connection, $"SET LOCAL lock_timeout = {(long)s_lockTimeout.TotalMilliseconds}; ALTER INDEX {index.Parent} ATTACH PARTITION {index.Name}", cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Runs <paramref name="step"/>; a fault of this index alone is logged, and the others have their turn.</summary>
    private async Task TryAsync(NpgsqlConnection connection, string index, Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (PostgresException exception) when (connection.FullState == System.Data.ConnectionState.Open)
        {
            // A partition that is gone needs no index.
            if (exception.SqlState != PostgresErrorCodes.UndefinedTable)
            {
                Log.IndexFailed(logger, index, PostgresErrors.Describe(exception));
            }
        }
    }

    private static Task DropAsync(NpgsqlConnection connection, string index, CancellationToken cancellationToken) =>
        ExecuteAsync(connection, $"DROP INDEX CONCURRENTLY IF EXISTS {index}", cancellationToken);

    private static Task<List<string>> IndexesAsync(
        NpgsqlConnection connection, bool isValid, CancellationToken cancellationToken) => ReadAsync(connection, $"""
        SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'i' AND (indisvalid AND indisready) = {isValid}
        """, cancellationToken);

    private static async Task<List<string>> ReadAsync(NpgsqlConnection connection, string text, CancellationToken cancellationToken)
    {
        var names = new List<string>();
        await using var command = new NpgsqlCommand(text, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            names.Add(reader.GetString(0));
        }

        return names;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string text, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(text, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
