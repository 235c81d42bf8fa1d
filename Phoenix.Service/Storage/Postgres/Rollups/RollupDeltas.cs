using System.Threading.Channels;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Vectors;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Appends what a transaction's rows add to the roll-ups, in the same transaction: rows and deltas become visible together or not at all.
/// Notes of vectors go with them. A stored span must be counted by exactly one call. Thread-safe.
/// </summary>
internal sealed class RollupDeltas(SpanVectors vectors, TimeProvider time)
{
    private readonly Channel<bool> _appended = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>
    /// The statements that append the sums that the decoder made of <paramref name="batches"/>, whose rows were all stored; the last ones
    /// of their transaction. None when no batch holds spans.
    /// </summary>
    public IReadOnlyList<NpgsqlBatchCommand> Append(IReadOnlyList<TelemetryBatch> batches)
    {
        var traces = batches.SelectMany(static batch => batch.Traces).ToList();
        var minutes = batches.SelectMany(static batch => batch.Minutes).ToList();
        if (minutes.Count == 0)
        {
            return [];
        }

        var slot = DeltaSlots.Active(time.GetUtcNow());
        _appended.Writer.TryWrite(true);
        List<NpgsqlBatchCommand> commands =
        [
            Insert($"INSERT INTO trace_deltas_{slot} ({RollupSql.TraceColumns}) {RollupSql.TraceRows}", Columns(traces)),
            Insert($"INSERT INTO minute_deltas_{slot} ({RollupSql.MinuteColumns}) {RollupSql.MinuteRows}", Columns(minutes)),
        ];
        if (vectors.Note(traces) is { } note)
        {
            commands.Add(note);
        }

        return commands;
    }

    /// <summary>
    /// Appends the sums of the spans in <paramref name="stagingTable"/>, a table with the columns of <c>spans</c> that holds exactly the
    /// spans this transaction stored. Their resources must be stored already.
    /// </summary>
    public async Task AppendStoredAsync(NpgsqlConnection connection, string stagingTable, CancellationToken cancellationToken)
    {
        var slot = DeltaSlots.Active(time.GetUtcNow());
        await using var command = new NpgsqlCommand($"""
            INSERT INTO trace_deltas_{slot} ({RollupSql.TraceColumns}) {RollupSql.TraceSums(stagingTable)};
            INSERT INTO minute_deltas_{slot} ({RollupSql.MinuteColumns}) {RollupSql.MinuteSums(stagingTable, 1)}
            {vectors.NoteSql(stagingTable)}
            """, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
        _appended.Writer.TryWrite(true);
    }

    /// <summary>
    /// Returns when something was appended by this process since the last call, at the latest after <paramref name="longest"/>.
    /// </summary>
    public async Task WaitAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await _appended.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
        }
    }

    private static NpgsqlBatchCommand Insert(string text, IEnumerable<NpgsqlParameter> columns)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (var column in columns)
        {
            command.Parameters.Add(column);
        }

        return command;
    }

    /// <summary>The parameters of <see cref="RollupSql.TraceRows"/>.</summary>
    private static NpgsqlParameter[] Columns(List<TraceDelta> traces) =>
    [
        Column(traces, static trace => trace.ProjectId), Column(traces, static trace => trace.TraceId),
        Column(traces, static trace => trace.StartNanos), Column(traces, static trace => trace.EndNanos),
        Column(traces, static trace => trace.Root?.SpanId), Column(traces, static trace => trace.Root?.StartNanos),
        Column(traces, static trace => trace.Root?.Name), Column(traces, static trace => trace.Root?.Service),
        Column(traces, static trace => trace.Root?.SpanKind), Column(traces, static trace => trace.Root?.Status),
        Column(traces, static trace => trace.SessionId),
        Column(traces, static trace => trace.SessionId is null ? (long?)null : trace.SessionRank),
        Column(traces, static trace => trace.UserId), Column(traces, static trace => trace.UserId is null ? (long?)null : trace.UserNanos),
        Column(traces, static trace => (long)trace.Spans), Column(traces, static trace => (long)trace.Errors),
        Column(traces, static trace => trace.PromptTokens), Column(traces, static trace => trace.CompletionTokens),
        Column(traces, static trace => trace.CostPicoUsd),
        Column(traces, static trace => trace.LlmCalls), Column(traces, static trace => trace.LlmMask),
        Column(traces, static trace => trace.OpenMask),
    ];

    /// <summary>The parameters of <see cref="RollupSql.MinuteRows"/>.</summary>
    private static NpgsqlParameter[] Columns(List<MinuteDelta> minutes) =>
    [
        Column(minutes, static minute => minute.Key.ProjectId), Column(minutes, static minute => minute.Key.Minute),
        Column(minutes, static minute => minute.Key.Model), Column(minutes, static minute => minute.Key.Provider),
        Column(minutes, static minute => minute.Key.SpanKind), Column(minutes, static minute => minute.Key.Status),
        Column(minutes, static minute => (long)minute.Spans), Column(minutes, static minute => minute.PromptTokens),
        Column(minutes, static minute => minute.CompletionTokens), Column(minutes, static minute => minute.CostPicoUsd),
        Column(minutes, static minute => (long)minute.DurationNanos),
        new NpgsqlParameter<long[]> { TypedValue = [.. minutes.SelectMany(
            static minute => minute.Buckets, static (_, count) => (long)count)] },
    ];

    private static NpgsqlParameter<TValue[]> Column<TDelta, TValue>(List<TDelta> deltas, Func<TDelta, TValue> value)
    {
        var column = new TValue[deltas.Count];
        for (var row = 0; row < column.Length; row++)
        {
            column[row] = value(deltas[row]);
        }

        return new NpgsqlParameter<TValue[]> { TypedValue = column };
    }
}
