using Microsoft.Extensions.Options;

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
}

/// <summary>Collects every fault, each naming its key; the bounds are those of Polly's strategies.</summary>
internal sealed class ValidateHttpResilienceOptions : IValidateOptions<HttpResilienceOptions>
{
    private static readonly TimeSpan s_shortest = TimeSpan.FromMilliseconds(500);

    public ValidateOptionsResult Validate(string? name, HttpResilienceOptions options)
    {
        var faults = new List<string>();
        Check(options.AttemptTimeout > TimeSpan.Zero, nameof(options.AttemptTimeout), "be longer than zero", options.AttemptTimeout);
        Check(options.TotalTimeout >= options.AttemptTimeout, nameof(options.TotalTimeout),
            "be at least AttemptTimeout", options.TotalTimeout);
        Check(options.MaxRetries is >= 0 and <= 20, nameof(options.MaxRetries), "be 0 to 20", options.MaxRetries);
        Check(options.RetryDelay >= TimeSpan.Zero, nameof(options.RetryDelay), "not be negative", options.RetryDelay);
        Check(options.CircuitFailureRatio is > 0 and <= 1, nameof(options.CircuitFailureRatio),
            "be above 0 and at most 1", options.CircuitFailureRatio);
        Check(options.CircuitMinimumRequests >= 2, nameof(options.CircuitMinimumRequests), "be at least 2", options.CircuitMinimumRequests);
        Check(options.CircuitWindow >= s_shortest, nameof(options.CircuitWindow), "be at least 00:00:00.5", options.CircuitWindow);
        Check(options.CircuitPause >= s_shortest, nameof(options.CircuitPause), "be at least 00:00:00.5", options.CircuitPause);
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);

        void Check(bool valid, string key, string rule, object value)
        {
            if (!valid)
            {
                faults.Add(FormattableString.Invariant($"{HttpResilienceOptions.Section}:{key} must {rule}, got {value}"));
            }
        }
    }
}
