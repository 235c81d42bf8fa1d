using System.Buffers.Binary;
using System.Diagnostics;
using MatsObservability.Benchmarks.Load;
using Npgsql;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;

namespace MatsObservability.Benchmarks.Ingest;

/// <summary>
/// The yardstick: the same rows, already encoded, by binary COPY into a table of the same definition and indexes, each batch committed.
/// </summary>
internal sealed class RawCopy(string connectionString, int rowsPerBatch)
{
    private const string Table = "raw_spans";

    private readonly List<EncodedRows> _rows = [];

    /// <summary>Makes the table anew.</summary>
    public Task PrepareAsync(CancellationToken cancellationToken) =>
        ExecuteAsync($"DROP TABLE IF EXISTS {Table}; CREATE TABLE {Table} (LIKE spans INCLUDING ALL) WITH ({Partitions.LeafStorage}); {Partitions.Statistics(Table, Signal.Spans)}", cancellationToken);

    /// <summary>Gives its space back.</summary>
    public Task DropAsync(CancellationToken cancellationToken) => ExecuteAsync($"DROP TABLE {Table}", cancellationToken);

    /// <summary>
    /// Copies over <paramref name="connections"/> connections as fast as commits come, or <paramref name="rowsPerSecond"/> over all of them.
    /// </summary>
    public async Task<LoadResult> RunAsync(
        int connections, TimeSpan duration, double? rowsPerSecond, CancellationToken cancellationToken)
    {
        while (_rows.Count < connections)
        {
            _rows.Add(new EncodedRows(_rows.Count, rowsPerBatch));
        }

        var clock = Stopwatch.StartNew();
        var times = await Task.WhenAll(
            Enumerable.Range(0, connections)
                .Select(index => Task.Run(
                    () => CopyAsync(index, new Pace(clock, index, connections, rowsPerBatch, rowsPerSecond), duration, cancellationToken),
                    cancellationToken)));
        return LoadResult.Of(times, rowsPerBatch, clock.Elapsed, refused: 0);
    }

    private async Task<List<double>> CopyAsync(int index, Pace pace, TimeSpan duration, CancellationToken cancellationToken)
    {
        var rows = _rows[index];
        var serial = (ulong)Stopwatch.GetTimestamp() << 8 | (uint)index;
        var times = new List<double>();
        await using var connection = await OpenAsync(cancellationToken);
        while (pace.Elapsed < duration)
        {
            var due = await pace.NextAsync(cancellationToken);
            serial += 1 << 8;
            rows.Stamp(serial, LoadRun.NowNanos());
            await BinaryCopy.WriteAsync(connection, Table, Signal.Spans, [rows.Bytes], cancellationToken);
            times.Add((pace.Elapsed - due).TotalMilliseconds);
        }

        return times;
    }

    private async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        return connection;
    }
}

/// <summary>Rows as Phoenix.Service encodes them, made once and then given other ids and times in place.</summary>
internal sealed class EncodedRows
{
    // A row is its field count, then project_id (4 + 4 bytes), trace_id (4 + 16), span_id (4 + 8), parent_id (4, and 8 when there is one),
    // start_ns and end_ns (4 + 8 each).
    private const int TraceIdOffset = 2 + 8 + 4;
    private const int ParentOffset = 2 + 8 + 20 + 12;

    private readonly byte[] _bytes;
    private readonly List<int> _offsets;
    private long _startNanos = LoadRun.NowNanos();

    /// <summary>The dataset's first <paramref name="count"/> spans of seed <paramref name="seed"/>.</summary>
    public EncodedRows(int seed, int count)
    {
        var request = new SpanLoad(seed + 1).Next(count);
        request.Stamp(1, _startNanos);
        using var batch = LoadDecoder.Create().Decode(request.Bytes.Span, projectOverride: null).Batch!;
        _bytes = batch.Days[0].Rows.Written.ToArray();
        _offsets = BinaryCopy.RowOffsets(_bytes);
    }

    /// <summary>The rows, one after another.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes;

    /// <summary>How many they are.</summary>
    public int Count => _offsets.Count - 1;

    /// <summary>
    /// As <see cref="LoadRequest.Stamp"/>: the traces become those of <paramref name="serial"/>, and move to <paramref name="startNanos"/>.
    /// </summary>
    public void Stamp(ulong serial, long startNanos)
    {
        for (var row = 0; row < Count; row++)
        {
            var fields = _bytes.AsSpan(_offsets[row]);
            SpanLoad.WriteTraceId(fields.Slice(TraceIdOffset, 16), serial, row / SpanLoad.SpansPerTrace);
            var start = ParentOffset + 4 + Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(fields[ParentOffset..])) + 4;
            foreach (var time in (ReadOnlySpan<int>)[start, start + 8 + 4])
            {
                BinaryPrimitives.WriteInt64BigEndian(
                    fields[time..], BinaryPrimitives.ReadInt64BigEndian(fields[time..]) + startNanos - _startNanos);
            }
        }

        _startNanos = startNanos;
    }
}
