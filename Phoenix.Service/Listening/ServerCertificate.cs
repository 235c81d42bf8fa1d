using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Phoenix.Service.Listening;

/// <summary>
/// What the files of <see cref="TlsOptions"/> held at one moment, fit for handshakes. Not disposed while it may serve a connection.
/// </summary>
internal sealed class ServerCertificate : IDisposable
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    // Every suite of TLS 1.3, and of TLS 1.2 those that keep past traffic secret when the key is stolen.
    private static readonly TlsCipherSuite[] s_suites =
    [
        TlsCipherSuite.TLS_AES_256_GCM_SHA384, TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256, TlsCipherSuite.TLS_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TlsCipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];

    private static readonly CipherSuitesPolicy? s_policy = OperatingSystem.IsLinux() ? new CipherSuitesPolicy(s_suites) : null;

    private readonly X509Certificate2 _leaf;
    private readonly X509Certificate2Collection? _clientRoots;
    private readonly SslStreamCertificateContext _context;

    private ServerCertificate(X509Certificate2 leaf, X509Certificate2Collection chain, X509Certificate2Collection? clientRoots)
    {
        _leaf = leaf;
        _clientRoots = clientRoots;
        _context = SslStreamCertificateContext.Create(leaf, chain, offline: true);
    }

    public DateTimeOffset NotBefore => new(_leaf.NotBefore);

    public DateTimeOffset NotAfter => new(_leaf.NotAfter);

    /// <summary>
    /// The certificate, or null with what is wrong added to <paramref name="faults"/>, each naming its key; no message holds a secret.
    /// </summary>
    public static ServerCertificate? Load(TlsOptions options, List<string> faults)
    {
        var found = faults.Count;
        var certificate = Read(options.CertFile, nameof(TlsOptions.CertFile), faults);
        var key = Read(options.KeyFile, nameof(TlsOptions.KeyFile), faults);
        var roots = options.CaFile.Length > 0 || options.VerifyClient ? Read(options.CaFile, nameof(TlsOptions.CaFile), faults) : "";
        var chain = certificate is null ? null : Certificates(certificate, nameof(TlsOptions.CertFile), faults);
        var clientRoots = string.IsNullOrEmpty(roots) ? null : Certificates(roots, nameof(TlsOptions.CaFile), faults);
        var leaf = chain is null || key is null ? null : WithKey(certificate!, key, options, faults);
        if (faults.Count > found)
        {
            leaf?.Dispose();
            return null;
        }

        chain!.RemoveAt(0);
        return new ServerCertificate(leaf!, chain, options.VerifyClient ? clientRoots : null);
    }

    /// <summary>
    /// The terms of one handshake. A new object each time, because Kestrel completes it with the protocols of its listener.
    /// </summary>
    public SslServerAuthenticationOptions Terms()
    {
        var terms = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _context,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ClientCertificateRequired = _clientRoots is not null,
            CipherSuitesPolicy = s_policy,
        };
        if (_clientRoots is not null)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            policy.CustomTrustStore.AddRange(_clientRoots);
            policy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
            terms.CertificateChainPolicy = policy;
        }

        return terms;
    }

    /// <inheritdoc/>
    public void Dispose() => _leaf.Dispose();

    private static string? Read(string file, string property, List<string> faults)
    {
        var key = TlsOptions.Key(property);
        if (file.Length == 0)
        {
            faults.Add($"{key} must name a PEM file");
            return null;
        }

        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            faults.Add($"{key} must name an existing file, got '{file}'");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            faults.Add($"{key} must name a file that can be read, got '{file}'");
        }

        return null;
    }

    private static X509Certificate2Collection? Certificates(string pem, string property, List<string> faults)
    {
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPem(pem);
        }
        catch (CryptographicException)
        {
            certificates.Clear();
        }

        if (certificates.Count > 0)
        {
            return certificates;
        }

        faults.Add($"{TlsOptions.Key(property)} must hold a certificate in PEM");
        return null;
    }

    private static X509Certificate2? WithKey(string certificate, string key, TlsOptions options, List<string> faults)
    {
        var encrypted = key.Contains("BEGIN ENCRYPTED PRIVATE KEY", StringComparison.Ordinal);
        if (encrypted && options.KeyFilePassword.Length == 0)
        {
            faults.Add($"{TlsOptions.Key(nameof(TlsOptions.KeyFilePassword))} must be set: the key in {TlsOptions.Key(nameof(TlsOptions.KeyFile))} is encrypted");
            return null;
        }

        try
        {
            var leaf = encrypted
                ? X509Certificate2.CreateFromEncryptedPem(certificate, key, options.KeyFilePassword)
                : X509Certificate2.CreateFromPem(certificate, key);
            if (!OperatingSystem.IsWindows())
            {
                return leaf;
            }

            using (leaf)
            {
                // SChannel takes no key that lives in memory alone.
                return X509CertificateLoader.LoadPkcs12(leaf.Export(X509ContentType.Pkcs12), null);
            }
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            var how = encrypted ? $", opened by {TlsOptions.Key(nameof(TlsOptions.KeyFilePassword))}" : "";
            faults.Add($"{TlsOptions.Key(nameof(TlsOptions.KeyFile))} must hold the private key of the certificate in {TlsOptions.Key(nameof(TlsOptions.CertFile))}, in PEM{how}");
            return null;
        }
    }
}
