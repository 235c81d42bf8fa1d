using System.Buffers.Binary;
using System.Text;
using System.Threading.Channels;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Appends what a transaction's rows add to the roll-ups, in the same transaction: rows and deltas become visible together or not at all.
/// A stored span must be counted by exactly one call. Thread-safe.
/// </summary>
internal sealed class RollupDeltas(TimeProvider time)
{
    private static readonly byte[] s_header = [.. "PGCOPY\n"u8, 0xFF, .. "\r\n\0"u8, 0, 0, 0, 0, 0, 0, 0, 0];
    private static readonly byte[] s_trailer = [0xFF, 0xFF];

    private readonly Channel<bool> _appended = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Appends the sums that the decoder made of <paramref name="batches"/>, whose rows were all stored. Other signals than spans are skipped.</summary>
    public async Task AppendAsync(NpgsqlConnection connection, IReadOnlyList<TelemetryBatch> batches, CancellationToken cancellationToken)
    {
        var slot = DeltaSlots.Active(time.GetUtcNow());
        using var traces = new CopyRows();
        using var minutes = new CopyRows();
        foreach (var batch in batches)
        {
            foreach (var trace in batch.Traces)
            {
                Write(traces, trace);
            }

            foreach (var minute in batch.Minutes)
            {
                Write(minutes, minute);
            }
        }

        await CopyAsync(connection, $"trace_deltas_{slot} ({RollupSql.TraceColumns})", traces, cancellationToken);
        await CopyAsync(connection, $"minute_deltas_{slot} ({RollupSql.MinuteColumns})", minutes, cancellationToken);
        _appended.Writer.TryWrite(true);
    }

    /// <summary>
    /// Appends the sums of the spans in <paramref name="stagingTable"/>, a table with the columns of <c>spans</c> that holds exactly the spans this
    /// transaction stored. Their resources must be stored already.
    /// </summary>
    public async Task AppendStoredAsync(NpgsqlConnection connection, string stagingTable, CancellationToken cancellationToken)
    {
        var slot = DeltaSlots.Active(time.GetUtcNow());
        await using var command = new NpgsqlCommand($"""
            INSERT INTO trace_deltas_{slot} ({RollupSql.TraceColumns}) {RollupSql.TraceSums(stagingTable)};
            INSERT INTO minute_deltas_{slot} ({RollupSql.MinuteColumns}) {RollupSql.MinuteSums(stagingTable, 1)}
            """, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
        _appended.Writer.TryWrite(true);
    }

    /// <summary>Returns when something was appended by this process since the last call, at the latest after <paramref name="longest"/>.</summary>
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

    private static async Task CopyAsync(NpgsqlConnection connection, string target, CopyRows rows, CancellationToken cancellationToken)
    {
        if (rows.RowCount == 0)
        {
            return;
        }

        await using var copy = await connection.BeginRawBinaryCopyAsync($"COPY {target} FROM STDIN (FORMAT BINARY)", cancellationToken);
        await copy.WriteAsync(s_header, cancellationToken);
        await copy.WriteAsync(rows.Written, cancellationToken);
        await copy.WriteAsync(s_trailer, cancellationToken);
    }

    private static void Write(CopyRows rows, TraceDelta trace)
    {
        rows.StartRow(RollupSql.TraceColumnCount);
        rows.Write(trace.ProjectId);
        trace.TraceId.TryWriteBytes(Field(rows, 16), bigEndian: true, out _);
        rows.Write(trace.StartNanos);
        rows.Write(trace.EndNanos);
        if (trace.Root is { } root)
        {
            rows.Write(root.SpanId);
            rows.Write(root.StartNanos);
            WriteText(rows, root.Name);
            WriteText(rows, root.Service);
            rows.Write(root.SpanKind);
            rows.Write(root.Status);
        }
        else
        {
            WriteNulls(rows, 6);
        }

        WriteNamed(rows, trace.SessionId, trace.SessionNanos);
        WriteNamed(rows, trace.UserId, trace.UserNanos);
        rows.Write((long)trace.Spans);
        rows.Write((long)trace.Errors);
        rows.Write(trace.PromptTokens);
        rows.Write(trace.CompletionTokens);
        rows.Write(trace.CostPicoUsd);
        rows.Write(trace.LlmCalls);
        rows.Write(trace.LlmMask);
        rows.Write(trace.OpenMask);
        rows.EndRow();
    }

    private static void Write(CopyRows rows, MinuteDelta minute)
    {
        rows.StartRow(RollupSql.MinuteColumnCount);
        rows.Write(minute.Key.ProjectId);
        rows.Write(minute.Key.Minute);
        WriteText(rows, minute.Key.Model);
        WriteText(rows, minute.Key.Provider);
        rows.Write(minute.Key.SpanKind);
        rows.Write(minute.Key.Status);
        rows.Write((long)minute.Spans);
        rows.Write(minute.PromptTokens);
        rows.Write(minute.CompletionTokens);
        rows.Write(minute.CostPicoUsd);
        rows.Write((long)minute.DurationNanos);
        WriteArray(rows, minute.Buckets);
        rows.EndRow();
    }

    private static void WriteNamed(CopyRows rows, string? text, long nanos)
    {
        if (text is null)
        {
            WriteNulls(rows, 2);
            return;
        }

        WriteText(rows, text);
        rows.Write(nanos);
    }

    private static void WriteNulls(CopyRows rows, int count)
    {
        for (var index = 0; index < count; index++)
        {
            rows.WriteNull();
        }
    }

    private static void WriteText(CopyRows rows, string text)
    {
        var field = rows.BeginField();
        rows.Advance(Encoding.UTF8.GetBytes(text, rows.Reserve(Encoding.UTF8.GetMaxByteCount(text.Length))));
        rows.EndField(field);
    }

    private static Span<byte> Field(CopyRows rows, int length)
    {
        var field = rows.BeginField();
        var room = rows.Reserve(length);
        rows.Advance(length);
        rows.EndField(field);
        return room;
    }

    /// <summary>bigint[]: dimensions, null flag, element type, length, lower bound, then every element with its length.</summary>
    private static void WriteArray(CopyRows rows, int[] values)
    {
        const int HeaderBytes = 20, ElementBytes = 12, BigintOid = 20;
        var room = Field(rows, HeaderBytes + (ElementBytes * values.Length));
        BinaryPrimitives.WriteInt32BigEndian(room, 1);
        BinaryPrimitives.WriteInt32BigEndian(room[4..], 0);
        BinaryPrimitives.WriteInt32BigEndian(room[8..], BigintOid);
        BinaryPrimitives.WriteInt32BigEndian(room[12..], values.Length);
        BinaryPrimitives.WriteInt32BigEndian(room[16..], 1);
        for (var index = 0; index < values.Length; index++)
        {
            var element = room[(HeaderBytes + (index * ElementBytes))..];
            BinaryPrimitives.WriteInt32BigEndian(element, sizeof(long));
            BinaryPrimitives.WriteInt64BigEndian(element[4..], values[index]);
        }
    }
}
