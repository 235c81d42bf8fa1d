using System.Globalization;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>What a write did.</summary>
/// <param name="Rejected">Rows PostgreSQL refuses.</param>
/// <param name="Duplicates">Rows stored before.</param>
/// <param name="Added">Sums of the spans stored by it, when not all of the batches' spans were; null = all were.</param>
internal readonly record struct StoreResult(int Rejected = 0, int Duplicates = 0, IReadOnlyList<MinuteDelta>? Added = null);

/// <summary>
/// Stores groups of batches, each in one transaction, durable when the call returns. Optimistic by COPY straight into the leaf partitions;
/// or by merge, through a staging table, which leaves out rows that are stored already. The roll-ups' deltas, of stored rows only, are part
/// of the transaction. Throws what Npgsql throws, or <see cref="ProjectGoneException"/>; the caller resets the session.
/// </summary>
internal sealed class BatchStore(
    [FromKeyedServices(WriterSession.DataSourceKey)] NpgsqlDataSource dataSource, Partitions partitions,
    InternedRows interned, RollupDeltas deltas)
{
    /// <summary>A connection of its own for one writer.</summary>
    public WriterSession OpenSession() => new(dataSource);

    /// <summary>Reads again which leaves exist.</summary>
    public Task ForgetPartitionsAsync(CancellationToken cancellationToken) => partitions.ForgetAsync(cancellationToken);

    /// <summary>Stores every row of <paramref name="group"/>, or none and throws.</summary>
    public async Task<StoreResult> StoreAsync(
        WriterSession session, IReadOnlyList<PendingBatch> group, bool merge, CancellationToken cancellationToken)
    {
        var batches = new TelemetryBatch[group.Count];
        for (var i = 0; i < batches.Length; i++)
        {
            batches[i] = group[i].Batch;
        }

        var leaves = await ByLeafAsync(batches, cancellationToken);
        var connection = await session.ConnectAsync(cancellationToken);
        await interned.EnsureAsync(connection, batches, cancellationToken);

        await session.BeginAsync(connection, cancellationToken);
        var duplicates = 0;
        var added = merge ? new List<MinuteDelta>() : null;
        foreach (var leaf in leaves)
        {
            if (merge && leaf.Signal != Signal.Logs)
            {
                duplicates += leaf.Rows - await MergeAsync(connection, leaf.Signal, leaf.Table, leaf.Chunks, added!, cancellationToken);
            }
            else
            {
                await BinaryCopy.WriteAsync(connection, leaf.Table, leaf.Signal, leaf.Chunks, cancellationToken);
            }
        }

        await CommitAsync(session, merge ? [] : deltas.Append(batches), batches, cancellationToken);
        return new StoreResult(Duplicates: duplicates, Added: added);
    }

    /// <summary>Stores one batch row by row as far as PostgreSQL takes it, by halving.</summary>
    public async Task<StoreResult> StoreRowsAsync(WriterSession session, TelemetryBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            await interned.EnsureAsync(await session.ConnectAsync(cancellationToken), [batch], cancellationToken);
        }
        catch (PostgresException exception) when (PostgresErrors.Classify(exception) == WriteFault.Data)
        {
            return new StoreResult(Rejected: batch.RecordCount);
        }

        var (rejected, duplicates, added) = (0, 0, new List<MinuteDelta>());
        foreach (var (day, rows) in batch.Days)
        {
            var table = await partitions.LeafAsync(batch.Signal, day, cancellationToken);
            var offsets = BinaryCopy.RowOffsets(rows.Written.Span);
            var open = new Stack<(int First, int End)>([(0, offsets.Count - 1)]);
            while (open.TryPop(out var range))
            {
                try
                {
                    var connection = await session.ConnectAsync(cancellationToken);
                    await session.BeginAsync(connection, cancellationToken);
                    var chunk = rows.Written[offsets[range.First]..offsets[range.End]];
                    var sums = new List<MinuteDelta>();
                    var known =
                        range.End - range.First - await MergeAsync(connection, batch.Signal, table, [chunk], sums, cancellationToken);
                    await CommitAsync(session, [], [batch], cancellationToken);
                    duplicates += known;
                    added.AddRange(sums);
                }
                catch (PostgresException exception) when (PostgresErrors.Classify(exception) == WriteFault.Data)
                {
                    await session.ResetAsync(keepConnection: true);
                    if (range.End - range.First == 1)
                    {
                        rejected++;
                        continue;
                    }

                    var middle = (range.First + range.End) / 2;
                    open.Push((middle, range.End));
                    open.Push((range.First, middle));
                }
            }
        }

        return new StoreResult(rejected, duplicates, added);
    }

    /// <summary>Commits after <paramref name="last"/>, unless a project of <paramref name="batches"/> has been deleted.</summary>
    private static async Task CommitAsync(
        WriterSession session, IReadOnlyList<NpgsqlBatchCommand> last, IReadOnlyList<TelemetryBatch> batches,
        CancellationToken cancellationToken)
    {
        try
        {
            await session.CommitAsync([.. last, ProjectTable.Hold(batches)], cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == ProjectTable.GoneState)
        {
            throw new ProjectGoneException(
                exception.MessageText.Split(',').Select(id => int.Parse(id, CultureInfo.InvariantCulture)).ToHashSet());
        }
    }

    /// <summary>
    /// Stores the rows that are not stored yet; how many that were. The sums of spans among them go to <paramref name="added"/>.
    /// </summary>
    private async Task<int> MergeAsync(
        NpgsqlConnection connection, Signal signal, string leaf, IReadOnlyList<ReadOnlyMemory<byte>> chunks, List<MinuteDelta> added,
        CancellationToken cancellationToken)
    {
        var parent = Partitions.Parent(signal);
        var columns = BinaryCopy.Columns(signal);
        await ExecuteAsync(connection, $"""
            CREATE TEMP TABLE IF NOT EXISTS staged_{parent} (LIKE {parent} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
            CREATE TEMP TABLE IF NOT EXISTS stored_{parent} (LIKE {parent} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
            TRUNCATE staged_{parent}, stored_{parent}
            """, cancellationToken);
        await BinaryCopy.WriteAsync(connection, $"staged_{parent}", signal, chunks, cancellationToken);

        // In key order, so that two merges of the same rows never wait for each other in a circle.
        var key = signal switch
        {
            Signal.Spans => "project_id, start_ns, trace_id, span_id",
            Signal.MetricPoints => "series_id, time_ns",
            _ => "time_ns",
        };
        await using var command = new NpgsqlCommand($"""
            WITH added AS (INSERT INTO {leaf} ({columns}) SELECT {columns} FROM staged_{parent} ORDER BY {key} ON CONFLICT DO NOTHING RETURNING {columns})
            INSERT INTO stored_{parent} ({columns}) SELECT {columns} FROM added
            """, connection);
        var stored = await command.ExecuteNonQueryAsync(cancellationToken);
        if (signal == Signal.Spans && stored > 0)
        {
            await deltas.AppendStoredAsync(connection, $"stored_{parent}", cancellationToken);
            added.AddRange(await StoredSums.ReadAsync(connection, $"stored_{parent}", cancellationToken));
        }

        return stored;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async ValueTask<List<LeafRows>> ByLeafAsync(TelemetryBatch[] batches, CancellationToken cancellationToken)
    {
        var leaves = new List<LeafRows>(2);
        foreach (var batch in batches)
        {
            foreach (var (day, rows) in batch.Days)
            {
                if (rows.RowCount == 0)
                {
                    continue;
                }

                var table = await partitions.LeafAsync(batch.Signal, day, cancellationToken);
                var leaf = leaves.Find(known => known.Signal == batch.Signal && known.Table == table);
                if (leaf is null)
                {
                    leaves.Add(leaf = new LeafRows(batch.Signal, table));
                }

                leaf.Chunks.Add(rows.Written);
                leaf.Rows += rows.RowCount;
            }
        }

        return leaves;
    }

    private sealed class LeafRows(Signal signal, string table)
    {
        public Signal Signal { get; } = signal;

        public string Table { get; } = table;

        public List<ReadOnlyMemory<byte>> Chunks { get; } = [];

        public int Rows { get; set; }
    }
}
