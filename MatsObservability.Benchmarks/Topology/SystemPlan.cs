namespace MatsObservability.Benchmarks.Topology;

/// <summary>What an operation does, one after the other.</summary>
internal abstract record Step;

/// <summary>The service's own code.</summary>
internal sealed record Work(double MedianMs) : Step;

/// <summary>A query to a database or cache that has no spans of its own.</summary>
internal sealed record Store(string Name, string System, double MedianMs) : Step;

/// <summary>A call of another service's operation.</summary>
/// <param name="MaxTimes">Above 1 the call is made once per item, for a random number of items.</param>
/// <param name="OnError">What the caller does when the answer is an error.</param>
/// <param name="OnWrong">What the caller does when the answer is well formed but wrong.</param>
internal sealed record Call(OperationPlan Target, int MaxTimes, OnError OnError, OnWrong OnWrong) : Step;

/// <summary>A message that another service takes up later; nobody waits for it.</summary>
internal sealed record Publish(OperationPlan Consumer) : Step;

/// <summary>Calls made at the same time.</summary>
internal sealed record Parallel(IReadOnlyList<Step> Steps) : Step;

/// <summary>A part of the program with a span of its own.</summary>
internal sealed record Method(string Name, IReadOnlyList<Step> Steps) : Step;

/// <summary>A part that only some requests need: a cache miss, a logged-in user.</summary>
internal sealed record Optional(double Probability, IReadOnlyList<Step> Steps) : Step;

internal enum OnError
{
    Propagate,
    Swallow,
    RetryOnce,
}

internal enum OnWrong
{
    Nothing,
    Stop,
    SkipNext,
    AskAgain,
}

/// <summary>One instance of a service on a node whose clock is off by <paramref name="SkewMs"/>.</summary>
internal sealed record Pod(string Name, string Node, double SkewMs, double GcEveryMs, double GcMs);

internal sealed class OperationPlan(ServicePlan service, string name, double sigma, double errorRate)
{
    public ServicePlan Service { get; } = service;

    public string Name { get; } = name;

    /// <summary>Spread of its times: the standard deviation of their logarithm.</summary>
    public double Sigma { get; } = sigma;

    /// <summary>Share of requests that fail on an ordinary day.</summary>
    public double ErrorRate { get; } = errorRate;

    public List<Step> Steps { get; set; } = [];
}

/// <summary>A service: how it is deployed, how much of itself it shows, and what it can do.</summary>
internal sealed class ServicePlan(string name)
{
    public string Name { get; } = name;

    public List<Pod> Pods { get; } = [];

    public List<OperationPlan> Operations { get; } = [];

    /// <summary>Calls to others have a span on this side as well.</summary>
    public bool ClientSpans { get; init; }

    public bool MethodSpans { get; init; }

    public bool StoreSpans { get; init; }

    public bool IsRpc { get; init; }

    public double IdleCores { get; init; }

    public double CoresPerRequest { get; init; }

    public double CpuLimit { get; init; }

    public double MemoryMb { get; init; }

    public double MemoryLimitMb { get; init; }
}

/// <summary>A microservice system drawn from a seed: services, operations, who calls whom, how it is instrumented and measured.</summary>
internal sealed class SystemPlan
{
    private static readonly string[] s_nouns =
    [
        "account", "address", "audit", "basket", "billing", "booking", "catalog", "coupon", "credit", "currency", "delivery", "discount",
            "feed", "fraud", "geo", "identity",
        "inventory", "invoice", "ledger", "loyalty", "mailer", "media", "menu", "notice", "offer", "order", "parcel", "partner", "policy",
            "price", "profile", "quota", "quote",
        "rating", "receipt", "refund", "review", "route", "search", "session", "stock", "supply", "tax", "ticket", "token", "tracking",
            "vendor", "voucher", "wallet", "zone",
    ];

    private readonly Random _random;
    private readonly Func<string, string> _habit;

    /// <summary>A small system whose front asks nearly every other service itself, by RPC: a web shop for show.</summary>
    private readonly bool _shop;

    public SystemPlan(int seed)
    {
        _random = new Random(seed);
        Func<string, string>[] habits = [static n => n, static n => n + "-service", static n => "svc-" + n, static n => n + "service",
            static n => "shop." + n];
        _habit = habits[_random.Next(habits.Length)];
        Bare = _random.NextDouble() < 0.5;
        Nodes = [.. Enumerable.Range(0, _random.Next(2, 6)).Select(static i => $"node-{i}")];
        NetworkMs = Between(0.2, 1.5);
        _shop = Chance(0.35);
        BuildServices(_shop ? _random.Next(6, 14) : _random.Next(8, 41));
        Connect();
        Finish();
        Weights = [.. Entries.Select(_ => -Math.Log(1 - _random.NextDouble()) + 0.1)];
        MetricHabit = _random.Next(MetricNames.Habits.Count);
        MetricStepSeconds = new[] { 1, 5, 15, 30, 60, 60, 60 }[_random.Next(7)];
        RatePerSecond = Math.Exp(Between(Math.Log(0.7), Math.Log(80)));
    }

    /// <summary>Spans carry neither kind nor status nor attributes, as some agents export them.</summary>
    public bool Bare { get; }

    public IReadOnlyList<string> Nodes { get; }

    /// <summary>Usual one-way network time.</summary>
    public double NetworkMs { get; }

    public List<ServicePlan> Services { get; } = [];

    public IReadOnlyList<OperationPlan> Entries => Services[0].Operations;

    /// <summary>How often each entry operation is asked for, relative to the others.</summary>
    public double[] Weights { get; }

    /// <summary>Index of the words and units in which pods are measured.</summary>
    public int MetricHabit { get; }

    public int MetricStepSeconds { get; }

    public double RatePerSecond { get; }

    private double Between(double low, double high) => low + ((high - low) * _random.NextDouble());

    private bool Chance(double probability) => _random.NextDouble() < probability;

    private void BuildServices(int count)
    {
        var clients = Between(0, 1);
        var methods = Between(0, 1);
        var names = s_nouns.OrderBy(_ => _random.Next()).Take(count - 1).Prepend("gateway");
        foreach (var noun in names)
        {
            var memory = Between(60, 900);
            var service = new ServicePlan(_habit(noun))
            {
                ClientSpans = Chance(clients), MethodSpans = Chance(methods), StoreSpans = Chance(_shop ? 0.4 : 0.75),
                IsRpc = Chance(_shop ? 0.8 : 0.4), IdleCores =
                    Between(0.005, 0.08),
                CoresPerRequest = Between(0.002, 0.02), CpuLimit = new[] { 0.3, 0.5, 1, 2 }[_random.Next(4)], MemoryMb = memory,
                MemoryLimitMb = memory * Between(1.3, 3),
            };
            for (var pod = Services.Count == 0 || Chance(0.35) ? _random.Next(1, 4) : 1; pod > 0; pod--)
            {
                var collects = Chance(0.5);
                service.Pods.Add(new(
                    $"{service.Name}-{_random.Next(0x10000):x4}{_random.Next(0x10000):x4}-{_random.Next(0x100000):x5}",
                        Nodes[_random.Next(Nodes.Count)], Between(-1, 1),
                    collects ? Between(8_000, 60_000) : double.PositiveInfinity, Between(10, 150)));
            }

            var operations = Services.Count == 0 ? _random.Next(2, 7) : _random.Next(1, 4);
            for (var i = 0; i < operations; i++)
            {
                var verb = new[] { "list", "get", "create", "update", "check", "find" }[_random.Next(6)];
                var name = service.IsRpc ? $"{noun}.v1.{noun}/{verb}{i}"
                    : $"{(verb is "create" or "update" ? "POST" : "GET")} /{noun}/{verb}{i}";
                service.Operations.Add(new(service, name, Between(0.15, 0.7), Chance(0.5) ? 0
                    : Math.Exp(Between(Math.Log(0.0005), Math.Log(0.01)))));
            }

            Services.Add(service);
        }
    }

    /// <summary>Every service but the first has a caller among those before it; some have several, and are then shared.</summary>
    private void Connect()
    {
        for (var i = 1; i < Services.Count; i++)
        {
            var near = Math.Max(0, i - 6);
            var front = _shop && Chance(0.65);
            AddCall(Services[front ? 0 : Chance(0.5) ? _random.Next(near, i) : _random.Next(0, Math.Min(i, 4))], Services[i]);
        }

        for (var extra = (int)(Services.Count * Between(0.2, 0.8)); extra > 0; extra--)
        {
            var from = _random.Next(0, Services.Count - 1);
            AddCall(Services[from], Services[_random.Next(from + 1, Services.Count)]);
        }

        foreach (var entry in Entries.Where(static entry => entry.Steps.Count == 0))
        {
            entry.Steps.Add(NewCall(Pick(Services[_random.Next(1, Services.Count)].Operations)));
        }
    }

    private void AddCall(ServicePlan from, ServicePlan to)
    {
        var used = Entries.Concat(Services.SelectMany(static s => s.Operations).SelectMany(static o => o.Steps).Select(Target))
            .Where(o => o.Service == from).Distinct().ToList();
        var caller = used.Count > 0 && Chance(0.8) ? Pick(used) : Pick(from.Operations);
        var target = Pick(to.Operations);
        caller.Steps.Add(Chance(0.08) ? new Publish(target) : NewCall(target));
    }

    private static OperationPlan Target(Step step) => step is Call call ? call.Target : ((Publish)step).Consumer;

    private Call NewCall(OperationPlan target) => new(
        target, Chance(0.12) ? _random.Next(2, 6) : 1, Chance(0.6) ? OnError.Propagate : Chance(0.6) ? OnError.Swallow : OnError.RetryOnce,
        (OnWrong)(Chance(0.35) ? 0 : _random.Next(1, 4)));

    private T Pick<T>(IReadOnlyList<T> from) => from[_random.Next(from.Count)];

    /// <summary>Adds own work and queries between the calls, and gives the steps their nesting.</summary>
    private void Finish()
    {
        string[] stores = ["mysql", "postgresql", "redis", "mongodb"];
        foreach (var service in Services)
        {
            var store = Pick(stores);
            foreach (var operation in service.Operations)
            {
                var steps = operation.Steps.OrderBy(_ => _random.Next()).ToList();
                if (steps.Count >= 2 && Chance(0.2) && steps.TakeLast(2).All(static step => step is Call))
                {
                    steps = [.. steps.SkipLast(2), new Parallel([.. steps.TakeLast(2)])];
                }

                for (var query = Chance(0.7) ? _random.Next(1, 3) : 0; query > 0; query--)
                {
                    steps.Insert(_random.Next(steps.Count + 1),
                        new Store($"{Pick(["SELECT", "FIND", "GET", "UPDATE"])} {service.Name}_{query}", store,
                            Math.Exp(Between(-0.7, 2))));
                }

                for (var at = steps.Count; at >= 0; at--)
                {
                    if (at == 0 || Chance(0.4))
                    {
                        steps.Insert(at, new Work(Math.Exp(Between(-1.2, 2.3))));
                    }
                }

                if (steps.Count > 3 && Chance(0.4))
                {
                    var from = _random.Next(1, steps.Count - 1);
                    var part = steps.Skip(from).Take(_random.Next(1, 3)).ToList();
                    steps.RemoveRange(from, part.Count);
                    steps.Insert(from, new Optional(Between(0.1, 0.95), part));
                }

                operation.Steps = service.MethodSpans ? Nest(steps, operation) : steps;
            }
        }
    }

    private static List<Step> Nest(List<Step> steps, OperationPlan operation)
    {
        var service = operation.Service.Name.Replace("-", "", StringComparison.Ordinal);
        var name = $"{char.ToUpperInvariant(service[0])}{service[1..]}";
        var method = operation.Name[(operation.Name.LastIndexOf('/') + 1)..];
        return [new Method($"{name}Controller.{method}", steps.Count > 3
            ? [.. steps.Take(1), new Method($"{name}Logic.{method}", [.. steps.Skip(1)])] : steps)];
    }
}
