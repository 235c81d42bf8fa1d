namespace MatsObservability.Benchmarks.Topology;

/// <summary>The one thing that is broken, from <paramref name="OnsetMs"/> to the end of the window.</summary>
/// <param name="Pods">The instances a resource fault strikes.</param>
/// <param name="Operation">Where a code fault lies; null for resources.</param>
/// <param name="AtStep">The step at which a code fault strikes, counted in the order in which steps run.</param>
/// <param name="Share">Share of requests a code fault strikes.</param>
/// <param name="Strength">Times slower for processor and memory; milliseconds for network.</param>
/// <param name="Lossy">The network loses packets instead of delaying each.</param>
internal sealed record Fault(
    FaultKind Kind, ServicePlan Service, IReadOnlyList<Pod> Pods, double OnsetMs, OperationPlan? Operation = null, int AtStep = 0,
        double Share = 1, double Strength = 1,
    bool Lossy = false, Step? Extra = null)
{
    public override string ToString() =>
        $"{Kind} in {Service.Name} {Operation?.Name} at step {AtStep}, share {Share:0.00}, strength {Strength:0.0}" +
        $"{(Lossy ? " lossy" : "")}, {Pods.Count} of {Service.Pods.Count} pods, from {OnsetMs / 1000:0} s";
}

internal enum FaultKind
{
    CpuContention,
    Memory,
    NetworkDelay,
    Exception,

    /// <summary>The operation returns before its work is done.</summary>
    EarlyReturn,

    /// <summary>The operation does something it does not usually do.</summary>
    OtherBranch,

    /// <summary>The operation's answer is wrong; what its callers then do is up to them.</summary>
    WrongValue,
}

/// <summary>A stretch in which an operation fails now and then, as happens without anybody calling it an incident.</summary>
internal sealed record Burst(OperationPlan Operation, double FromMs, double ToMs, double Share);

/// <summary>A stretch in which some pods are slower: a neighbour's job, a backup, a full node.</summary>
internal sealed record SlowSpell(Func<Pod, bool> Strikes, double FromMs, double ToMs, double Factor);

/// <summary>What a window of a system's life is like. Times are milliseconds from the window's start.</summary>
internal sealed record Conditions(string Name, int Seed, DateTimeOffset Start, double Seconds, double RatePerSecond, double[] Weights)
{
    public Fault? Fault { get; init; }

    public IReadOnlyList<Burst> Bursts { get; init; } = [];

    public IReadOnlyList<SlowSpell> SlowSpells { get; init; } = [];

    /// <summary>Pods that start cold at the given time and are slow for some seconds.</summary>
    public IReadOnlyDictionary<Pod, double> ColdStarts { get; init; } = new Dictionary<Pod, double>();

    /// <summary>Pods whose processor is busy with a job of its own at the given time, without harm.</summary>
    public IReadOnlyDictionary<Pod, double> Jobs { get; init; } = new Dictionary<Pod, double>();
}
