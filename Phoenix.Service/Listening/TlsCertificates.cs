using System.Net.Security;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Phoenix.Service.Configuration;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Listening;

/// <summary>
/// The certificate new connections get. The files are looked at again when a connection comes in, once a second at most; a change that
/// cannot be used is logged once and the certificate before it stays. Thread-safe.
/// </summary>
internal sealed partial class TlsCertificates : IMetricSource
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(1);

    private readonly TlsOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<TlsCertificates> _logger;
    private readonly Lock _looking = new();
    private ServerCertificate? _current;
    private string? _seen;
    private long _looked;

    public TlsCertificates(IOptions<TlsOptions> options, TimeProvider time, ILogger<TlsCertificates> logger)
    {
        (_options, _time, _logger) = (options.Value, time, logger);
    }

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Loads the certificate before the first connection, so that its expiry is told at start.</summary>
    /// <exception cref="StartUpException">It cannot be used.</exception>
    public void Start() => Terms();

    /// <summary>The terms of the next handshake.</summary>
    public SslServerAuthenticationOptions Terms()
    {
        lock (_looking)
        {
            if (_current is null || _time.GetElapsedTime(_looked) >= s_lookEvery)
            {
                _looked = _time.GetTimestamp();
                Look();
            }

            return _current!.Terms();
        }
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        if (_current is { } current)
        {
            const string Name = "phoenix_certificate_not_after_timestamp_seconds";
            writer.Family(Name, MetricType.Gauge, "When the certificate expires, in Unix seconds.");
            writer.Sample(Name, PrometheusWriter.Labels(("certificate", "server")), current.NotAfter.ToUnixTimeSeconds());
        }

        return ValueTask.CompletedTask;
    }

    private void Look()
    {
        // Before the files are read: a change in between is seen the next time.
        var content = Fingerprint();
        if (content == _seen)
        {
            return;
        }

        _seen = content;
        var faults = new List<string>();
        if (ServerCertificate.Load(_options, faults) is not { } loaded)
        {
            var reason = string.Join("; ", faults);
            if (_current is null)
            {
                throw new StartUpException(reason);
            }

            Log.Unusable(_logger, reason);
            return;
        }

        _current = loaded;
        var now = _time.GetUtcNow();
        if (now > loaded.NotAfter || now < loaded.NotBefore)
        {
            Log.NotValid(_logger, _options.CertFile, loaded.NotBefore, loaded.NotAfter);
        }
        else
        {
            Log.Loaded(_logger, _options.CertFile, loaded.NotAfter);
        }
    }

    /// <summary>
    /// Differs when one of the files does; times would not do, because a secret volume swaps links. Empty while one cannot be read.
    /// </summary>
    private string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        try
        {
            foreach (var file in new[] { _options.CertFile, _options.KeyFile, _options.CaFile })
            {
                hash.AppendData(file.Length == 0 ? [] : SHA256.HashData(File.ReadAllBytes(file)));
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
