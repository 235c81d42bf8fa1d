using Npgsql;
using Phoenix.Service.Ingest.Normalize;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>Sums of the spans that a merge stored, for the metrics: the decoder's own also count those that were stored before.</summary>
internal static class StoredSums
{
    /// <summary>
    /// The sums of the spans in <paramref name="table"/>, which has the columns of <c>spans</c>; one entry a minute, key, user and failure.
    /// </summary>
    public static async Task<List<MinuteDelta>> ReadAsync(NpgsqlConnection connection, string table, CancellationToken cancellationToken)
    {
        var sums = new List<MinuteDelta>();
        await using var command = new NpgsqlCommand(
            RollupSql.MinuteSums($"(SELECT *, coalesce(user_id, '') AS part_user, {Failure} AS part_failure FROM {table})", 1,
                "part_user", "part_failure"), connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var minute = new MinuteDelta
            {
                Key = new MinuteKey(reader.GetInt32(0), reader.GetInt64(1), reader.GetString(2), reader.GetString(3),
                    reader.GetInt16(4), reader.GetInt16(5)),
                Spans = (int)reader.GetInt64(6),
                PromptTokens = reader.GetInt64(7),
                CompletionTokens = reader.GetInt64(8),
                CostPicoUsd = reader.GetInt64(9),
                DurationNanos = reader.GetInt64(10),
            };
            var buckets = reader.GetFieldValue<long[]>(11);
            for (var bucket = 0; bucket < buckets.Length; bucket++)
            {
                minute.Buckets[bucket] = (int)buckets[bucket];
            }

            minute.AddPart(reader.GetString(12), SpanErrors.Of(reader.GetString(13)), minute.Spans);
            sums.Add(minute);
        }

        return sums;
    }

    /// <summary>What a failed span says of its failure; the exception's type is the first one in its events.</summary>
    private const string Failure = """
        CASE WHEN status = 2 OR derived LIKE '%"phoenix.failed":true%' THEN coalesce(
            attributes::json ->> 'error.type', attributes::json ->> 'error.code', substring(events FROM '"exception\.type":"([^"]*)"'), '') ELSE '' END
        """;
}
