using Npgsql;
using NpgsqlTypes;

namespace Orchestrator.Agent.Jobs;

/// <summary>JSON on its way into a column.</summary>
internal static class JsonColumn
{
    /// <summary>A parameter of type <c>jsonb</c>, or <paramref name="type"/>.</summary>
    public static NpgsqlParameter Of(string? json, NpgsqlDbType type = NpgsqlDbType.Jsonb) =>
        new() { Value = json is null ? DBNull.Value : Clean(json), NpgsqlDbType = type };

    // PostgreSQL's jsonb holds no NUL; what telemetry or a program says may.
    private static string Clean(string json) => json.Replace("\\u0000", "\\uFFFD", StringComparison.Ordinal);
}
