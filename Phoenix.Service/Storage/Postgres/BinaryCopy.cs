using System.Buffers.Binary;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Sends rows that are already encoded (<see cref="CopyRows"/>) by raw binary COPY (PostgreSQL docs, COPY, binary format).
/// </summary>
internal static class BinaryCopy
{
    private static readonly byte[] s_header = [.. "PGCOPY\n"u8, 0xff, (byte)'\r', (byte)'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0];
    private static readonly byte[] s_trailer = [0xff, 0xff];

    /// <summary>The COPY column list of a signal's table.</summary>
    public static string Columns(Signal signal) => signal switch
    {
        Signal.Spans => SpanColumns.List,
        Signal.Logs => LogColumns.List,
        _ => MetricPointColumns.List,
    };

    /// <summary>
    /// Copies <paramref name="chunks"/> of whole rows into <paramref name="table"/>; an error of PostgreSQL leaves the connection usable.
    /// </summary>
    public static async Task WriteAsync(NpgsqlConnection connection, string table, Signal signal,
        IReadOnlyList<ReadOnlyMemory<byte>> chunks, CancellationToken cancellationToken)
    {
        await using var stream = await connection.BeginRawBinaryCopyAsync($"COPY {table} ({Columns(signal)}) FROM STDIN (FORMAT binary)",
            cancellationToken);
        await stream.WriteAsync(s_header, cancellationToken);
        foreach (var chunk in chunks)
        {
            await stream.WriteAsync(chunk, cancellationToken);
        }

        await stream.WriteAsync(s_trailer, cancellationToken);
    }

    /// <summary>Where each row of <paramref name="rows"/> starts, and the end of the last.</summary>
    public static List<int> RowOffsets(ReadOnlySpan<byte> rows)
    {
        var offsets = new List<int> { 0 };
        var position = 0;
        while (position < rows.Length)
        {
            var fields = BinaryPrimitives.ReadInt16BigEndian(rows[position..]);
            position += 2;
            for (var field = 0; field < fields; field++)
            {
                position += 4 + Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(rows[position..]));
            }

            offsets.Add(position);
        }

        return offsets;
    }
}
