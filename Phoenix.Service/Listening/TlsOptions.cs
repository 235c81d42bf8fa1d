namespace Phoenix.Service.Listening;

/// <summary>Which listeners speak TLS, and the PEM files they do it with.</summary>
internal sealed class TlsOptions
{
    public const string Section = "Phoenix:Tls";

    /// <summary>TLS on UI, REST, OTLP/HTTP and OTLP/gRPC; plaintext is refused there.</summary>
    public bool Enabled { get; set; }

    /// <summary>For 6006 and 4318 alone; null = as <see cref="Enabled"/>.</summary>
    public bool? EnabledForHttp { get; set; }

    /// <summary>For 4317 alone; null = as <see cref="Enabled"/>.</summary>
    public bool? EnabledForGrpc { get; set; }

    /// <summary>For 6007, which stays in plain text unless asked for: probes and scrapers stand beside the service.</summary>
    public bool EnabledForMetrics { get; set; }

    /// <summary>The server's certificate, first, and those between it and its root.</summary>
    public string CertFile { get; set; } = "";

    /// <summary>The certificate's private key.</summary>
    public string KeyFile { get; set; } = "";

    /// <summary>Opens <see cref="KeyFile"/> if that is encrypted.</summary>
    public string KeyFilePassword { get; set; } = "";

    /// <summary>Roots of the certificates of clients.</summary>
    public string CaFile { get; set; } = "";

    /// <summary>Whether a client must show a certificate that leads to <see cref="CaFile"/>.</summary>
    public bool VerifyClient { get; set; }

    /// <summary>Whether <paramref name="listener"/> speaks TLS.</summary>
    public bool IsOn(Listeners listener) => listener switch
    {
        Listeners.Grpc => EnabledForGrpc ?? Enabled,
        Listeners.Metrics => EnabledForMetrics,
        _ => EnabledForHttp ?? Enabled,
    };

    /// <summary>One sentence a broken rule; the files are read as a start reads them.</summary>
    public static IEnumerable<string> Check(TlsOptions options)
    {
        var faults = new List<string>();
        if (Enum.GetValues<Listeners>().Any(options.IsOn))
        {
            ServerCertificate.Load(options, faults)?.Dispose();
        }
        else if (options.VerifyClient)
        {
            faults.Add($"{Key(nameof(VerifyClient))} must not be on without TLS: set {Key(nameof(Enabled))}");
        }

        return faults;
    }

    /// <summary>The key of <paramref name="property"/> as messages name it.</summary>
    public static string Key(string property) => $"{Section}:{property}";
}
