namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>Traces that a transaction was the first to see, by the name of their project; to be counted once it has committed.</summary>
internal sealed class NewTraces
{
    private readonly Dictionary<string, long> _counts = new(StringComparer.Ordinal);

    /// <summary>Traces by project.</summary>
    public IReadOnlyDictionary<string, long> Counts => _counts;

    /// <summary>Adds <paramref name="traces"/> of <paramref name="project"/>.</summary>
    public void Add(string project, long traces) => _counts[project] = _counts.GetValueOrDefault(project) + traces;
}
