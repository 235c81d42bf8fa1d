using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace MatsObservability.AppHost;

/// <summary>What this AppHost is told on its command line and by its configuration, checked before anything is built of it.</summary>
internal sealed class Settings(string[] args, IConfiguration configuration)
{
    private const string DemoWord = "demo";
    private const string PortsSection = "Ports";
    private const string CollectorKey = "Collector:Enabled";

    private static readonly string[] s_ports = ["phoenix-http", "phoenix-otlp-grpc", "phoenix-otlp-http", "phoenix-metrics",
        "orchestrator-http", "collector-otlp-grpc", "collector-otlp-http"];

    /// <summary>Whether an incident is sent and asked about once everything runs.</summary>
    public bool Demo => Words().Contains(DemoWord, StringComparer.Ordinal);

    /// <summary>Whether a collector takes the OTLP ports of the host.</summary>
    public bool Collector => configuration[CollectorKey] is { Length: > 0 } text && bool.Parse(text);

    /// <summary>
    /// The port of <paramref name="name"/>, else the <paramref name="usual"/> one (the orchestrator's stands in its launch profile); null =
    /// any free port, as tests ask for.
    /// </summary>
    public int? Port(string name, int? usual) =>
        configuration[$"{PortsSection}:{name}"] is { Length: > 0 } port ? int.Parse(port, CultureInfo.InvariantCulture)
        : configuration["DcpPublisher:RandomizePorts"] == "true" ? null
        : usual;

    /// <summary>Every mistake, one line each that names it; nothing else may be read while there is one.</summary>
    public IEnumerable<string> Faults()
    {
        foreach (var word in Words().Where(static word => word != DemoWord))
        {
            yield return $"'{word}' means nothing here: the only word is '{DemoWord}', a setting is KEY=VALUE.";
        }

        foreach (var port in configuration.GetSection(PortsSection).GetChildren())
        {
            if (!s_ports.Contains(port.Key, StringComparer.OrdinalIgnoreCase))
            {
                yield return $"{port.Path} is no port of this system: {string.Join(", ", s_ports)}.";
            }
            else if (port.Value is { Length: > 0 } text && !ushort.TryParse(text, CultureInfo.InvariantCulture, out _))
            {
                yield return $"{port.Path} must be a port number (0 to 65535), got '{text}'.";
            }
        }

        if (configuration[CollectorKey] is { Length: > 0 } enabled && !bool.TryParse(enabled, out _))
        {
            yield return $"{CollectorKey} must be true or false, got '{enabled}'.";
        }
    }

    /// <summary>The arguments that are neither settings nor the values of <c>--KEY VALUE</c>.</summary>
    private IEnumerable<string> Words()
    {
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i].Contains('=', StringComparison.Ordinal))
            {
                continue;
            }

            if (args[i].StartsWith('-') || args[i].StartsWith('/'))
            {
                i++; // its value
            }
            else
            {
                yield return args[i];
            }
        }
    }
}
