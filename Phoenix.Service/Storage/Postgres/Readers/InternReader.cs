using Microsoft.Extensions.Caching.Memory;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// Resources and scopes by id. Their ids are hashes of their content, so a row once read never changes and stays in a cache, as long as
/// there is room.
/// </summary>
internal sealed class InternReader(NpgsqlDataSource dataSource, ReadLimits limits) : IDisposable
{
    /// <summary>Of each of the two, in bytes.</summary>
    private const long MaxCached = 16 * 1024 * 1024;

    /// <summary>About what a row takes besides its texts.</summary>
    private const int RowBytes = 400;

    private readonly MemoryCache _resources = new(new MemoryCacheOptions { SizeLimit = MaxCached });
    private readonly MemoryCache _scopes = new(new MemoryCacheOptions { SizeLimit = MaxCached });

    public void Dispose()
    {
        _resources.Dispose();
        _scopes.Dispose();
    }

    /// <summary>The resources of these ids; one that is not stored appears as an unnamed service without attributes.</summary>
    public Task<IReadOnlyDictionary<long, ResourceRow>> ResourcesAsync(
        IEnumerable<long> ids, CancellationToken cancellationToken) => FindAsync(
        _resources, ids, "SELECT id, service_name, attributes, schema_url FROM resources WHERE id = ANY($1)",
        reader => new ResourceRow(reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.TextOrNull(3)),
        id => new ResourceRow(id, string.Empty, "{}", null), row => (row.Id, row.Attributes.Length + row.ServiceName.Length), cancellationToken);

    /// <summary>The scopes of these ids; one that is not stored appears without a name.</summary>
    public Task<IReadOnlyDictionary<long, ScopeRow>> ScopesAsync(IEnumerable<long> ids, CancellationToken cancellationToken) => FindAsync(
        _scopes, ids, "SELECT id, name, version, attributes, schema_url FROM scopes WHERE id = ANY($1)",
        reader => new ScopeRow(reader.GetInt64(0), reader.GetString(1), reader.TextOrNull(2), reader.TextOrNull(3), reader.TextOrNull(4)),
        id => new ScopeRow(id, string.Empty, null, null, null), row => (row.Id, (row.Attributes?.Length ?? 0) + row.Name.Length),
        cancellationToken);

    private async Task<IReadOnlyDictionary<long, T>> FindAsync<T>(
        MemoryCache cache, IEnumerable<long> ids, string text, Func<NpgsqlDataReader, T> read, Func<long, T> absent,
        Func<T, (long Id, int Characters)> measure, CancellationToken cancellationToken)
        where T : class
    {
        var found = new Dictionary<long, T>();
        var missing = new List<long>();
        foreach (var id in ids)
        {
            if (found.ContainsKey(id))
            {
                continue;
            }

            if (cache.Get<T>(id) is { } row)
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
            await using var command = dataSource.CreateRead(limits, text);
            command.Bind(missing.ToArray());
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                var row = read(reader);
                var (id, characters) = measure(row);
                found[id] = row;
                cache.Set(id, row, new MemoryCacheEntryOptions { Size = (2 * characters) + RowBytes });
            }
        }

        return found;
    }
}
