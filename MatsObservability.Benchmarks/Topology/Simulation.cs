using System.Globalization;
using MatsObservability.Benchmarks.Rca;
using Orchestrator.Agent.Evidence;

namespace MatsObservability.Benchmarks.Topology;

/// <summary>Lets requests run through a system under given conditions and records the spans that its instrumentation would.</summary>
internal sealed class Simulation(SystemPlan plan, Conditions conditions)
{
    /// <summary>Traffic before the window: pods are measured then, its spans are not in the window.</summary>
    public const double LeadInMs = 60_000;
    private const double TimeoutMs = 8_000;
    private const int Internal = 1, Server = 2, Client = 3, Producer = 4, Consumer = 5;

    private readonly Random _random = new(conditions.Seed);
    private readonly List<SpanRecord> _spans = [];

    /// <summary>Requests served, by pod: when, and how long it took.</summary>
    public Dictionary<Pod, List<(double AtMs, double Ms)>> Served { get; } = plan.Services.SelectMany(static service => service.Pods)
        .ToDictionary(static pod => pod, static _ => new List<(double, double)>());

    /// <summary>Calls made, by pod.</summary>
    public Dictionary<Pod, List<(double AtMs, double Ms)>> Called { get; } = plan.Services.SelectMany(static service => service.Pods)
        .ToDictionary(static pod => pod, static _ => new List<(double, double)>());

    /// <summary>How often each operation ran in the window.</summary>
    public Dictionary<OperationPlan, int> Runs { get; } = [];

    /// <summary>Runs in the window that a code fault struck.</summary>
    public int Struck { get; private set; }

    private sealed record Reply(double EndMs, int Status, bool Wrong);

    /// <summary>A run of an operation while it lasts.</summary>
    private sealed class Frame(OperationPlan operation, Pod pod, string trace, double now)
    {
        public OperationPlan Operation { get; } = operation;

        public Pod Pod { get; } = pod;

        public string Trace { get; } = trace;

        public double Now { get; set; } = now;

        public int Status { get; set; } = 200;

        public bool Stopped { get; set; }

        public bool Wrong { get; set; }

        public int Skip { get; set; }

        /// <summary>Steps until the fault strikes; negative when it does not.</summary>
        public int FaultIn { get; set; } = -1;

        public bool Thrown { get; set; }
    }

    public TelemetryWindow Run()
    {
        var total = conditions.Weights.Sum();
        for (var at = -LeadInMs; at < conditions.Seconds * 1000; at -= Math.Log(1 - _random.NextDouble()) * 1000 / conditions.RatePerSecond)
        {
            var pick = _random.NextDouble() * total;
            var entry = 0;
            while (entry < conditions.Weights.Length - 1 && (pick -= conditions.Weights[entry]) > 0)
            {
                entry++;
            }

            Serve(plan.Entries[entry], Id(32), null, at, Server);
        }

        var start = RcaCases.Nanos(conditions.Start);
        var end = start + (long)(conditions.Seconds * 1e9);
        var series = new PodMetrics(plan, conditions, this, new Random(conditions.Seed + 1)).Series();
        return new(conditions.Name, start, end, [.. _spans.Where(span => span.StartNanos >= start && span.StartNanos < end)], [], series,
            []);
    }

    private string Id(int digits)
    {
        var id = _random.NextInt64(1, long.MaxValue).ToString("x16", CultureInfo.InvariantCulture);
        return digits == 16 ? id : id + _random.NextInt64().ToString("x16", CultureInfo.InvariantCulture);
    }

    private Reply Serve(OperationPlan operation, string trace, string? parent, double at, int kind)
    {
        var pod = operation.Service.Pods[_random.Next(operation.Service.Pods.Count)];
        var id = Id(16);
        var frame = new Frame(operation, pod, trace, at);
        if (at >= 0)
        {
            Runs[operation] = Runs.GetValueOrDefault(operation) + 1;
        }

        if (conditions.Fault is { Operation: { } broken } fault && broken == operation && at >= fault.OnsetMs
            && _random.NextDouble() < fault.Share)
        {
            frame.FaultIn = fault.AtStep;
            frame.Wrong = fault.Kind is FaultKind.WrongValue;
            Struck += frame.Wrong ? 1 : 0;
        }
        else if (_random.NextDouble() < FailureShare(operation, at))
        {
            frame.FaultIn = -2 - _random.Next(3);
        }

        frame.Now += Queue(pod, at);
        Perform(operation.Steps, frame, id);
        Emit(frame, id, parent, operation.Name, kind, at, frame.Now, frame.Status, operation.Service.IsRpc ? "rpc" : "http");
        Served[pod].Add((at, frame.Now - at));
        return new(frame.Now, frame.Status, frame.Wrong);
    }

    private double FailureShare(OperationPlan operation, double at) =>
        operation.ErrorRate + conditions.Bursts.Where(burst => burst.Operation == operation && at >= burst.FromMs && at < burst.ToMs)
            .Sum(static burst => burst.Share);

    /// <summary>Performs steps until the run is stopped.</summary>
    private void Perform(IReadOnlyList<Step> steps, Frame frame, string parent)
    {
        foreach (var step in steps)
        {
            if (frame.Stopped)
            {
                return;
            }

            if (step is not (Method or Optional) && (Strike(frame, parent) || frame.Skip-- > 0))
            {
                continue;
            }

            switch (step)
            {
                case Work work: frame.Now += OwnTime(frame, work.MedianMs); break;
                case Store store: Query(store, frame, parent); break;
                case Call call: Ask(call, frame, parent); break;
                case Publish publish: Send(publish, frame, parent); break;
                case Parallel parallel: AskAll(parallel, frame, parent); break;
                case Optional optional when _random.NextDouble() < optional.Probability: Perform(optional.Steps, frame, parent); break;
                case Method method:
                    var (id, from) = (Id(16), frame.Now);
                    Perform(method.Steps, frame, id);
                    Emit(frame, id, parent, method.Name, Internal, from, frame.Now, frame.Status >= 500 ? frame.Status : 200, null);
                    break;
            }
        }
    }

    /// <summary>Lets the fault, or an everyday failure, happen when its step has come. True when the run ends here.</summary>
    private bool Strike(Frame frame, string parent)
    {
        frame.Skip = Math.Max(0, frame.Skip);
        if (frame.FaultIn < -1)
        {
            frame.FaultIn = frame.FaultIn == -2 ? -1 : frame.FaultIn + 1;
            frame.Status = frame.FaultIn == -1 ? _random.Next(2) == 0 ? 500 : 404 : 200;
            return frame.Stopped = frame.Status != 200;
        }

        if (frame.FaultIn < 0 || frame.FaultIn-- > 0)
        {
            return false;
        }

        Struck += conditions.Fault!.Kind is FaultKind.WrongValue ? 0 : 1;
        switch (conditions.Fault.Kind)
        {
            case FaultKind.Exception: (frame.Status, frame.Thrown, frame.Stopped) = (500, true, true); break;
            case FaultKind.EarlyReturn: (frame.Stopped, frame.Wrong) = (true, true); break;
            case FaultKind.OtherBranch: Perform([conditions.Fault.Extra!], frame, parent); break;
        }

        return frame.Stopped;
    }

    private void Ask(Call call, Frame frame, string parent)
    {
        for (var times = _random.Next(1, call.MaxTimes + 1); times > 0 && !frame.Stopped; times--)
        {
            var (status, wrong) = AskOnce(call.Target, frame, parent);
            if (status >= 500 && call.OnError == OnError.RetryOnce)
            {
                frame.Now += 20 + (30 * _random.NextDouble());
                (status, wrong) = AskOnce(call.Target, frame, parent);
            }

            if (status >= 400 && call.OnError != OnError.Swallow)
            {
                (frame.Status, frame.Stopped) = (status >= 500 ? 500 : status, true);
            }
            else if (wrong && call.OnWrong == OnWrong.AskAgain)
            {
                AskOnce(call.Target, frame, parent);
            }
            else if (wrong && call.OnWrong != OnWrong.Nothing)
            {
                frame.Stopped = call.OnWrong == OnWrong.Stop;
                frame.Skip = 1 + (times > 1 ? 0 : _random.Next(2));
                frame.Wrong = true;
            }
        }
    }

    private (int Status, bool Wrong) AskOnce(OperationPlan target, Frame frame, string parent)
    {
        var sent = frame.Now;
        var client = frame.Operation.Service.ClientSpans ? Id(16) : parent;
        var status = 0;
        var wrong = false;
        if (Down(target.Service, sent))
        {
            (frame.Now, status) = (sent + 1 + (3 * _random.NextDouble()), 503);
        }
        else
        {
            var reply = Serve(target, frame.Trace, client, sent + Network(frame.Operation.Service, frame.Pod, sent), Server);
            frame.Now = reply.EndMs + Network(target.Service, target.Service.Pods[0], reply.EndMs);
            (status, wrong) = (reply.Status, reply.Wrong);
            if (frame.Now - sent > TimeoutMs)
            {
                (frame.Now, status) = (sent + TimeoutMs, 504);
            }
        }

        if (client != parent)
        {
            Emit(frame, client, parent, frame.Operation.Service.IsRpc ? target.Name : target.Name.Split(' ')[0] + " " + target.Service.Name,
                Client, sent, frame.Now, status, target.Service.IsRpc ? "rpc" : "http");
        }

        Called[frame.Pod].Add((sent, frame.Now - sent));
        return (status, wrong);
    }

    private void AskAll(Parallel parallel, Frame frame, string parent)
    {
        var (from, latest) = (frame.Now, frame.Now);
        foreach (var call in parallel.Steps.Cast<Call>())
        {
            frame.Now = from;
            Ask(call, frame, parent);
            latest = Math.Max(latest, frame.Now);
        }

        frame.Now = latest;
    }

    private void Send(Publish publish, Frame frame, string parent)
    {
        var sent = frame.Now;
        frame.Now += 0.5 + Network(frame.Operation.Service, frame.Pod, sent);
        var producer = frame.Operation.Service.ClientSpans ? Id(16) : parent;
        if (producer != parent)
        {
            Emit(frame, producer, parent, $"{publish.Consumer.Service.Name} send", Producer, sent, frame.Now, 200, "messaging");
        }

        Serve(publish.Consumer, frame.Trace, producer, frame.Now + (_random.NextDouble() * 300), Consumer);
    }

    private void Query(Store store, Frame frame, string parent)
    {
        var from = frame.Now;
        frame.Now += Spread(store.MedianMs, 0.5) + Network(frame.Operation.Service, frame.Pod, from);
        if (frame.Operation.Service.StoreSpans)
        {
            Emit(frame, Id(16), parent, store.Name, Client, from, frame.Now, 200, store.System);
        }
    }

    /// <summary>
    /// Time of the service's own code: spread, slower in slow spells and under processor or memory faults, stopped by collections.
    /// </summary>
    private double OwnTime(Frame frame, double medianMs)
    {
        var (pod, at) = (frame.Pod, frame.Now);
        var ms = Spread(medianMs, frame.Operation.Sigma);
        foreach (var spell in conditions.SlowSpells.Where(spell => at >= spell.FromMs && at < spell.ToMs && spell.Strikes(pod)))
        {
            ms *= spell.Factor;
        }

        if (conditions.ColdStarts.TryGetValue(pod, out var cold) && at >= cold && at < cold + 6_000)
        {
            ms *= 1 + (4 * (1 - ((at - cold) / 6_000)));
        }

        ms += Pause(pod.GcEveryMs, pod.GcMs, at, ms);
        if (conditions.Fault is { } fault && at >= fault.OnsetMs && fault.Pods.Contains(pod))
        {
            ms = fault.Kind switch
            {
                FaultKind.CpuContention => (ms * fault.Strength) + (_random.NextDouble() < 0.3 ? 60 * _random.NextDouble() : 0),
                FaultKind.Memory => (ms * Math.Min(2, fault.Strength)) + Pause(2500, 120 * fault.Strength, at, ms),
                _ => ms,
            };
        }

        return ms;
    }

    /// <summary>Time until a pod takes up a request.</summary>
    private double Queue(Pod pod, double at) =>
        conditions.Fault is { Kind: FaultKind.CpuContention } fault && at >= fault.OnsetMs && fault.Pods.Contains(pod)
            ? Spread(2 * fault.Strength, 0.8) : 0;

    private static double Pause(double every, double ms, double at, double during) =>
        double.IsPositiveInfinity(every) || Math.Floor((at + LeadInMs) / every) == Math.Floor((at + during + LeadInMs) / every) ? 0 : ms;

    /// <summary>
    /// A service out of memory is gone while it restarts: the first seconds of every minute of a strong fault with one pod.
    /// </summary>
    private bool Down(ServicePlan service, double at) =>
        conditions.Fault is { Kind: FaultKind.Memory, Strength: > 5 } fault && fault.Service == service
            && fault.Pods.Count == service.Pods.Count &&
        at > fault.OnsetMs + 40_000 && (at - fault.OnsetMs) % 60_000 < 8_000;

    /// <summary>One way of a message that leaves a pod.</summary>
    private double Network(ServicePlan from, Pod pod, double at)
    {
        var ms = Spread(plan.NetworkMs, 0.5);
        if (conditions.Fault is { Kind: FaultKind.NetworkDelay } fault && at >= fault.OnsetMs && fault.Service == from
            && (from.Pods.Count == 1 || fault.Pods.Contains(pod)))
        {
            ms += !fault.Lossy ? fault.Strength * (0.8 + (0.4 * _random.NextDouble())) : _random.NextDouble() < 0.35 ? 200
                + Spread(fault.Strength, 0.6) : 0;
        }

        return ms;
    }

    /// <summary>Log-normal about the median, and once in a hundred times much longer.</summary>
    private double Spread(double median, double sigma)
    {
        var normal = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
        var ms = median * Math.Exp(sigma * normal);
        return _random.NextDouble() < 0.01 ? ms * Math.Min(30, 2 * Math.Pow(1 - _random.NextDouble(), -0.7)) : ms;
    }

    private void Emit(Frame frame, string id, string? parent, string name, int kind, double from, double to, int status, string? system)
    {
        var start = RcaCases.Nanos(conditions.Start);
        long Nanos(double ms) => start + (long)((ms + frame.Pod.SkewMs) * 1e6);
        var attributes = new Dictionary<string, object>();
        var events = new List<SpanEventRecord>();
        var failed = status >= 500 || (kind == Client && status >= 400);
        if (!plan.Bare)
        {
            switch (system)
            {
                case "http": attributes["http.response.status_code"] = (long)status; break;
                case "rpc":
                    attributes["rpc.system"] = "grpc";
                    attributes["rpc.grpc.status_code"] = status switch
                    {
                        < 400 => 0L,
                        404 => 5L,
                        503 => 14L,
                        504 => 4L,
                        _ => 2L,
                    };
                    break;
                case "messaging": attributes["messaging.system"] = "kafka"; break;
                case { } db: attributes["db.system"] = db; break;
            }

            if (failed && frame.Thrown && kind is Internal or Server)
            {
                events.Add(new("exception", Nanos(to), new Dictionary<string, object> { ["exception.type"] = "IllegalStateException" }));
            }
        }

        _spans.Add(new(
            frame.Trace, id, parent, frame.Operation.Service.Name, frame.Pod.Name, name, plan.Bare ? Internal : kind, failed && !plan.Bare
                ? 2 : 0, null, Nanos(from), Nanos(to), attributes,
            events));
    }
}
