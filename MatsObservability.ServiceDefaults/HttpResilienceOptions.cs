namespace MatsObservability.ServiceDefaults;

/// <summary>Limits of every outgoing HTTP request made through <see cref="IHttpClientFactory"/>.</summary>
public sealed class HttpResilienceOptions
{
    /// <summary>Configuration section.</summary>
    public const string Section = "HttpResilience";

    /// <summary>Time for one attempt, until the response's headers (or its whole body, when the client buffers it).</summary>
    public TimeSpan AttemptTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Time for all attempts and the pauses between them.</summary>
    public TimeSpan TotalTimeout { get; set; } = TimeSpan.FromSeconds(90);

    /// <summary>Attempts after the first, only for idempotent or marked requests.</summary>
    public int MaxRetries { get; set; } = 3;

    /// <summary>Pause before the first retry; doubles, with jitter. A <c>Retry-After</c> header takes precedence.</summary>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Share of failed requests to one authority at which its circuit opens, 0 to 1.</summary>
    public double CircuitFailureRatio { get; set; } = 0.5;

    /// <summary>Requests within <see cref="CircuitWindow"/> below which the circuit never opens.</summary>
    public int CircuitMinimumRequests { get; set; } = 20;

    /// <summary>Time over which failures are counted.</summary>
    public TimeSpan CircuitWindow { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Time an open circuit refuses before it lets a trial through.</summary>
    public TimeSpan CircuitPause { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>One sentence a broken rule; the bounds are those of Polly's strategies.</summary>
    internal static IEnumerable<string> Check(HttpResilienceOptions options)
    {
        var (shortest, longest) = (TimeSpan.FromMilliseconds(10), TimeSpan.FromDays(1));
        var circuit = TimeSpan.FromMilliseconds(500);
        var faults = new SettingFaults(Section);
        faults.Between(nameof(AttemptTimeout), options.AttemptTimeout, shortest, longest);
        faults.Between(nameof(TotalTimeout), options.TotalTimeout, shortest, longest);
        if (faults.Found.Count == 0)
        {
            // Of a value out of bounds that alone is told.
            faults.Require(options.TotalTimeout >= options.AttemptTimeout, nameof(TotalTimeout), "be at least AttemptTimeout",
                options.TotalTimeout);
        }

        faults.Between(nameof(MaxRetries), options.MaxRetries, 0, 20);
        faults.Between(nameof(RetryDelay), options.RetryDelay, TimeSpan.Zero, longest);
        faults.Require(options.CircuitFailureRatio is > 0 and <= 1, nameof(CircuitFailureRatio), "be above 0 and at most 1",
            options.CircuitFailureRatio);
        faults.Between(nameof(CircuitMinimumRequests), options.CircuitMinimumRequests, 2, 1_000_000);
        faults.Between(nameof(CircuitWindow), options.CircuitWindow, circuit, longest);
        faults.Between(nameof(CircuitPause), options.CircuitPause, circuit, longest);
        return faults.Found;
    }
}
