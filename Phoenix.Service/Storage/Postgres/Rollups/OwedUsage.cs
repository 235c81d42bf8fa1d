using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Turns what a transaction adds to and takes out of the usage into what counters may grow by: what would make them shrink is owed, by all
/// replicas together, and paid by the next usage of the model (Schema/0050_usage_owed.sql). Runs in a transaction that owns the roll-ups.
/// </summary>
internal static class OwedUsage
{
    /// <summary>Makes every usage of <paramref name="found"/> zero or more.</summary>
    public static async Task BalanceAsync(NpgsqlConnection connection, RollupFindings found, CancellationToken cancellationToken)
    {
        if (found.Usage.Count == 0)
        {
            return;
        }

        var owed = await ReadAsync(connection, cancellationToken);
        var changed = new List<(string Model, string Provider, ModelUsage Owed)>();
        foreach (var ((model, provider), usage) in found.Usage.ToList())
        {
            var before = owed.GetValueOrDefault((model, provider));
            var net = usage + -before;
            var counted = new ModelUsage(Math.Max(0, net.PromptTokens), Math.Max(0, net.CompletionTokens), Math.Max(0, net.CostPicoUsd));
            found.AddUsage(model, provider, counted + -usage);
            var after = counted + -net;
            if (after != before)
            {
                changed.Add((model, provider, after));
            }
        }

        if (changed.Count > 0)
        {
            await WriteAsync(connection, changed, cancellationToken);
        }
    }

    private static async Task<Dictionary<(string Model, string Provider), ModelUsage>> ReadAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var owed = new Dictionary<(string, string), ModelUsage>();
        await using var command = new NpgsqlCommand(
            "SELECT llm_model, llm_provider, prompt_tokens, completion_tokens, cost_pico_usd FROM usage_owed", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            owed.Add((reader.GetString(0), reader.GetString(1)),
                new ModelUsage(reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4)));
        }

        return owed;
    }

    private static async Task WriteAsync(NpgsqlConnection connection, List<(string Model, string Provider, ModelUsage Owed)> changed,
        CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            WITH n AS (SELECT * FROM unnest($1, $2, $3, $4, $5) AS n (llm_model, llm_provider, prompt_tokens, completion_tokens, cost_pico_usd)),
            paid AS (
                DELETE FROM usage_owed o USING n WHERE o.llm_model = n.llm_model AND o.llm_provider = n.llm_provider
                    AND n.prompt_tokens = 0 AND n.completion_tokens = 0 AND n.cost_pico_usd = 0)
            INSERT INTO usage_owed SELECT * FROM n WHERE prompt_tokens > 0 OR completion_tokens > 0 OR cost_pico_usd > 0
            ON CONFLICT (llm_model, llm_provider) DO UPDATE SET prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,
                cost_pico_usd = excluded.cost_pico_usd
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. changed.Select(static row => row.Model)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. changed.Select(static row => row.Provider)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. changed.Select(static row => row.Owed.PromptTokens)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. changed.Select(static row => row.Owed.CompletionTokens)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. changed.Select(static row => row.Owed.CostPicoUsd)] });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
