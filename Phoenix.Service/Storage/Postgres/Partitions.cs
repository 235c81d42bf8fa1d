using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Indexes;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Which leaf table holds a day, and the making of leaves: ahead of time, and on demand for late data. Days outside a window around now
/// share the default partition, so that hostile timestamps cannot make thousands of tables. A leaf that cannot be made at once, because a
/// query is in the way or many rows of the day lie in the default partition, is left to the upkeep. Replicas take turns by advisory lock.
/// Thread-safe.
/// </summary>
internal sealed partial class Partitions(
    NpgsqlDataSource dataSource, AttributeIndexes attributes, IOptions<StorageOptions> options, TimeProvider time,
    ILogger<Partitions> logger) : IDisposable
{
    /// <summary>
    /// Storage of a leaf. Rows are only appended and go by dropping the leaf, so vacuuming after inserts would rewrite what was just
    /// written while the next rows wait for the disk; removed rows are vacuumed as everywhere. Statistics are taken anew when a leaf has
    /// grown by half, not by a twentieth: each time reads thousands of pages (docs/benchmarks.md has what both cost the ingest).
    /// </summary>
    public const string LeafStorage =
        "autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 50000";

    private const long DayNanos = 86_400_000_000_000;

    /// <summary>Longest wait for a lock and, but for the upkeep, longest statement: others wait for the default partition.</summary>
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan s_retryPause = TimeSpan.FromSeconds(30);
    private static readonly Signal[] s_signals = [Signal.Spans, Signal.Logs, Signal.MetricPoints];

    private static readonly FrozenSet<string> s_unsearched =
        new[] { "attributes", "derived", "events", "links", "trace_state", "extra", "status_message", "body", "payload" }.ToFrozenSet(
            StringComparer.Ordinal);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private FrozenDictionary<(Signal Signal, int Day), string> _leaves = FrozenDictionary<(Signal, int), string>.Empty;
    private readonly ConcurrentDictionary<(Signal Signal, int Day), bool> _postponed = new();
    private long _retryAfter;

    /// <summary>The partitioned table of <paramref name="signal"/>.</summary>
    public static string Parent(Signal signal) => signal switch { Signal.Spans => "spans", Signal.Logs => "logs", _ => "metric_points" };

    /// <summary>
    /// The leaf for <paramref name="day"/> (days since 1970-01-01), made when it is missing and in the window; else, or when it takes
    /// long, the default partition.
    /// </summary>
    public ValueTask<string> LeafAsync(Signal signal, int day, CancellationToken cancellationToken)
    {
        if (_leaves.TryGetValue((signal, day), out var leaf))
        {
            return ValueTask.FromResult(leaf);
        }

        var today = Today();
        var (first, last) = (today - options.Value.PartitionsBackDays, Period(Ahead(today, options.Value.PartitionsAhead)).Last);
        return day < first || day > last || IsPausing || _postponed.ContainsKey((signal, day))
            ? ValueTask.FromResult(Default(signal))
            : MakeAsync(signal, day, patient: false, cancellationToken);
    }

    /// <summary>
    /// Makes the leaves of the current period and of <see cref="StorageOptions.PartitionsAhead"/> more, for every signal; what takes long
    /// is postponed. Idempotent.
    /// </summary>
    public async Task EnsureAheadAsync(CancellationToken cancellationToken)
    {
        await ForgetAsync(cancellationToken);
        var today = Today();
        for (var ahead = 0; ahead <= options.Value.PartitionsAhead; ahead++)
        {
            foreach (var signal in s_signals)
            {
                if (!_leaves.ContainsKey((signal, Ahead(today, ahead))))
                {
                    await MakeAsync(signal, Ahead(today, ahead), patient: false, cancellationToken);
                }
            }
        }
    }

    /// <summary>
    /// Makes the leaves that were postponed, however long their rows take to move; who reads or writes the default partition waits
    /// meanwhile.
    /// </summary>
    public async Task MakePostponedAsync(CancellationToken cancellationToken)
    {
        foreach (var (signal, day) in _postponed.Keys)
        {
            if (!IsPausing)
            {
                await MakeAsync(signal, day, patient: true, cancellationToken);
            }
        }
    }

    /// <summary>Reads the catalog again: a leaf was made or dropped by somebody else.</summary>
    public async Task ForgetAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        _leaves = await ReadAsync(connection, cancellationToken);
    }

    /// <summary>The bounds of a leaf as the catalog shows them, half-open, in Unix ns; null for the default partition.</summary>
    public static (long StartNanos, long EndNanos)? ParseBounds(string shown) => Bounds().Match(shown) is { Success: true } bounds
        ? (long.Parse(bounds.Groups[1].ValueSpan, CultureInfo.InvariantCulture),
            long.Parse(bounds.Groups[2].ValueSpan, CultureInfo.InvariantCulture))
        : null;

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    private bool IsPausing => time.GetTimestamp() < Volatile.Read(ref _retryAfter);

    private static string Default(Signal signal) => Parent(signal) + "_default";

    /// <summary>The leaf, made when it is missing; the default partition when that takes too long.</summary>
    private async ValueTask<string> MakeAsync(Signal signal, int day, bool patient, CancellationToken cancellationToken)
    {
        if (!await _turn.WaitAsync(patient ? Timeout.InfiniteTimeSpan : s_timeout, cancellationToken))
        {
            return Postpone(signal, day);
        }

        try
        {
            if (!_leaves.TryGetValue((signal, day), out var leaf))
            {
                leaf = await MakeAsync(signal, day, patient ? TimeSpan.Zero : s_timeout, cancellationToken);
            }

            _postponed.TryRemove((signal, day), out _);
            return leaf;
        }
        catch (NpgsqlException exception) when (exception.InnerException is TimeoutException
            || exception.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.QueryCanceled)
        {
            return Postpone(signal, day);
        }
        catch (OperationCanceledException)
        {
            // A writer's time is over: its next try must not do the same again.
            Postpone(signal, day);
            throw;
        }
        finally
        {
            _turn.Release();
        }
    }

    private string Postpone(Signal signal, int day)
    {
        _postponed[(signal, day)] = true;
        Volatile.Write(ref _retryAfter, time.GetTimestamp() + (long)(s_retryPause.TotalSeconds * time.TimestampFrequency));
        Log.Postponed(logger, Parent(signal));
        return Default(signal);
    }

    /// <summary>Makes the leaf unless another replica has; <paramref name="longest"/> bounds each statement, zero = not at all.</summary>
    private async Task<string> MakeAsync(Signal signal, int day, TimeSpan longest, CancellationToken cancellationToken)
    {
        string? leaf;
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using (var transaction = await connection.BeginTransactionAsync(cancellationToken))
        {
            await ExecuteAsync(connection, $"""
                SET LOCAL lock_timeout = {(long)s_timeout.TotalMilliseconds};
                SET LOCAL statement_timeout = {(long)longest.TotalMilliseconds};
                SELECT pg_advisory_xact_lock(hashtextextended('mats.partitions.' || current_schema(), 0))
                """, longest, cancellationToken);
            _leaves = await ReadAsync(connection, cancellationToken);
            if (!_leaves.TryGetValue((signal, day), out leaf))
            {
                leaf = await CreateAsync(connection, signal, day, longest, cancellationToken);
            }

            await transaction.CommitAsync(cancellationToken);
        }

        _leaves = await ReadAsync(connection, cancellationToken);
        return leaf;
    }

    private async Task<string> CreateAsync(
        NpgsqlConnection connection, Signal signal, int day, TimeSpan longest, CancellationToken cancellationToken)
    {
        var (first, last) = Period(day);
        if (Enumerable.Range(first, last - first + 1).Any(other => _leaves.ContainsKey((signal, other))))
        {
            (first, last) = (day, day);
        }

        var parent = Parent(signal);
        var leaf = $"{parent}_{Date(first).ToString(first == last ? "yyyy_MM_dd" : "yyyy_MM", CultureInfo.InvariantCulture)}";
        var column = signal == Signal.Spans ? "start_ns" : "time_ns";
        var (from, to) = (first * DayNanos, (last + 1L) * DayNanos);
        var indexes = signal == Signal.Spans ? attributes.Keys.Select(key => AttributeIndexes.On(leaf, key)) : [];
        await ExecuteAsync(connection, $"""
            LOCK TABLE {parent}_default IN ACCESS EXCLUSIVE MODE;
            CREATE TABLE {leaf} (LIKE {parent} INCLUDING ALL) WITH ({LeafStorage});
            {Statistics(leaf, signal)};
            WITH moved AS (DELETE FROM {parent}_default WHERE {column} >= {from} AND {column} < {to} RETURNING *) INSERT INTO {leaf} SELECT * FROM moved;
            {string.Concat(indexes.Select(index => $"{index.CreateSql(concurrently: false)}; {index.Then};"))}
            ALTER TABLE {parent} ATTACH PARTITION {leaf} FOR VALUES FROM ({from}) TO ({to})
            """, longest, cancellationToken);
        Log.Made(logger, leaf);
        return leaf;
    }

    /// <summary>
    /// SQL that bounds what statistics of <paramref name="leaf"/> cost: the sample is 300 rows for each unit of the largest target, each a
    /// page read while others append. Columns nobody compares with need none.
    /// </summary>
    public static string Statistics(string leaf,
        Signal signal) => $"ALTER TABLE {leaf} " + string.Join(", ", BinaryCopy.Columns(signal).Split(", ")
        .Select(column => $"ALTER COLUMN {column} SET STATISTICS {(s_unsearched.Contains(column) ? 0 : 20)}"));

    private static async Task<FrozenDictionary<(Signal Signal, int Day), string>> ReadAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var leaves = new Dictionary<(Signal, int), string>();
        await using var command = new NpgsqlCommand("""
            SELECT parent.relname, leaf.relname, pg_get_expr(leaf.relpartbound, leaf.oid)
            FROM pg_inherits JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class leaf ON leaf.oid = inhrelid
            WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relname IN ('spans', 'logs', 'metric_points')
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (ParseBounds(reader.GetString(2)) is { } bounds)
            {
                var signal = s_signals.First(candidate => Parent(candidate) == reader.GetString(0));
                for (var day = bounds.StartNanos / DayNanos; day < bounds.EndNanos / DayNanos; day++)
                {
                    leaves[(signal, (int)day)] = reader.GetString(1);
                }
            }
        }

        return leaves.ToFrozenDictionary();
    }

    private static async Task ExecuteAsync(
        NpgsqlConnection connection, string sql, TimeSpan longest, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        if (longest == TimeSpan.Zero)
        {
            command.CommandTimeout = 0;
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private int Today() => (int)(time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalDays;

    private int Ahead(int today, int periods) => options.Value.PartitionPeriod == PartitionPeriod.Day
        ? today + periods
        : DayOf(new DateOnly(Date(today).Year, Date(today).Month, 1).AddMonths(periods));

    private (int First, int Last) Period(int day)
    {
        if (options.Value.PartitionPeriod == PartitionPeriod.Day)
        {
            return (day, day);
        }

        var first = new DateOnly(Date(day).Year, Date(day).Month, 1);
        return (DayOf(first), DayOf(first.AddMonths(1)) - 1);
    }

    private static DateOnly Date(int day) => DateOnly.FromDayNumber(DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber + day);

    private static int DayOf(DateOnly date) => date.DayNumber - DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber;

    [GeneratedRegex(@"FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)")]
    private static partial Regex Bounds();
}
