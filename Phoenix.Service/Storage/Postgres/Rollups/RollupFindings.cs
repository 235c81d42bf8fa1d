using System.Runtime.InteropServices;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>What transactions over the roll-ups found, for the metrics; to be counted once they have committed.</summary>
internal sealed class RollupFindings
{
    private readonly Dictionary<string, long> _traces = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Model, string Provider), ModelUsage> _usage = [];

    /// <summary>Traces seen for the first time, by the name of their project.</summary>
    public IReadOnlyDictionary<string, long> Traces => _traces;

    /// <summary>
    /// Usage that was added to the roll-ups, less what was taken out of them because calls below report it; after <see cref="OwedUsage"/>,
    /// what counters grow by.
    /// </summary>
    public IReadOnlyDictionary<(string Model, string Provider), ModelUsage> Usage => _usage;

    /// <summary>Adds <paramref name="traces"/> of <paramref name="project"/>.</summary>
    public void AddTraces(string project, long traces) => _traces[project] = _traces.GetValueOrDefault(project) + traces;

    /// <summary>Adds usage, or takes it away when it is negative.</summary>
    public void AddUsage(string model, string provider, ModelUsage usage)
    {
        ref var sum = ref CollectionsMarshal.GetValueRefOrAddDefault(_usage, (model, provider), out _);
        sum += usage;
    }
}
