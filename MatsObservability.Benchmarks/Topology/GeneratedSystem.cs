using Orchestrator.Agent.Evidence;

namespace MatsObservability.Benchmarks.Topology;

/// <summary>A window of a generated system with its truth.</summary>
/// <param name="Group">The kind of fault, or of everyday life; what results are counted by.</param>
/// <param name="Fault">Null when nothing is wrong.</param>
/// <param name="Visible">False when the fault changes no call and no status: then silence is right.</param>
/// <param name="Struck">Runs that a code fault struck.</param>
internal sealed record GeneratedCase(string Name, string Group, Fault? Fault, bool Visible, TelemetryWindow Incident,
    TelemetryWindow Baseline, int Struck)
{
    /// <summary>The resource a right diagnosis names; <c>code</c> for the faults of a method.</summary>
    public string? Kind => Fault?.Kind switch
    {
        null => null,
        FaultKind.CpuContention => "cpu",
        FaultKind.Memory => "memory",
        FaultKind.NetworkDelay => "network",
        _ => "code",
    };
}

/// <summary>The windows drawn from one seed: each kind of fault once, and the ways in which a healthy system differs from itself.</summary>
internal sealed class GeneratedSystem
{
    private const int MaxSpans = 30_000;
    private static readonly DateTimeOffset s_start = new(2026, 3, 10, 9, 0, 0, TimeSpan.Zero);

    private readonly int _seed;
    private readonly SystemPlan _plan;
    private readonly Random _random;
    private readonly double _rate;
    private readonly double _baselineSeconds;
    private readonly TelemetryWindow _baseline;
    private readonly Dictionary<OperationPlan, int> _runs;

    public GeneratedSystem(int seed)
    {
        (_seed, _plan, _random) = (seed, new SystemPlan(seed), new Random(~seed));
        _baselineSeconds = new[] { 60, 60, 120, 240 }[_random.Next(4)];
        var probe = new Simulation(_plan, Window("probe", 0, 20, 2, _plan.Weights)).Run();
        _rate = Math.Min(_plan.RatePerSecond, MaxSpans * 2 / (probe.Spans.Count / 20.0) / 240);
        var simulation = new Simulation(_plan, Everyday(Window("baseline", 1, _baselineSeconds, _rate, _plan.Weights)));
        _baseline = simulation.Run();
        _runs = simulation.Runs;
    }

    public IEnumerable<GeneratedCase> Cases()
    {
        foreach (var kind in Enum.GetValues<FaultKind>())
        {
            if (Break(kind) is { } fault)
            {
                var group = kind switch
                {
                    FaultKind.EarlyReturn or FaultKind.OtherBranch or FaultKind.WrongValue => "return",
                    FaultKind.NetworkDelay => "network",
                    FaultKind.CpuContention => "cpu",
                    _ => kind.ToString().ToLowerInvariant(),
                };
                yield return Case($"{kind} in {fault.Service.Name}", group,
                    Everyday(Drifted("incident", 10 + (int)kind, 180, 0.15)) with { Fault = fault }, Visible(fault));
            }
        }

        yield return Case("another window", "healthy: same load", Everyday(Drifted("same", 20, 180, 0.05)));
        yield return Case("short window", "healthy: short", Everyday(Drifted("short", 21, 60, 0.1)));
        var grown = Drifted("grown", 22, 180, 0.5);
        yield return Case("traffic grown", "healthy: more load",
            Everyday(grown with { RatePerSecond = grown.RatePerSecond * (1.3 + (0.7 * _random.NextDouble())) }));
        yield return Case("error burst", "healthy: error burst", Everyday(Drifted("burst", 23, 180, 0.15)) with
        {
            Bursts = [NewBurst(180)],
        });
        var slow = Drifted("slow", 24, 180, 0.15);
        var node = _plan.Nodes[_random.Next(_plan.Nodes.Count)];
        var factor = 1.2 + (0.4 * _random.NextDouble());
        Func<Pod, bool> strikes = _random.Next(2) == 0 ? pod => pod.Node == node : static _ => true;
        var from = 20_000 + (80_000 * _random.NextDouble());
        yield return Case("slow minute", "healthy: slow minute", Everyday(slow) with
        {
            SlowSpells = [new(strikes, from, from + 60_000, factor)],
        });
    }

    private GeneratedCase Case(string name, string group, Conditions conditions, bool visible = true)
    {
        var simulation = new Simulation(_plan, conditions);
        return new($"{_seed}: {name}", group, conditions.Fault, visible, simulation.Run(), _baseline, simulation.Struck);
    }

    private Conditions Window(string name, int number, double seconds, double rate, double[] weights) =>
        new($"generated-{_seed}-{name}", (_seed * 100) + number, s_start.AddHours(number), seconds, rate, weights);

    /// <summary>Load and mix of requests have moved since the baseline.</summary>
    private Conditions Drifted(string name, int number, double seconds, double drift) => Window(
        name, number, seconds, _rate * Math.Exp(drift * ((2 * _random.NextDouble()) - 1)),
            [.. _plan.Weights.Select(weight => weight * Math.Exp(2 * drift * ((2 * _random.NextDouble()) - 1)))]);

    /// <summary>What happens in any window: now and then a few errors, a cold pod, a job.</summary>
    private Conditions Everyday(Conditions quiet)
    {
        Pod AnyPod()
        {
            var service = _plan.Services[_random.Next(_plan.Services.Count)];
            return service.Pods[_random.Next(service.Pods.Count)];
        }

        double AnyTime() => _random.NextDouble() * quiet.Seconds * 1000;
        return quiet with
        {
            Bursts = _random.NextDouble() < 0.25 ? [NewBurst(quiet.Seconds)] : [],
            ColdStarts = _random.NextDouble() < 0.2 ? new Dictionary<Pod, double> { [AnyPod()] = AnyTime() } : new Dictionary<Pod,
                double>(),
            Jobs = _random.NextDouble() < 0.4 ? new Dictionary<Pod, double> { [AnyPod()] = AnyTime() } : new Dictionary<Pod, double>(),
        };
    }

    private Burst NewBurst(double seconds)
    {
        var operations = _plan.Services.SelectMany(static service => service.Operations).ToList();
        var from = _random.NextDouble() * seconds * 900;
        return new(operations[_random.Next(operations.Count)], from, from + 2_000 + (10_000 * _random.NextDouble()), 0.15
            + (0.35 * _random.NextDouble()));
    }

    private Fault? Break(FaultKind kind)
    {
        var busy = (_runs ?? []).Where(pair => pair.Value / _baselineSeconds * 150 >= 12).Select(static pair => pair.Key)
            .OrderBy(static operation => operation.Name, StringComparer.Ordinal).ToList();
        if (busy.Count == 0)
        {
            return null;
        }

        var operation = busy[_random.Next(busy.Count)];
        var service = operation.Service;
        var onset = _random.NextDouble() < 0.3 ? 0 : 50_000 * _random.NextDouble();
        IReadOnlyList<Pod> pods = _random.NextDouble() < 0.7 ? service.Pods : [service.Pods[0]];
        var steps = Leaves(operation.Steps).Count();
        return kind switch
        {
            FaultKind.CpuContention => new(kind, service, pods, onset,
                Strength: _random.NextDouble() < 0.25 ? 1.2 + (1.8 * _random.NextDouble()) : 3 + (12 * _random.NextDouble())),
            FaultKind.Memory => new(kind, service, pods, onset, Strength: 2 + (6 * _random.NextDouble())),
            FaultKind.NetworkDelay => new(kind, service, pods, onset, Strength: 30 * Math.Exp(3.2 * _random.NextDouble()),
                Lossy: _random.NextDouble() < 0.25),
            _ => new(
                kind, service, [], onset, operation, _random.Next(steps), _random.NextDouble() < 0.7 ? 1 : 0.3
                    + (0.6 * _random.NextDouble()),
                Extra: kind is FaultKind.OtherBranch ? Other(operation) : null),
        };
    }

    /// <summary>A step the operation does not usually take: a query, or a call of an operation further down.</summary>
    private Step Other(OperationPlan operation)
    {
        var below = _plan.Services.SkipWhile(service => service != operation.Service).Skip(1)
            .SelectMany(static service => service.Operations).ToList();
        return below.Count > 0 && _random.Next(2) == 0
            ? new Call(below[_random.Next(below.Count)], 1, OnError.Swallow, OnWrong.Nothing)
            : new Store($"SELECT {operation.Service.Name}_other", "mysql", 5);
    }

    /// <summary>
    /// Whether spans can show the fault: a call made or left out, or a status. What only took longer or shorter does not count.
    /// </summary>
    private bool Visible(Fault fault)
    {
        if (fault.Operation is not { } operation)
        {
            return true;
        }

        var left = Leaves(operation.Steps).Skip(fault.AtStep);
        return fault.Kind switch
        {
            FaultKind.Exception => !_plan.Bare || left.Any(step => Shows(step, operation)) || Noticed(operation, failed: true),
            FaultKind.EarlyReturn => left.Any(step => Shows(step, operation)) || Noticed(operation, failed: false),
            FaultKind.OtherBranch => Shows(fault.Extra!, operation),
            _ => Noticed(operation, failed: false),
        };
    }

    private static bool Shows(Step step, OperationPlan operation) =>
        step is Call or Publish or Parallel || (step is Store && operation.Service.StoreSpans);

    /// <summary>
    /// A caller of the operation, or one further up, makes a call more or fewer when the answer is an error or wrong. A caller that stops
    /// where it had nothing left to do shows nothing.
    /// </summary>
    private bool Noticed(OperationPlan operation, bool failed)
    {
        foreach (var caller in _runs.Keys)
        {
            var steps = Leaves(caller.Steps).ToList();
            for (var at = 0; at < steps.Count; at++)
            {
                foreach (var call in (steps[at] is Parallel parallel ? parallel.Steps : [steps[at]]).OfType<Call>()
                    .Where(call => call.Target == operation))
                {
                    var stops = failed ? call.OnError is OnError.Propagate : call.OnWrong is OnWrong.Stop;
                    var skips = !failed && call.OnWrong is OnWrong.SkipNext;
                    var lost = steps.Skip(at + 1).Take(stops ? steps.Count : skips ? 2 : 0);
                    if ((failed ? call.OnError is OnError.RetryOnce : call.OnWrong is OnWrong.AskAgain) || (stops && call.MaxTimes > 1)
                        || lost.Any(step => Shows(step, caller)) || ((stops || skips) && Noticed(caller, failed)))
                    {
                        return true;
                    }
                }
            }
        }

        return false;
    }

    private static IEnumerable<Step> Leaves(IReadOnlyList<Step> steps) =>
        steps.SelectMany(static step => step switch
        {
            Method method => Leaves(method.Steps),
            Optional optional => Leaves(optional.Steps),
            _ => [step],
        });
}
