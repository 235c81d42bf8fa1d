using System.Collections.Concurrent;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Storage;

/// <summary>Project ids by name, from memory; what is missing is created. Thread-safe.</summary>
internal sealed class ProjectDirectory(ProjectTable table)
{
    private ConcurrentDictionary<string, int> _ids = new(StringComparer.Ordinal);

    /// <summary>The id of <paramref name="name"/> when it is known here; allocates nothing.</summary>
    public bool TryGetId(ReadOnlySpan<char> name, out int id) => _ids.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out id);

    /// <inheritdoc cref="TryGetId(ReadOnlySpan{char}, out int)"/>
    public bool TryGetId(string name, out int id) => _ids.TryGetValue(name, out id);

    /// <summary>
    /// Creates the projects of <paramref name="names"/> that do not exist; afterwards all are known here. Durable when it returns.
    /// </summary>
    public async Task EnsureAsync(IReadOnlyCollection<string> names, CancellationToken cancellationToken)
    {
        foreach (var (name, id) in await table.EnsureAsync([.. names], cancellationToken))
        {
            _ids[name] = id;
        }
    }

    /// <summary>Forgets a project that was deleted; the next record that names it creates it anew.</summary>
    public void Forget(string name) => _ids.TryRemove(name, out _);

    /// <summary>Forgets projects that somebody else has deleted.</summary>
    public void Forget(IReadOnlySet<int> ids)
    {
        foreach (var entry in _ids.Where(entry => ids.Contains(entry.Value)))
        {
            // Only this pair: the name may stand for a new project by now.
            _ids.TryRemove(entry);
        }
    }

    /// <summary>Reads all projects again, so that what other replicas deleted is forgotten.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken) =>
        _ids = new ConcurrentDictionary<string, int>(await table.ReadAllAsync(cancellationToken), StringComparer.Ordinal);
}
