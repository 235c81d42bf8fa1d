using System.Security.Cryptography.X509Certificates;

namespace Orchestrator.Agent;

/// <summary>
/// What the orchestrator shows Phoenix.Service, and whom it trusts there: <c>PHOENIX_API_KEY</c> as bearer token, the pairs of
/// <c>PHOENIX_CLIENT_HEADERS</c> (<c>name=value,…</c>, percent-encoded), and <see cref="MatsOptions.PhoenixCaFile"/>.
/// </summary>
internal sealed class PhoenixAccess
{
    private const string DefaultAddress = "http://127.0.0.1:6006";
    private const string ExportHeaders = "OTEL_EXPORTER_OTLP_HEADERS";
    private const string ExportCertificate = "OTEL_EXPORTER_OTLP_CERTIFICATE";

    private const string Discovered = "services:phoenix:http:0";
    private const string ApiKey = "PHOENIX_API_KEY";
    private const string ClientHeaders = "PHOENIX_CLIENT_HEADERS";

    private readonly Dictionary<string, string> _headers = new(StringComparer.OrdinalIgnoreCase);
    private readonly string _address;
    private readonly string? _caFile;

    public PhoenixAccess(IConfiguration configuration)
    {
        var address = configuration[$"{MatsOptions.Section}:{nameof(MatsOptions.PhoenixUrl)}"] is { Length: > 0 } given ? given
            : configuration[Discovered] is { Length: > 0 } discovered ? discovered
            : DefaultAddress;
        _address = address.TrimEnd('/') + "/";
        _caFile = configuration[$"{MatsOptions.Section}:{nameof(MatsOptions.PhoenixCaFile)}"] is { Length: > 0 } file ? file : null;
        foreach (var pair in Pairs(configuration))
        {
            if (TryParse(pair, out var name, out var value))
            {
                _headers[name] = value;
            }
        }

        if (configuration[ApiKey] is { Length: > 0 } key)
        {
            _headers["authorization"] = $"Bearer {key}";
        }
    }

    /// <summary>One sentence a setting that cannot be used; none holds a key or a header's value.</summary>
    public static IEnumerable<string> Check(IConfiguration configuration)
    {
        foreach (var fault in OtherSettings.Address(configuration, Discovered))
        {
            yield return fault;
        }

        if (configuration[ApiKey]?.Any(char.IsControl) == true)
        {
            yield return $"{ApiKey} must have no control characters";
        }

        var entry = 0;
        foreach (var pair in Pairs(configuration))
        {
            entry++;
            if (!TryParse(pair, out _, out _))
            {
                yield return $"{ClientHeaders} must be name=value pairs with commas between them; entry {entry} is none";
            }
        }
    }

    /// <summary>Base address of Phoenix.Service; valid once the options were found to be.</summary>
    public Uri Address => new(_address);

    /// <summary>Makes <paramref name="http"/> a client of Phoenix.Service.</summary>
    public void Apply(HttpClient http)
    {
        http.BaseAddress = Address;
        foreach (var (name, value) in _headers)
        {
            http.DefaultRequestHeaders.TryAddWithoutValidation(name, value);
        }
    }

    /// <summary>The end of a client's pipeline: trusts the CA file alone where there is one.</summary>
    public SocketsHttpHandler CreateHandler()
    {
        var handler = new SocketsHttpHandler();
        if (_caFile is not null)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
            };
            policy.CustomTrustStore.ImportFromPemFile(_caFile);
            handler.SslOptions.CertificateChainPolicy = policy;
        }

        return handler;
    }

    /// <summary>
    /// Lets the orchestrator's own telemetry be sent in the same way, where it goes to Phoenix.Service and its standard settings say
    /// nothing: another receiver must not see the key.
    /// </summary>
    public void CompleteExport(IConfiguration configuration)
    {
        if (!Uri.TryCreate(configuration["OTEL_EXPORTER_OTLP_ENDPOINT"], UriKind.Absolute, out var endpoint)
            || !Uri.TryCreate(_address, UriKind.Absolute, out var phoenix) || endpoint.Host != phoenix.Host)
        {
            return;
        }

        if (_headers.Count > 0 && string.IsNullOrEmpty(configuration[ExportHeaders]))
        {
            configuration[ExportHeaders] = string.Join(
                ',', _headers.Select(header => $"{header.Key}={Uri.EscapeDataString(header.Value)}"));
        }

        if (_caFile is not null && string.IsNullOrEmpty(configuration[ExportCertificate]))
        {
            configuration[ExportCertificate] = _caFile;
        }
    }

    private static string[] Pairs(IConfiguration configuration) =>
        (configuration[ClientHeaders] ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries);

    private static bool TryParse(string pair, out string name, out string value)
    {
        var equals = pair.IndexOf('=', StringComparison.Ordinal);
        name = equals > 0 ? pair[..equals].Trim() : "";
        value = equals > 0 ? Uri.UnescapeDataString(pair[(equals + 1)..].Trim()) : "";
        return name.Length > 0 && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            && !value.Any(char.IsControl);
    }
}
