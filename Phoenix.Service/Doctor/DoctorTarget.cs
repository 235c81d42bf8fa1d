using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MatsObservability.ServiceDefaults;
using Npgsql;
using Phoenix.Service.Configuration;
using Phoenix.Service.Listening;

namespace Phoenix.Service.Doctor;

/// <summary>
/// The service to examine, as its settings describe it: the addresses its clients use (<c>PHOENIX_COLLECTOR_*</c> when set, else those it
/// listens on), the API key, the database. Knows every secret among the settings, and masks it.
/// </summary>
internal sealed class DoctorTarget
{
    private const string Masked = "***";
    private const int LeastSecretChars = 3;

    /// <summary>More than a scrape of a busy service has; who answers more is another program.</summary>
    private const int MostAnswerBytes = 64 * 1024 * 1024;

    private static readonly string[] s_secretWords = ["PASSWORD", "SECRET", "KEY", "TOKEN", "HEADERS"];
    private static readonly string[] s_fileSuffixes = ["_FILE", "_PATH"];

    private readonly List<string> _secrets = [];
    private readonly TlsOptions _tls;

    private DoctorTarget(ConfigurationManager configuration, IReadOnlyDictionary<string, string> variables)
    {
        Variables = variables;
        _tls = ValidatedOptions.Peek<TlsOptions>(configuration, TlsOptions.Section);
        var options = new ListenOptions();
        var host = configuration[$"{ListenOptions.Section}:Host"] ?? options.Host;
        var prefix = configuration[$"{ListenOptions.Section}:HostRootPath"] ?? "";
        Http = Door("COLLECTOR_ENDPOINT", Listeners.Http, nameof(options.Port), options.Port, prefix);
        Grpc = Door("COLLECTOR_GRPC_ENDPOINT", Listeners.Grpc, nameof(options.GrpcPort), options.GrpcPort, "");
        Otlp = Door("COLLECTOR_HTTP_ENDPOINT", Listeners.Otlp, nameof(options.OtlpHttpPort), options.OtlpHttpPort, prefix);
        Metrics = Door(null, Listeners.Metrics, nameof(options.MetricsPort), options.MetricsPort, prefix);
        ApiKey = variables.GetValueOrDefault("API_KEY") is { Length: > 0 } key ? key : null;
        DatabaseGiven = configuration.GetConnectionString("phoenixdb");
        DatabaseSchema = configuration["Phoenix:Storage:Schema"];
        Learn(variables);

        Uri Door(string? variable, Listeners listener, string name, int standard, string path)
        {
            if (variable is not null && variables.TryGetValue(variable, out var address) && address.Length > 0)
            {
                return Uri.TryCreate(address, UriKind.Absolute, out var given) && given.Scheme is "http" or "https"
                    ? new Uri($"{given.Scheme}://{given.Authority}{path}/")
                    : throw new StartUpException($"{PhoenixEnvironment.Prefix}{variable} must be an absolute http(s) address");
            }

            var port = configuration[$"{ListenOptions.Section}:{name}"] is { Length: > 0 } text ? text : $"{standard}";
            return int.TryParse(port, System.Globalization.CultureInfo.InvariantCulture, out var number) && number is > 0 and < 65536
                ? new Uri($"{(_tls.IsOn(listener) ? "https" : "http")}://{Reachable(host)}:{number}{path}/")
                : throw new StartUpException(
                    $"{EnvironmentAliases.Named($"{ListenOptions.Section}:{name}")} must be a port from 1 to 65535 to be found by, got '{port}'");
        }
    }

    /// <summary>UI, REST and OTLP/HTTP.</summary>
    public Uri Http { get; }

    /// <summary>OTLP/gRPC.</summary>
    public Uri Grpc { get; }

    /// <summary>OTLP/HTTP alone.</summary>
    public Uri Otlp { get; }

    /// <summary>Prometheus metrics.</summary>
    public Uri Metrics { get; }

    /// <summary>Sent as a bearer token; null when none is set.</summary>
    public string? ApiKey { get; }

    /// <summary>The database as the settings name it; null when they do not.</summary>
    public string? DatabaseGiven { get; }

    public string? DatabaseSchema { get; }

    /// <summary>The PHOENIX_* variables without their prefix.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; }

    /// <summary>Reads the settings as the service does, from the same files; the faults and warnings of the names.</summary>
    /// <exception cref="StartUpException">They name no address to look at.</exception>
    public static (DoctorTarget Target, List<string> Warnings, List<string> Faults) Read(string[] args)
    {
        using var configuration = Program.CreateBuilder(args).Configuration;
        var (variables, warnings, faults) = PhoenixEnvironment.Read(configuration);
        return (new DoctorTarget(configuration, variables), warnings, faults);
    }

    /// <summary>
    /// A client that sends the API key and takes the certificate that the settings name, even if no root of this machine vouches for it.
    /// </summary>
    public HttpClient Client()
    {
        var client = new HttpClient(
            new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = IsTrusted } })
        {
            MaxResponseContentBufferSize = MostAnswerBytes,
        };
        if (ApiKey is not null)
        {
            client.DefaultRequestHeaders.Authorization = new("Bearer", ApiKey);
        }

        return client;
    }

    /// <summary>The text without any secret of the settings.</summary>
    public string Mask(string text) =>
        _secrets.Aggregate(text, static (masked, secret) => masked.Replace(secret, Masked, StringComparison.Ordinal));

    /// <summary>The variables that are set, as <c>NAME = value</c>, secrets masked.</summary>
    public IEnumerable<string> Environment() => Variables.OrderBy(static pair => pair.Key, StringComparer.Ordinal)
        .Select(pair => $"{PhoenixEnvironment.Prefix}{pair.Key} = {(IsSecret(pair.Key) ? Masked : Mask(pair.Value))}");

    private static bool IsSecret(string name) =>
        Array.Exists(s_secretWords, word => name.Contains(word, StringComparison.Ordinal))
            && !Array.Exists(s_fileSuffixes, suffix => name.EndsWith(suffix, StringComparison.Ordinal));

    private static string Reachable(string host) => host.Trim('[', ']') switch
    {
        "*" or "+" or "0.0.0.0" or "::" or "localhost" => "127.0.0.1",
        var text when IPAddress.TryParse(text, out var address)
            && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 => $"[{text}]",
        var text => text,
    };

    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
        {
            return true;
        }

        try
        {
            return certificate is not null && File.Exists(_tls.CertFile)
                && X509Certificate2.CreateFromPem(File.ReadAllText(_tls.CertFile)).RawDataMemory.Span.SequenceEqual(
                    certificate.GetRawCertData());
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            // The service itself says what is wrong with its file.
            return false;
        }
    }

    /// <summary>Collects what must never be printed.</summary>
    private void Learn(IReadOnlyDictionary<string, string> variables)
    {
        _secrets.AddRange(variables.Where(static pair => IsSecret(pair.Key)).Select(static pair => pair.Value));
        try
        {
            if (DatabaseGiven is not null && new NpgsqlConnectionStringBuilder(DatabaseGiven).Password is { } password)
            {
                // As it stands in a URL, and as it is.
                _secrets.Add(Uri.EscapeDataString(password));
                _secrets.Add(password);
            }
        }
        catch (ArgumentException)
        {
            _secrets.Add(DatabaseGiven!);
        }

        if (variables.TryGetValue("SQL_DATABASE_URL", out var url) && url.Split("://") is [_, var rest]
            && rest.LastIndexOf('@') is > 0 and var at
            && rest[..at].IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon)
        {
            _secrets.Add(rest[(colon + 1)..at]);
        }

        _secrets.RemoveAll(static secret => secret.Length < LeastSecretChars);
        _secrets.Sort(static (one, other) => other.Length - one.Length);
    }
}
