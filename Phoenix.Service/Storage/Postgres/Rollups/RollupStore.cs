using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Adds pending deltas to the roll-ups, and sets roll-ups right after rows were removed. Every method runs in the caller's transaction; one
/// transaction at a time holds the roll-ups (advisory lock), so that nobody reads a row that another one is changing.
/// </summary>
internal static class RollupStore
{
    /// <summary>Dead rows up to here cost a pass less than giving their space back does.</summary>
    private const int TrimBytes = 4 * 1024 * 1024;

    /// <summary>Suspect traces looked at together; their spans are in memory meanwhile.</summary>
    public const int SettleTraces = 200;

    private const string LockKey = "hashtextextended('mats.rollups.' || current_schema(), 0)";

    /// <summary>Takes the roll-ups for this transaction; false when another one has them.</summary>
    public static async Task<bool> TryOwnAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT pg_try_advisory_xact_lock({LockKey})", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Waits for the roll-ups and takes them for this transaction.</summary>
    public static Task OwnAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        ExecuteAsync(connection, $"SELECT pg_advisory_xact_lock({LockKey})", cancellationToken);

    /// <summary>Whether a slot holds more than <paramref name="moreThan"/> deltas of a kind.</summary>
    public static async Task<bool> HasPendingAsync(
        NpgsqlConnection connection, int slot, int moreThan, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"SELECT EXISTS (SELECT FROM trace_deltas_{slot} OFFSET {moreThan}) OR EXISTS (SELECT FROM minute_deltas_{slot} OFFSET {moreThan})",
            connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>
    /// Applies up to <paramref name="rows"/> deltas of each kind and removes them; traces not known before and usage are added to
    /// <paramref name="found"/>. Writers may go on appending meanwhile.
    /// </summary>
    public static async Task ApplyAsync(NpgsqlConnection connection, int slot, int rows, RollupFindings found,
        CancellationToken cancellationToken)
    {
        // The planner's guesses about these tables trigger just-in-time compilation, which takes longer than the statement.
        await ExecuteAsync(connection, "SET LOCAL jit = off", cancellationToken);
        await ApplyTracesAsync(connection, slot, rows, found, cancellationToken);
        await using var minutes = new NpgsqlCommand(RollupSql.ApplyMinutes(slot, rows), connection) { CommandTimeout = 0 };
        await using var reader = await minutes.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.AddUsage(reader.GetString(0), reader.GetString(1),
                new ModelUsage(reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4)));
        }
    }

    /// <summary>
    /// Gives the space of an empty slot back once it is worth it; writers of the slot wait for the end of the transaction.
    /// </summary>
    public static async Task TrimAsync(NpgsqlConnection connection, int slot, CancellationToken cancellationToken)
    {
        await using (var size =
            new NpgsqlCommand($"SELECT pg_relation_size('trace_deltas_{slot}') + pg_relation_size('minute_deltas_{slot}')", connection))
        {
            if ((long)(await size.ExecuteScalarAsync(cancellationToken))! < TrimBytes)
            {
                return;
            }
        }

        await ExecuteAsync(connection, $"LOCK TABLE trace_deltas_{slot}, minute_deltas_{slot} IN ACCESS EXCLUSIVE MODE", cancellationToken);
        if (!await HasPendingAsync(connection, slot, moreThan: 0, cancellationToken))
        {
            await ExecuteAsync(connection, $"TRUNCATE trace_deltas_{slot}, minute_deltas_{slot}", cancellationToken);
        }
    }

    /// <summary>
    /// Applies all that is pending and keeps writers out until the transaction ends: from here on roll-ups and stored spans agree, which a
    /// recompute needs. The caller owns the roll-ups.
    /// </summary>
    public static async Task ApplyAllAsync(NpgsqlConnection connection, RollupFindings found, CancellationToken cancellationToken)
    {
        foreach (var slot in DeltaSlots.All)
        {
            await ExecuteAsync(connection, $"LOCK TABLE trace_deltas_{slot}, minute_deltas_{slot} IN SHARE ROW EXCLUSIVE MODE",
                cancellationToken);
            await ApplyAsync(connection, slot, int.MaxValue, found, cancellationToken);
        }
    }

    /// <summary>
    /// Recomputes the traces in the temporary table <c>touched_traces</c> (trace_id, project_id) and the sessions they were and are in from
    /// the stored spans. <see cref="ApplyAllAsync"/> must have run in this transaction.
    /// </summary>
    public static Task RecomputeAsync(NpgsqlConnection connection, CancellationToken cancellationToken) => ExecuteAsync(connection, $"""
        CREATE TEMP TABLE touched_sessions ON COMMIT DROP AS
            SELECT DISTINCT t.project_id, t.session_id FROM traces t JOIN touched_traces USING (trace_id, project_id) WHERE t.session_id IS NOT NULL;
        {RollupSql.RecomputeTraces};
        {UncountedCalls.SuspectTouched};
        INSERT INTO touched_sessions
            SELECT DISTINCT t.project_id, t.session_id FROM traces t JOIN touched_traces USING (trace_id, project_id) WHERE t.session_id IS NOT NULL
            EXCEPT SELECT * FROM touched_sessions;
        {RollupSql.RecomputeSessions}
        """, cancellationToken);

    internal static async Task ExecuteAsync(NpgsqlConnection connection, string text, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(text, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task ApplyTracesAsync(
        NpgsqlConnection connection, int slot, int rows, RollupFindings found, CancellationToken cancellationToken)
    {
        var losers = new List<(int ProjectId, string SessionId)>();
        await using (var command = new NpgsqlCommand(RollupSql.ApplyTraces(slot, rows), connection) { CommandTimeout = 0 })
        {
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                if (reader.IsDBNull(1))
                {
                    found.AddTraces(reader.GetString(3), reader.GetInt64(2));
                }
                else
                {
                    losers.Add((reader.GetInt32(0), reader.GetString(1)));
                }
            }
        }

        if (losers.Count == 0)
        {
            return;
        }

        await using var move = new NpgsqlCommand(
            "CREATE TEMP TABLE touched_sessions ON COMMIT DROP AS SELECT project_id, session_id FROM unnest($1, $2) AS lost (project_id, session_id)",
            connection);
        move.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. losers.Select(loser => loser.ProjectId)] });
        move.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. losers.Select(loser => loser.SessionId)] });
        await move.ExecuteNonQueryAsync(cancellationToken);
        await ExecuteAsync(connection, $"{RollupSql.RecomputeSessions}; DROP TABLE touched_sessions", cancellationToken);
    }
}
