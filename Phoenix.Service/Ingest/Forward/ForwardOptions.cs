using System.Net;
using System.Net.NetworkInformation;
using Phoenix.Service.Configuration;
using Phoenix.Service.Listening;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Forward;

/// <summary>Whether and where stored telemetry is sent on, by OTLP/HTTP; docs/operating.md says what is guaranteed.</summary>
internal sealed class ForwardOptions
{
    public const string Section = "Phoenix:Forward";

    private static readonly TimeSpan s_leastDelay = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Base URL of the other OTLP/HTTP endpoint, such as https://collector:4318; /v1/traces and so on are added. Empty = nothing is
    /// forwarded.
    /// </summary>
    public string Endpoint { get; set; } = "";

    /// <summary>
    /// Headers of every request as name=value, the value percent-encoded where it holds a comma (as OTEL_EXPORTER_OTLP_HEADERS); secret.
    /// </summary>
    public string[] Headers { get; set; } = [];

    /// <summary>What is forwarded: traces, logs, metrics.</summary>
    public string[] Signals { get; set; } = ["traces", "logs", "metrics"];

    /// <summary>
    /// Most bytes that may wait to be forwarded; what comes on top is stored, but not forwarded. A single request is always let in.
    /// </summary>
    public long MaxQueueBytes { get; set; } = MachineSize.Here.ForwardQueueBytes;

    /// <summary>Requests under way at once.</summary>
    public int Connections { get; set; } = 4;

    /// <summary>Longest time one attempt may take.</summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Pause after the first failure of a request; doubles with each further one.</summary>
    public TimeSpan FirstRetryDelay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest pause between attempts, unless the other side asks for a longer one.</summary>
    public TimeSpan LongestRetryDelay { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Time from the first attempt of a request after which it is given up.</summary>
    public TimeSpan RetryLimit { get; set; } = TimeSpan.FromSeconds(300);

    /// <summary>Longest time the service goes on forwarding what waits when it stops.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(8);

    /// <summary>The name of <paramref name="signal"/> in <see cref="Signals"/>, in the path, and in metrics.</summary>
    public static string NameOf(Signal signal) => signal switch
    {
        Signal.Spans => "traces",
        Signal.Logs => "logs",
        _ => "metrics",
    };

    /// <summary>One sentence a broken rule; no header's value is in it.</summary>
    public static IEnumerable<string> Check(ForwardOptions options)
    {
        if (options.Endpoint.Length > 0 && FaultOf(options.Endpoint) is { } fault)
        {
            yield return $"{Key(nameof(Endpoint))} {fault}";
        }

        for (var index = 0; index < options.Headers.Length; index++)
        {
            if (!TryParseHeader(options.Headers[index], out _, out _))
            {
                yield return $"{Key(nameof(Headers))} must be name=value; entry {index + 1} is not, or names a header that the content sets";
            }
        }

        foreach (var signal in options.Signals.Where(static signal => signal is not ("traces" or "logs" or "metrics")))
        {
            yield return $"{Key(nameof(Signals))} must list traces, logs or metrics, got '{signal}'";
        }

        if (options.MaxQueueBytes is < 1024 * 1024 or > 64L << 40)
        {
            yield return $"{Key(nameof(MaxQueueBytes))} must be from 1M to 64T, got {options.MaxQueueBytes}";
        }

        if (options.Connections is < 1 or > 64)
        {
            yield return $"{Key(nameof(Connections))} must be from 1 to 64, got {options.Connections}";
        }

        foreach (var (name, value, least, most) in new[]
        {
            (nameof(RequestTimeout), options.RequestTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10)),
            (nameof(FirstRetryDelay), options.FirstRetryDelay, s_leastDelay, TimeSpan.FromMinutes(10)),
            (nameof(LongestRetryDelay), options.LongestRetryDelay,
                options.FirstRetryDelay > s_leastDelay ? options.FirstRetryDelay : s_leastDelay, TimeSpan.FromHours(1)),
            (nameof(RetryLimit), options.RetryLimit, TimeSpan.Zero, TimeSpan.FromDays(1)),
            (nameof(DrainTimeout), options.DrainTimeout, TimeSpan.Zero, TimeSpan.FromMinutes(5)),
        })
        {
            if (value < least || value > most)
            {
                yield return $"{Key(name)} must be from {least} to {most}, got {value}";
            }
        }
    }

    /// <summary>
    /// Why the endpoint must not be used beside <paramref name="listen"/>, because it is this service itself; null when it may be.
    /// </summary>
    public static string? FaultOfLoop(ForwardOptions options, ListenOptions listen)
    {
        if (!Uri.TryCreate(options.Endpoint, UriKind.Absolute, out var endpoint)
            || (endpoint.Port != listen.Port && endpoint.Port != listen.OtlpHttpPort && endpoint.Port != listen.GrpcPort
                && endpoint.Port != listen.MetricsPort)
            || !IsThisMachine(endpoint, listen.Address))
        {
            return null;
        }

        return $"{Key(nameof(Endpoint))} must not be this service itself, which listens on {listen.Host}:{endpoint.Port}";
    }

    /// <summary>A header as the sender needs it; false for what is none, or is not the operator's to set.</summary>
    public static bool TryParseHeader(string entry, out string name, out string value)
    {
        var separator = entry.IndexOf('=', StringComparison.Ordinal);
        name = separator > 0 ? entry[..separator].Trim() : "";
        value = separator > 0 ? Uri.UnescapeDataString(entry[(separator + 1)..].Trim()) : "";
        return name.Length > 0 && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            && !name.StartsWith("content-", StringComparison.OrdinalIgnoreCase)
            && value.Length > 0 && !value.Any(char.IsControl);
    }

    private static string? FaultOf(string endpoint)
    {
        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            return "must be a URL such as https://collector:4318";
        }

        if (uri.UserInfo.Length > 0)
        {
            return $"must not hold credentials: give them by {Key(nameof(Headers))}";
        }

        return uri.Query.Length > 0 || uri.Fragment.Length > 0 || uri.AbsolutePath.EndsWith("/v1/traces", StringComparison.Ordinal)
            ? "must be the base URL, without a query; /v1/traces and so on are added"
            : null;
    }

    private static bool IsThisMachine(Uri endpoint, IPAddress? listening)
    {
        var isAny = IPAddress.Any.Equals(listening) || IPAddress.IPv6Any.Equals(listening);
        if (!IPAddress.TryParse(endpoint.DnsSafeHost, out var address))
        {
            return (endpoint.IsLoopback && (isAny || listening is null || IPAddress.IsLoopback(listening)))
                || (isAny && endpoint.Host.Equals(Dns.GetHostName(), StringComparison.OrdinalIgnoreCase));
        }

        return address.Equals(listening)
            || (isAny && (IPAddress.IsLoopback(address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any)
            || NetworkInterface.GetAllNetworkInterfaces()
                .Any(card => card.GetIPProperties().UnicastAddresses.Any(own => own.Address.Equals(address)))));
    }

    private static string Key(string property) => $"{Section}:{property}";
}
