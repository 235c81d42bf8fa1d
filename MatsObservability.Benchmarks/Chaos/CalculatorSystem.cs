namespace MatsObservability.Benchmarks.Chaos;

/// <summary>
/// Generates the telemetry of calculator-app: an edge that serves the public, the app on a managed platform, its database and a rates
/// service, and a worker that calls the app from inside. A fault changes what happens from its onset on; nothing names it but its symptoms.
/// </summary>
internal sealed class CalculatorSystem
{
    public const string App = "calculator-app";
    public const string Front = "edge";
    public const string Rates = "rates-service";
    public const string Worker = "report-worker";
    private const string Platform = "platform";
    private const string Central = "us-central1";
    private const int Server = 2, Client = 3, Internal = 1;

    private readonly OtlpScript _script;
    private readonly Random _random;
    private readonly DateTimeOffset _start;
    private readonly string? _fault;
    private readonly DateTimeOffset _onset;
    private readonly Source _front = new(Front, "edge-1", "global");
    private readonly Source _rates = new(Rates, "rates-7d9f", Central);
    private readonly Source _worker = new(Worker, "worker-1", Central);
    private readonly Source _platform = new(Platform, "control-plane", Central);

    private readonly AgentTraffic? _agents;

    private CalculatorSystem(string? fault, double onset, DateTimeOffset start, int seed, bool withAgents)
    {
        _script = new OtlpScript($"{fault}/{seed}");
        _random = new Random(seed);
        _agents = withAgents ? new AgentTraffic(_script, _random) : null;
        (_start, _fault, _onset) = (start, fault, start.AddSeconds(onset));
    }

    /// <summary>Three minutes of one scenario.</summary>
    /// <param name="withAgents">Whether an AI agent calls the calculator as a tool.</param>
    public static OtlpScript Generate(Scenario scenario, DateTimeOffset start, int seed, bool withAgents = false) =>
        new CalculatorSystem(scenario.Id, scenario.OnsetSeconds, start, seed, withAgents).Run();

    /// <summary>Three minutes in which nothing is wrong.</summary>
    public static OtlpScript Healthy(DateTimeOffset start, int seed, bool withAgents = false) =>
        new CalculatorSystem(null, Scenario.Seconds, start, seed, withAgents).Run();

    private OtlpScript Run()
    {
        Announce();
        for (var second = 0.3; second < Scenario.Seconds; second += 0.4 + (0.5 * _random.NextDouble()))
        {
            PublicRequest(_start.AddSeconds(second));
        }

        for (var second = 2.0; second < Scenario.Seconds; second += 4)
        {
            InternalRequest(_start.AddSeconds(second));
        }

        for (var second = 0; second < Scenario.Seconds; second += 15)
        {
            Metrics(_start.AddSeconds(second));
        }

        return _script;
    }

    private bool Broken(DateTimeOffset at) => at >= _onset;

    private Source AppInstance() => new(App, $"{App}-0000{(_fault == "C2" ? 5 : 4)}-{(char)('a' + _random.Next(2))}", Central);

    /// <summary>What was changed, a moment before the onset.</summary>
    private void Announce()
    {
        var at = _onset.AddSeconds(-1);
        switch (_fault)
        {
            case "1": _script.Change(_platform, at, "delete", App, "service", "ready", "deleted"); break;
            case "2": _script.Change(_platform, at, "iam.policy", App, "roles/run.invoker", "allUsers", "(none)"); break;
            case "3" or "3a":
                _script.Change(_platform, at.AddSeconds(-12), "deploy", App, "image", "calculator:1.8.2", "calculator:1.9.0");
                for (var i = 0; i < 8; i++)
                {
                    _script.Log(new(App, $"{App}-00005-x", Central), at.AddSeconds(i * 9), "ERROR",
                        $"Startup probe failed for revision {App}-00005: container did not listen on port 8080 within the timeout");
                }

                break;
            case "4": _script.Change(_platform, at, "update", App, "traffic", "latest=100%", "latest=0%"); break;
            case "5": _script.Change(_platform, at.AddSeconds(-15), "update", App, "resources.memory.limit", "512Mi", "64Mi"); break;
            case "6":
                _script.Change(_platform, at, "update", App, "concurrency", "80", "1");
                _script.Change(_platform, at, "update", App, "scaling.maxInstances", "(none)", "1");
                break;
            case "7":
                _script.Change(_platform, at, "update", App, "env.DB_CONNECTION_STRING",
                    "db.internal:5432", "invalid_host:5432");
                break;
            case "8": _script.Change(_platform, at, "update", App, "ingress", "all", "internal"); break;
            case "9" or "9b":
                _script.Change(_platform, at, "update", App, "scaling.instances", "min=1",
                    _fault == "9" ? "min=0 max=0" : "min=0 max=1");
                break;
            case "10":
                _script.Change(_platform, at, "delete", App, "service/us-central1", "ready", "deleted");
                _script.Change(_platform, at.AddSeconds(20), "deploy", App, "service/us-west1", "(none)", "ready");
                break;
            case "C2":
                _script.Change(_platform, _start.AddSeconds(60), "deploy", App, "image",
                    "calculator:1.8.1", "calculator:1.8.2");
                break;
            case "C3": _script.Change(_platform, at.AddSeconds(-60), "iam.policy", App, "roles/run.viewer", "auditor", "(none)"); break;
        }
    }

    private void PublicRequest(DateTimeOffset at)
    {
        var (appMs, status, body) = Plan(at, external: true);
        var gap = 2 + (2 * _random.NextDouble()) + Queue(at);
        var total = appMs + gap + 2;
        var error = status >= 400 ? $"HTTP {status}" : null;
        var (trace, caller) = _agents is { } agents ? agents.Task(at, total, status >= 400) : (_script.NewTraceId(), default(string));
        var root = _script.Span(_front, trace, caller, "POST /calculate", Server, at, total, error, ("http.request.method", "POST"),
            ("http.response.status_code", status));
        var call = _script.Span(_front, trace, root, "POST calculator-app", Client, at.AddMilliseconds(1), appMs + gap, error,
            ("http.request.method", "POST"), ("http.response.status_code", status), ("server.address", "calculator-app.example.com"));
        if (error is not null)
        {
            _script.Log(_front, at.AddMilliseconds(total), "ERROR", $"upstream answered {status} for POST /calculate", trace, root);
        }

        if (body)
        {
            Serve(trace, call, at.AddMilliseconds(1 + (gap / 2)), appMs, status);
        }

        if (_fault == "10" && at >= _onset.AddSeconds(25))
        {
            var west = _script.NewTraceId();
            var served = _script.Span(new(App, $"{App}-west-a", "us-west1"), west, null, "POST /api/calculate", Server, at, 14, null,
                ("http.response.status_code", 200));
            _script.Log(new(App, $"{App}-west-a", "us-west1"), at.AddMilliseconds(2), "INFO", "request accepted", west, served);
        }
    }

    private void InternalRequest(DateTimeOffset at)
    {
        var trace = _script.NewTraceId();
        var (appMs, status, body) = Plan(at, external: false);
        var error = status >= 400 ? $"HTTP {status}" : null;
        var root = _script.Span(_worker, trace, null, "report.run", Internal, at, appMs + 6, error);
        var call = _script.Span(_worker, trace, root, "POST calculator-app", Client, at.AddMilliseconds(1), appMs + 4, error,
            ("http.response.status_code", status), ("server.address", "calculator-app.internal"));
        if (body)
        {
            Serve(trace, call, at.AddMilliseconds(3), appMs, status);
        }
    }

    /// <summary>How a request to the app goes: its time there, the answer, and whether the app's code saw it at all.</summary>
    private (double Ms, int Status, bool Served) Plan(DateTimeOffset at, bool external)
    {
        var usual = 18 + (10 * _random.NextDouble());
        if (!Broken(at))
        {
            return (usual, 200, true);
        }

        return _fault switch
        {
            "1" or "10" => (3, 404, false),
            "2" => (2, 403, false),
            "3" => (4, 503, false),
            "4" => (3, _random.Next(2) == 0 ? 404 : 503, false),
            "5" => _random.NextDouble() < 0.55 ? (6, 503, false) : (usual * 2.5, 200, true),
            "6" => _random.NextDouble() < 0.3 ? (2, 429, false) : (usual, 200, true),
            "7" => (40 + usual, 500, true),
            "8" => external ? (2, 404, false) : (usual, 200, true),
            "9" => (5, _random.NextDouble() < 0.7 ? 503 : 429, false),
            "9b" => _random.NextDouble() < 0.35 ? (2, 429, false) : (usual, 200, true),
            "C3" => (1500 + usual, 500, true),
            _ => (usual, 200, true),
        };
    }

    /// <summary>Time a request waits before the app takes it, in ms.</summary>
    private double Queue(DateTimeOffset at) => !Broken(at) ? 0 : _fault switch
    {
        "6" => 900 + (2500 * _random.NextDouble()),
        "9b" => _random.NextDouble() < 0.4 ? 4000 + (2000 * _random.NextDouble()) : 0,
        _ => 0,
    };

    private void Serve(string trace, string parent, DateTimeOffset at, double ms, int status)
    {
        var app = AppInstance();
        var failing = status >= 400;
        var server = _script.Span(app, trace, parent, "POST /api/calculate", Server, at, ms, failing ? "internal error" : null,
            ("http.response.status_code", status));
        _script.Log(app, at.AddMilliseconds(1), "INFO", $"request accepted, expression of {_random.Next(3, 40)} characters", trace, server);
        var badHost = failing && _fault == "7";
        _script.Span(app, trace, server, "SELECT history", Client, at.AddMilliseconds(3), badHost ? ms - 6 : 4 + _random.NextDouble(),
            badHost ? "could not resolve host invalid_host" : null, ("db.system", "postgresql"),
            ("server.address", badHost ? "invalid_host" : "db.internal"));
        if (badHost)
        {
            _script.Log(app, at.AddMilliseconds(ms - 2), "ERROR",
                "database unreachable: could not resolve host invalid_host (name or service not known)", trace, server);
            return;
        }

        if (_fault == "C4" && _random.Next(2) == 0)
        {
            _script.Log(app, at.AddMilliseconds(4),
                "WARN", $"cache miss ratio {_random.Next(40, 90)} % above the advised 30 %", trace, server);
        }

        var ratesFail = failing && _fault == "C3";
        var call = _script.Span(app, trace, server, "GET rates-service", Client, at.AddMilliseconds(9), ratesFail ? ms - 12 : 7, ratesFail
            ? "HTTP 500"
            : null,
            ("http.response.status_code", ratesFail ? 500 : 200));
        var rates = _script.Span(_rates, trace, call, "GET /rates", Server, at.AddMilliseconds(11), ratesFail ? ms - 16 : 4, ratesFail
            ? "feed unavailable"
            : null,
            ("http.response.status_code", ratesFail ? 500 : 200));
        _script.Log(_rates, at.AddMilliseconds(12), "INFO", "rates requested", trace, rates);
        if (ratesFail)
        {
            _script.Log(_rates, at.AddMilliseconds(ms - 6), "ERROR",
                "FeedClient.java:88 FeedTimeoutException: the market feed did not answer", trace, rates);
            _script.Log(app, at.AddMilliseconds(ms - 1), "ERROR", "Calculator.java:57 no rates: upstream answered 500", trace, server);
            return;
        }

        _script.Log(app, at.AddMilliseconds(ms - 1), "INFO", $"calculated in {ms:0} ms", trace, server);
    }

    private void Metrics(DateTimeOffset at)
    {
        var broken = Broken(at);
        var app = new Source(App, $"{App}-00004-a", Central);
        var none = broken && _fault is "1" or "9" or "10" && broken;
        var memory = broken && _fault == "5" ? 0.97 + (0.02 * _random.NextDouble()) : 0.31 + (0.02 * _random.NextDouble());
        _script.Gauge(app, at, "container.instances", "{instance}", none ? 0 : broken && _fault is "6" or "9b" && broken ? 1 : 2);
        if (!none)
        {
            _script.Gauge(app, at, "container.memory.utilization", "1", memory);
            _script.Gauge(app, at, "container.cpu.utilization", "1", 0.2 + (0.05 * _random.NextDouble()));
            _script.Gauge(app, at, "container.active_requests", "{request}", broken && _fault == "6" ? 1 : 2 + _random.Next(3));
        }

        _script.Gauge(_rates, at, "container.memory.utilization", "1", 0.4 + (0.02 * _random.NextDouble()));
        _script.Gauge(_rates, at, "container.cpu.utilization", "1", 0.1 + (0.03 * _random.NextDouble()));
        if (broken && _fault == "5")
        {
            _script.Log(app, at, "ERROR", "Container terminated: memory limit of 64 MiB exceeded, exit code 137; restarting");
        }
    }
}
