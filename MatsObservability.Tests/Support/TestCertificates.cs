using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MatsObservability.Tests.Support;

/// <summary>A certificate authority of one test, and the PEM files of what it signs.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TestCertificates()
    {
        var request = new CertificateRequest($"CN=Test root {Guid.NewGuid():N}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        var now = TimeProvider.System.GetUtcNow();
        Root = request.CreateSelfSigned(now.AddDays(-2), now.AddDays(30));
        RootFile = Write("root.pem", Root.ExportCertificatePem());
    }

    /// <summary>The root, with its key.</summary>
    public X509Certificate2 Root { get; }

    /// <summary>The root alone, as clients trust it.</summary>
    public string RootFile { get; }

    /// <summary>A certificate for 127.0.0.1 and localhost, fit for servers and clients; RSA unless asked for otherwise.</summary>
    public X509Certificate2 Issue(string name, bool expired = false, bool elliptic = false)
    {
        var serial = RandomNumberGenerator.GetBytes(12);
        var now = TimeProvider.System.GetUtcNow();
        var (from, to) = expired ? (now.AddDays(-2), now.AddDays(-1)) : (now.AddDays(-1), now.AddDays(20));
        if (elliptic)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var signed = Describe(new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256)).Create(Root, from, to, serial);
            return signed.CopyWithPrivateKey(key);
        }

        using var rsa = RSA.Create(2048);
        var request = Describe(new CertificateRequest($"CN={name}", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
        using var certificate = request.Create(Root.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), from, to, serial);
        return certificate.CopyWithPrivateKey(rsa);
    }

    /// <summary>The files of <paramref name="certificate"/>, written over what they held.</summary>
    public (string Cert, string Key) WriteFiles(X509Certificate2 certificate, string name = "server", string? password = null) =>
        (Write($"{name}.crt", certificate.ExportCertificatePem()), Write($"{name}.key", KeyPem(certificate, password)));

    /// <summary>Writes a file of the test's folder; its path.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(_folder.File(name), text);
        return _folder.File(name);
    }

    /// <summary>A client that trusts this root alone and shows <paramref name="client"/> when asked.</summary>
    public HttpClient Client(string url, X509Certificate2? client = null, Version? version = null)
    {
        var handler = new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero };
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            CustomTrustStore = { X509Certificate2.CreateFromPem(Root.ExportCertificatePem()) },
        };
        if (client is not null)
        {
            handler.SslOptions.ClientCertificates = [client];
        }

        return new HttpClient(handler)
        {
            BaseAddress = new Uri(url),
            DefaultRequestVersion = version ?? HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Root.Dispose();
        _key.Dispose();
        _folder.Dispose();
    }

    private static CertificateRequest Describe(CertificateRequest request)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(
            new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.KeyEncipherment, false));
        request.CertificateExtensions.Add(
            new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        return request;
    }

    private static string KeyPem(X509Certificate2 certificate, string? password)
    {
        using AsymmetricAlgorithm key = certificate.GetRSAPrivateKey() is { } rsa ? rsa : certificate.GetECDsaPrivateKey()!;
        return password is null
            ? key.ExportPkcs8PrivateKeyPem()
            : key.ExportEncryptedPkcs8PrivateKeyPem(
                password, new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 10_000));
    }
}
