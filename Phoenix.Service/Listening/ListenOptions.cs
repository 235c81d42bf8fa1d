using System.Net;

namespace Phoenix.Service.Listening;

/// <summary>Where the service listens, and how long it waits for slow clients.</summary>
internal sealed class ListenOptions
{
    public const string Section = "Phoenix:Server";

    /// <summary>Address to bind: an IP address, "localhost", or "*" for all.</summary>
    public string Host { get; set; } = "127.0.0.1";

    /// <summary>UI, REST and OTLP/HTTP; 0 = any free port.</summary>
    public int Port { get; set; } = 6006;

    /// <summary>OTLP/gRPC, HTTP/2 only.</summary>
    public int GrpcPort { get; set; } = 4317;

    /// <summary>OTLP/HTTP alone.</summary>
    public int OtlpHttpPort { get; set; } = 4318;

    /// <summary>Prometheus metrics.</summary>
    public int MetricsPort { get; set; } = 6007;

    /// <summary>Path prefix in front of every route, such as "/phoenix"; empty = none.</summary>
    public string HostRootPath { get; set; } = "";

    /// <summary>Whether browsers of other origins are answered at all.</summary>
    public bool CorsEnabled { get; set; } = true;

    /// <summary>Origins that browsers may call from, exact, or <c>*</c> alone for all; empty = none.</summary>
    public string[] CorsOrigins { get; set; } = [];

    /// <summary>Time a client has to send the request line and headers.</summary>
    public TimeSpan HeaderTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Idle time after which a kept-alive connection is closed.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>Slowest body accepted, in bytes a second, after <see cref="BodyGracePeriod"/>.</summary>
    public int MinBodyBytesPerSecond { get; set; } = 240;

    /// <summary>Time before <see cref="MinBodyBytesPerSecond"/> is enforced.</summary>
    public TimeSpan BodyGracePeriod { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Open connections that each listener accepts; Kestrel counts them for each.</summary>
    public int MaxConnections { get; set; } = 10_000;

    /// <summary>The address of <see cref="Host"/>; null when it is none.</summary>
    public IPAddress? Address => Host switch
    {
        "*" or "+" or "0.0.0.0" => IPAddress.Any,
        "localhost" => IPAddress.Loopback,
        _ => IPAddress.TryParse(Host.Trim('[', ']'), out var address) ? address : null,
    };

    /// <summary>Whether browsers may call from <paramref name="origin"/>.</summary>
    public bool Allows(string origin) =>
        CorsEnabled && (CorsOrigins.Contains("*") || CorsOrigins.Contains(origin, StringComparer.OrdinalIgnoreCase));

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(ListenOptions options)
    {
        if (options.Address is null)
        {
            yield return $"{Key(nameof(Host))} must be an IP address, localhost or *, got '{options.Host}'";
        }

        var ports = new (string Name, int Port)[]
        {
            (nameof(Port), options.Port), (nameof(GrpcPort), options.GrpcPort), (nameof(OtlpHttpPort), options.OtlpHttpPort),
            (nameof(MetricsPort), options.MetricsPort),
        };
        foreach (var (name, port) in ports)
        {
            if (port is < 0 or > 65535)
            {
                yield return $"{Key(name)} must be a port from 0 to 65535, got {port}";
            }
            else if (port != 0 && ports.First(other => other.Port == port).Name is var first && first != name)
            {
                yield return $"{Key(name)} must differ from {Key(first)}, both are {port}";
            }
        }

        if (options.HostRootPath.Length > 0 && (options.HostRootPath[0] != '/' || options.HostRootPath.EndsWith('/')))
        {
            yield return $"{Key(nameof(HostRootPath))} must start with '/' and not end with one, got '{options.HostRootPath}'";
        }

        foreach (var origin in options.CorsOrigins.Where(static origin => origin != "*" && !IsOrigin(origin)))
        {
            yield return $"{Key(nameof(CorsOrigins))} must list origins such as https://host:port, got '{origin}'";
        }

        if (options.CorsOrigins.Length > 1 && options.CorsOrigins.Contains("*"))
        {
            yield return $"{Key(nameof(CorsOrigins))} must be * alone or a list of origins, got both";
        }

        foreach (var (name, value) in new[] { (nameof(HeaderTimeout), options.HeaderTimeout), (nameof(IdleTimeout), options.IdleTimeout),
            (nameof(BodyGracePeriod), options.BodyGracePeriod) })
        {
            if (value < TimeSpan.FromSeconds(2) || value > TimeSpan.FromHours(1))
            {
                yield return $"{Key(name)} must be from 2 s to 1 h, got {value}";
            }
        }

        if (options.MinBodyBytesPerSecond is < 1 or > 1024 * 1024 * 1024)
        {
            yield return $"{Key(nameof(MinBodyBytesPerSecond))} must be from 1 to 1G, got {options.MinBodyBytesPerSecond}";
        }

        if (options.MaxConnections is < 1 or > 1_000_000)
        {
            yield return $"{Key(nameof(MaxConnections))} must be from 1 to 1000000, got {options.MaxConnections}";
        }
    }

    /// <summary>Whether <paramref name="text"/> is an origin as browsers send it: scheme, host and port, and nothing behind them.</summary>
    public static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0
            && uri.PathAndQuery == "/" && uri.Fragment.Length == 0 && !text.EndsWith('/');

    private static string Key(string property) => $"{Section}:{property}";
}
