using System.Collections.Concurrent;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// Resources and scopes by id. Their ids are hashes of their content, so a row once read never changes and stays in a cache; the cache is
/// emptied when it is full.
/// </summary>
internal sealed class InternReader(NpgsqlDataSource dataSource, ReadLimits limits)
{
    private const int MaxCached = 20_000;

    private readonly ConcurrentDictionary<long, ResourceRow> _resources = new();
    private readonly ConcurrentDictionary<long, ScopeRow> _scopes = new();

    /// <summary>The resources of these ids; one that is not stored appears as an unnamed service without attributes.</summary>
    public Task<IReadOnlyDictionary<long, ResourceRow>> ResourcesAsync(
        IEnumerable<long> ids, CancellationToken cancellationToken) => FindAsync(
        _resources, ids, "SELECT id, service_name, attributes, schema_url FROM resources WHERE id = ANY($1)",
        reader => new ResourceRow(reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.TextOrNull(3)),
        id => new ResourceRow(id, string.Empty, "{}", null), row => row.Id, cancellationToken);

    /// <summary>The scopes of these ids; one that is not stored appears without a name.</summary>
    public Task<IReadOnlyDictionary<long, ScopeRow>> ScopesAsync(IEnumerable<long> ids, CancellationToken cancellationToken) => FindAsync(
        _scopes, ids, "SELECT id, name, version, attributes, schema_url FROM scopes WHERE id = ANY($1)",
        reader => new ScopeRow(reader.GetInt64(0), reader.GetString(1), reader.TextOrNull(2), reader.TextOrNull(3), reader.TextOrNull(4)),
        id => new ScopeRow(id, string.Empty, null, null, null), row => row.Id, cancellationToken);

    private async Task<IReadOnlyDictionary<long, T>> FindAsync<T>(
        ConcurrentDictionary<long, T> cache, IEnumerable<long> ids, string text, Func<NpgsqlDataReader, T> read,
        Func<long, T> absent, Func<T, long> idOf,
        CancellationToken cancellationToken)
    {
        var found = new Dictionary<long, T>();
        var missing = new List<long>();
        foreach (var id in ids)
        {
            if (found.ContainsKey(id))
            {
                continue;
            }

            if (cache.TryGetValue(id, out var row))
            {
                found[id] = row;
            }
            else
            {
                found[id] = absent(id);
                missing.Add(id);
            }
        }

        if (missing.Count > 0)
        {
            if (cache.Count + missing.Count > MaxCached)
            {
                cache.Clear();
            }

            await using var command = dataSource.CreateRead(limits, text);
            command.Bind(missing.ToArray());
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                var row = read(reader);
                found[idOf(row)] = cache[idOf(row)] = row;
            }
        }

        return found;
    }
}
