using System.Collections.Concurrent;
using Npgsql;
using NpgsqlTypes;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Stores resources, scopes and series before the rows that refer to them, each once: what is known to be stored is remembered. Ids are
/// hashes of the content, so an insert that finds its row is right. Committed on its own; a row nobody refers to does no harm. Thread-safe.
/// </summary>
internal sealed class InternedRows
{
    private const int MostRemembered = 500_000;

    private readonly ConcurrentDictionary<long, bool> _resources = new();
    private readonly ConcurrentDictionary<long, bool> _scopes = new();
    private readonly ConcurrentDictionary<long, bool> _series = new();

    /// <summary>Stores what <paramref name="batches"/> refer to and is not known to be stored; outside any transaction.</summary>
    public async ValueTask EnsureAsync(NpgsqlConnection connection, IReadOnlyList<TelemetryBatch> batches,
        CancellationToken cancellationToken)
    {
        var resources = Missing(batches, batch => batch.Resources, row => row.Id, _resources);
        if (resources is not null)
        {
            await ExecuteAsync(connection, "resources (id, service_name, attributes, schema_url, dropped_attributes_count)",
            [
                Column(resources, NpgsqlDbType.Bigint, row => row.Id), Column(resources, NpgsqlDbType.Text, row => row.ServiceName),
                Column(resources, NpgsqlDbType.Text, row => row.Attributes), Column(resources, NpgsqlDbType.Text, row => row.SchemaUrl),
                Column(resources, NpgsqlDbType.Integer, row => row.DroppedAttributesCount),
            ], cancellationToken);
            Remember(_resources, resources.Select(row => row.Id));
        }

        var scopes = Missing(batches, batch => batch.Scopes, row => row.Id, _scopes);
        if (scopes is not null)
        {
            await ExecuteAsync(connection, "scopes (id, name, version, attributes, schema_url, dropped_attributes_count)",
            [
                Column(scopes, NpgsqlDbType.Bigint, row => row.Id), Column(scopes, NpgsqlDbType.Text, row => row.Name),
                Column(scopes, NpgsqlDbType.Text, row => row.Version),
                Column(scopes, NpgsqlDbType.Text, row => row.Attributes), Column(scopes, NpgsqlDbType.Text, row => row.SchemaUrl),
                Column(scopes, NpgsqlDbType.Integer, row => row.DroppedAttributesCount),
            ], cancellationToken);
            Remember(_scopes, scopes.Select(row => row.Id));
        }

        var series = Missing(batches, batch => batch.Series, row => row.Id, _series);
        if (series is not null)
        {
            await ExecuteAsync(connection,
                "metric_series (id, project_id, name, description, unit, type, temporality, monotonic, resource_id, scope_id, attributes)",
            [
                Column(series, NpgsqlDbType.Bigint, row => row.Id), Column(series, NpgsqlDbType.Integer, row => row.ProjectId),
                Column(series, NpgsqlDbType.Text, row => row.Name),
                Column(series, NpgsqlDbType.Text, row => row.Description), Column(series, NpgsqlDbType.Text, row => row.Unit),
                Column(series, NpgsqlDbType.Smallint, row => row.Type),
                Column(series, NpgsqlDbType.Smallint, row => row.Temporality), Column(series, NpgsqlDbType.Boolean, row => row.Monotonic),
                Column(series, NpgsqlDbType.Bigint, row => row.ResourceId), Column(series, NpgsqlDbType.Bigint, row => row.ScopeId),
                Column(series, NpgsqlDbType.Text, row => row.Attributes),
            ], cancellationToken);
            Remember(_series, series.Select(row => row.Id));
        }
    }

    private static List<T>? Missing<T>(IReadOnlyList<TelemetryBatch> batches, Func<TelemetryBatch, List<T>> rows, Func<T, long> id,
        ConcurrentDictionary<long, bool> known)
    {
        Dictionary<long, T>? missing = null;
        foreach (var batch in batches)
        {
            foreach (var row in rows(batch))
            {
                if (!known.ContainsKey(id(row)))
                {
                    (missing ??= [])[id(row)] = row;
                }
            }
        }

        // In order of id, so that writers that store the same rows never wait for each other in a circle.
        return missing is null ? null : [.. missing.OrderBy(pair => pair.Key).Select(pair => pair.Value)];
    }

    private static NpgsqlParameter Column<T, TValue>(List<T> rows, NpgsqlDbType type, Func<T, TValue> value) =>
        new() { NpgsqlDbType = NpgsqlDbType.Array | type, Value = rows.Select(value).ToArray() };

    private static async Task ExecuteAsync(NpgsqlConnection connection, string target, NpgsqlParameter[] columns,
        CancellationToken cancellationToken)
    {
        var arguments = string.Join(", ", Enumerable.Range(1, columns.Length).Select(index => $"${index}"));
        await using var command = new NpgsqlCommand($"INSERT INTO {target} SELECT * FROM unnest({arguments}) ON CONFLICT DO NOTHING",
            connection);
        command.Parameters.AddRange(columns);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static void Remember(ConcurrentDictionary<long, bool> known, IEnumerable<long> ids)
    {
        if (known.Count > MostRemembered)
        {
            known.Clear();
        }

        foreach (var id in ids)
        {
            known[id] = true;
        }
    }
}
