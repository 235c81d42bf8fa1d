using MatsObservability.Benchmarks.Rca;
using Orchestrator.Agent.Evidence;

namespace MatsObservability.Benchmarks.Topology;

/// <summary>What the platform measures of each pod, from five minutes before the window to its end.</summary>
internal sealed class PodMetrics(SystemPlan plan, Conditions conditions, Simulation traffic, Random random)
{
    private const double BeforeMs = 300_000;
    private readonly Dictionary<Pod, (double AtMs, double Ms)[]> _served = traffic.Served.ToDictionary(static pod => pod.Key,
        static pod => pod.Value.Order().ToArray());
    private readonly Dictionary<Pod, (double AtMs, double Ms)[]> _waited = traffic.Served.ToDictionary(static pod => pod.Key,
        pod => pod.Value.Concat(traffic.Called[pod.Key]).Order().ToArray());
    private long _ids;

    public List<MetricSeries> Series()
    {
        // Which platforms measure what is a trait of the system, not of the window.
        var habit = new Random(plan.MetricHabit + plan.Services.Count);
        var measures = MetricNames.Habits[plan.MetricHabit].Where(measure => measure.What is Measured.CpuCores or Measured.CpuOfLimit
            or Measured.MemoryMb || habit.NextDouble() > 0.1).ToList();
        var series = new List<MetricSeries>();
        foreach (var service in plan.Services)
        {
            foreach (var pod in service.Pods)
            {
                var life = new Life(service, pod, random.NextDouble());
                series.AddRange(measures.Where(_ => random.NextDouble() > 0.03).Select(measure => Measure(measure, life)));
            }
        }

        return series;
    }

    /// <summary>A pod with where its memory stands between two collections.</summary>
    private sealed record Life(ServicePlan Service, Pod Pod, double Phase);

    private MetricSeries Measure(Measure measure, Life life)
    {
        var step = plan.MetricStepSeconds * 1000.0;
        var points = new List<MetricPoint>();
        var total = random.NextDouble() * 1e6;
        // What is measured every second is spikier than a minute's mean; memory hardly moves by itself.
        var calm = measure.What is Measured.MemoryMb or Measured.MemoryOfLimit;
        var (drift, wobble) = (Noise(0.03), (0.03 + (0.12 * random.NextDouble())) * (calm ? 0.2 : plan.MetricStepSeconds < 15 ? 2.5 : 1));
        for (var to = -BeforeMs; to <= conditions.Seconds * 1000; to += step)
        {
            var value = Math.Min(Value(measure.What, life, to - step, to) * drift * Noise(wobble), Limit(measure.What, life.Service));
            total += value * step / 1000;
            if (random.NextDouble() > 0.02)
            {
                points.Add(new(RcaCases.Nanos(conditions.Start) + (long)(to * 1e6), (measure.Total ? total : value) * measure.Scale));
            }
        }

        return new(++_ids, measure.Name, measure.Unit, measure.Total ? 2 : 1, life.Service.Name, life.Pod.Name, new Dictionary<string,
            object>(), points);
    }

    private static double Limit(Measured what, ServicePlan service) => what switch
    {
        Measured.CpuCores => service.CpuLimit,
        Measured.MemoryMb => service.MemoryLimitMb,
        Measured.CpuOfLimit or Measured.MemoryOfLimit or Measured.NodeCpu => 1,
        _ => double.PositiveInfinity,
    };

    private double Noise(double sigma) =>
        Math.Exp(sigma * ((random.NextDouble() + random.NextDouble() + random.NextDouble() + random.NextDouble() - 2) * 1.73));

    private double Value(Measured what, Life life, double from, double to)
    {
        var (service, pod) = (life.Service, life.Pod);
        return what switch
        {
            Measured.CpuCores => Cores(service, pod, from, to),
            Measured.CpuOfLimit => Cores(service, pod, from, to) / service.CpuLimit,
            Measured.MemoryMb => Memory(life, from, to),
            Measured.MemoryOfLimit => Memory(life, from, to) / service.MemoryLimitMb,
            Measured.Requests => Rate(pod, from, to),
            Measured.ReceivedBytes => 300 + (1800 * Rate(pod, from, to)),
            Measured.SentBytes => 200 + (2600 * Rate(pod, from, to)),
            Measured.ServedP90Ms => P90(_served[pod], from, to),
            Measured.CalledP90Ms => P90(_waited[pod], from, to),
            _ => NodeLoad(pod, from, to),
        };
    }

    /// <summary>Before the simulated traffic the pod lived as in its lead-in.</summary>
    private static (double From, double To) Simulated(double from, double to) => to <= 0 ? (-Simulation.LeadInMs, 0)
        : (Math.Max(from, -Simulation.LeadInMs), to);

    private double Rate(Pod pod, double from, double to)
    {
        var (a, b) = Simulated(from, to);
        return Between(_served[pod], a, b).Count * 1000 / (b - a);
    }

    private static double P90((double AtMs, double Ms)[] runs, double from, double to)
    {
        var (a, b) = Simulated(from, to);
        var times = Between(runs, a, b).Select(static run => run.Ms).Order().ToList();
        return times.Count == 0 ? 0 : times[(int)(0.9 * (times.Count - 1))];
    }

    private static ArraySegment<(double AtMs, double Ms)> Between((double AtMs, double Ms)[] runs, double from, double to)
    {
        static int First((double AtMs, double Ms)[] runs, double time)
        {
            var at = Array.BinarySearch(runs, (time, double.NegativeInfinity));
            return at < 0 ? ~at : at;
        }

        var first = First(runs, from);
        return new(runs, first, Math.Max(0, First(runs, to) - first));
    }

    private double Cores(ServicePlan service, Pod pod, double from, double to)
    {
        var cores = service.IdleCores + (service.CoresPerRequest * Rate(pod, from, to));
        if (conditions.Jobs.TryGetValue(pod, out var job) && job >= from && job < to)
        {
            cores += service.CpuLimit * (0.2 + (0.4 * random.NextDouble()));
        }

        if (conditions.Fault is { } fault && fault.Pods.Contains(pod) && fault.Kind is FaultKind.CpuContention or FaultKind.Memory)
        {
            cores += Share(fault.OnsetMs, from, to) * service.CpuLimit * (fault.Kind is FaultKind.Memory ? 0.15 : 0.6
                + (0.4 * random.NextDouble()));
        }

        return Math.Min(cores, service.CpuLimit);
    }

    private double Memory(Life life, double from, double to)
    {
        var saw = double.IsPositiveInfinity(life.Pod.GcEveryMs) ? 0 : 0.12 * (((to / (4 * life.Pod.GcEveryMs)) + life.Phase) % 1 is var part
            && part < 0 ? part + 1 : part);
        var used = life.Service.MemoryMb * (1 + saw);
        return conditions.Fault is { Kind: FaultKind.Memory } fault && fault.Pods.Contains(life.Pod) && to > fault.OnsetMs
            ? used + ((life.Service.MemoryLimitMb - used) * Share(fault.OnsetMs, from, to) * (0.85 + (0.13 * random.NextDouble())))
            : used;
    }

    private double NodeLoad(Pod pod, double from, double to)
    {
        var busy = conditions.SlowSpells.Any(spell => spell.Strikes(pod) && spell.ToMs > from && spell.FromMs < to) ? 0.35 : 0;
        var fault = conditions.Fault is { Kind: FaultKind.CpuContention } given && given.Pods.Any(struck => struck.Node == pod.Node)
            ? 0.2 * Share(given.OnsetMs, from, to) : 0;
        return Math.Min(1, 0.35 + busy + fault);
    }

    /// <summary>How much of an interval lies after the onset.</summary>
    private static double Share(double onset, double from, double to) => Math.Clamp((to - onset) / (to - from), 0, 1);
}
