using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Phoenix.Service.Listening;

namespace MatsObservability.Tests.Phoenix.Listening;

/// <summary>TLS on the doors of the service, with certificates of an authority that only the test knows.</summary>
[Trait("Req", "B029")]
[Trait("Req", "B064")]
public sealed class TlsTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>, IDisposable
{
    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Start_WithTls_ServesHttpAndGrpcEncryptedAndRefusesPlaintext(bool elliptic)
    {
        await using var server = await StartAsync(_certificates.Issue("server", elliptic: elliptic));
        using var http = _certificates.Client(server.HttpUrl);
        using var otlp = _certificates.Client(server.OtlpHttpUrl, version: HttpVersion.Version20);
        using var grpc = _certificates.Client(server.GrpcUrl, version: HttpVersion.Version20);

        Assert.All([server.HttpUrl, server.OtlpHttpUrl, server.GrpcUrl],
            url => Assert.StartsWith("https://", url, StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/projects")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await otlp.PostAsync(Otlp.Spans(2, "tls"))).StatusCode);
        Assert.Equal("0", await ExportByGrpcAsync(grpc));
        Assert.Equal(5L, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
        foreach (var url in new[] { server.HttpUrl, server.OtlpHttpUrl, server.GrpcUrl })
        {
            using var plain = new HttpClient { BaseAddress = new Uri(url.Replace("https", "http", StringComparison.Ordinal)) };
            await Assert.ThrowsAsync<HttpRequestException>(() => plain.GetAsync("/healthz"));
        }

        // The metrics port stays plain: probes and scrapers stand beside the service.
        using var metrics = new HttpClient();
        Assert.Contains("phoenix_certificate_not_after_timestamp_seconds{certificate=\"server\"}",
            await metrics.GetStringAsync($"{server.MetricsUrl}/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connect_ForeignAuthority_IsRefusedByTheClient()
    {
        await using var server = await StartAsync(_certificates.Issue("server"));
        using var others = new TestCertificates();
        using var client = others.Client(server.HttpUrl);

        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("/healthz"));

        Assert.IsType<AuthenticationException>(refused.InnerException);
    }

    [Theory]
    [InlineData("grpc", true)]
    [InlineData("http", false)]
    public async Task Start_TlsForOneProtocol_LeavesTheOtherPlain(string protocol, bool grpcEncrypted)
    {
        await using var server = await StartAsync(_certificates.Issue("server"), ("PHOENIX_TLS_ENABLED", "false"),
            ($"PHOENIX_TLS_ENABLED_FOR_{protocol.ToUpperInvariant()}", "true"));

        Assert.Equal(grpcEncrypted ? "https" : "http", new Uri(server.GrpcUrl).Scheme);
        Assert.Equal(grpcEncrypted ? "http" : "https", new Uri(server.HttpUrl).Scheme);
        using var client = _certificates.Client(server.OtlpHttpUrl);
        Assert.Equal(HttpStatusCode.OK, (await client.PostAsync(Otlp.Spans(1))).StatusCode);
    }

    [Fact]
    [Trait("Req", "B067")]
    public async Task Handshake_Protocols_AreModernAndForwardSecret()
    {
        await using var server = await StartAsync(_certificates.Issue("server"));
        var port = new Uri(server.HttpUrl).Port;

        Assert.Equal(SslProtocols.Tls13, (await HandshakeAsync(port, SslProtocols.Tls13)).Protocol);
        var (protocol, suite) = await HandshakeAsync(port, SslProtocols.Tls12);
        Assert.Equal(SslProtocols.Tls12, protocol);
        Assert.Contains("ECDHE", suite.ToString(), StringComparison.Ordinal);
#pragma warning disable SYSLIB0039, CA5397 // what must not work is what is tried
        await Assert.ThrowsAnyAsync<Exception>(() => HandshakeAsync(port, SslProtocols.Tls11));
#pragma warning restore SYSLIB0039, CA5397
        if (OperatingSystem.IsLinux())
        {
            await Assert.ThrowsAnyAsync<Exception>(
                () => HandshakeAsync(port, SslProtocols.Tls12, TlsCipherSuite.TLS_RSA_WITH_AES_256_GCM_SHA384));
            await HandshakeAsync(port, SslProtocols.Tls12, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384);
        }
    }

    [Fact]
    public async Task Connect_ClientCertificateAsked_OnlyOursIsLetIn()
    {
        await using var server = await StartAsync(
            _certificates.Issue("server"), ("PHOENIX_TLS_VERIFY_CLIENT", "true"), ("PHOENIX_TLS_CA_FILE", _certificates.RootFile));
        using var others = new TestCertificates();
        using var ours = _certificates.Issue("agent");
        using var foreign = others.Issue("agent");
        using var expired = _certificates.Issue("agent", expired: true);

        foreach (var url in new[] { server.HttpUrl, server.OtlpHttpUrl, server.GrpcUrl })
        {
            var version = url == server.GrpcUrl ? HttpVersion.Version20 : HttpVersion.Version11;
            using var client = _certificates.Client(url, ours, version);
            Assert.Equal(url == server.GrpcUrl ? HttpStatusCode.UnsupportedMediaType : HttpStatusCode.OK,
                (await client.GetAsync("/healthz")).StatusCode);
            foreach (var wrong in new[] { null, foreign, expired })
            {
                using var stranger = _certificates.Client(url, wrong, version);
                await Assert.ThrowsAsync<HttpRequestException>(() => stranger.GetAsync("/healthz"));
            }
        }
    }

    [Fact]
    public async Task Files_Changed_ServeNewConnectionsWithoutARestart()
    {
        using var first = _certificates.Issue("first");
        using var second = _certificates.Issue("second", elliptic: true);
        await using var server = await StartAsync(first);
        var log = new RecordedLog<TlsCertificates>();
        server.Services.GetRequiredService<ILoggerFactory>().AddProvider(log);
        var port = new Uri(server.HttpUrl).Port;
        Assert.Equal("CN=first", await SubjectAsync(port));

        // Half a change cannot be used: the certificate before it stays.
        _certificates.Write("server.crt", second.ExportCertificatePem());
        await Eventually.TrueAsync(async () =>
        {
            // The files are looked at when a connection comes.
            Assert.Equal("CN=first", await SubjectAsync(port));
            return log.Errors > 0;
        });
        Assert.Equal("CN=first", await SubjectAsync(port));
        _certificates.WriteFiles(second);

        await Eventually.TrueAsync(async () => await SubjectAsync(port) == "CN=second");
        using var client = _certificates.Client(server.OtlpHttpUrl);
        Assert.Equal(HttpStatusCode.OK, (await client.PostAsync(Otlp.Spans(1))).StatusCode);
    }

    [Fact]
    public async Task Start_ExpiredCertificate_StartsAllTheSame()
    {
        await using var server = await StartAsync(_certificates.Issue("server", expired: true));
        using var client = _certificates.Client(server.HttpUrl);

        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("/healthz"));
    }

    [Fact]
    public async Task Start_SeedNamesAndEncryptedKey_AreUnderstood()
    {
        var (cert, key) = _certificates.WriteFiles(_certificates.Issue("server"), password: "p4ss phrase");
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_SSL_ENABLED", "true"), ("PHOENIX_SSL_CERT_PATH", cert), ("PHOENIX_SSL_KEY_PATH", key),
            ("PHOENIX_TLS_KEY_FILE_PASSWORD", "p4ss phrase"));
        using var client = _certificates.Client(server.HttpUrl);

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/healthz")).StatusCode);
    }

    [Fact]
    public void Build_WrongSettings_AreAllToldAtOnceByTheirKeys()
    {
        var faults = Faults(
            ("PHOENIX_TLS_ENABLED", "true"), ("PHOENIX_TLS_CERT_FILE", "/nowhere/server.crt"), ("PHOENIX_TLS_VERIFY_CLIENT", "true"),
            ("PHOENIX_METRICS_PORT", "99999"));

        Assert.Equal(4, faults.Count);
        Assert.Contains(
            faults, fault => fault.Contains("Phoenix:Tls:CertFile (PHOENIX_SSL_CERT_PATH or PHOENIX_TLS_CERT_FILE)", StringComparison.Ordinal)
                && fault.Contains("/nowhere/server.crt", StringComparison.Ordinal));
        Assert.Contains(
            faults, fault => fault.Contains(
                "Phoenix:Tls:KeyFile (PHOENIX_SSL_KEY_PATH or PHOENIX_TLS_KEY_FILE) must name a PEM file", StringComparison.Ordinal));
        Assert.Contains(
            faults, fault => fault.Contains("Phoenix:Tls:CaFile (PHOENIX_TLS_CA_FILE) must name a PEM file", StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.Contains("Phoenix:Server:MetricsPort", StringComparison.Ordinal));
    }

    [Fact]
    public void Build_FilesThatDoNotFit_AreToldWithoutSecrets()
    {
        var (cert, _) = _certificates.WriteFiles(_certificates.Issue("server"));
        var (_, otherKey) = _certificates.WriteFiles(_certificates.Issue("other"), "other");
        var (_, lockedKey) = _certificates.WriteFiles(_certificates.Issue("locked"), "locked", "right");
        var text = _certificates.Write("text.pem", "no certificate");
        (string, string)[] on = [("PHOENIX_TLS_ENABLED", "true"), ("PHOENIX_TLS_CERT_FILE", cert)];

        Assert.Contains("must hold the private key of the certificate",
            Assert.Single(Faults([.. on, ("PHOENIX_TLS_KEY_FILE", otherKey)])), StringComparison.Ordinal);
        Assert.Contains("must hold the private key of the certificate",
            Assert.Single(Faults([.. on, ("PHOENIX_TLS_KEY_FILE", text)])), StringComparison.Ordinal);
        Assert.Contains("Phoenix:Tls:KeyFilePassword (PHOENIX_TLS_KEY_FILE_PASSWORD) must be set",
            Assert.Single(Faults([.. on, ("PHOENIX_TLS_KEY_FILE", lockedKey)])), StringComparison.Ordinal);
        var wrong = Assert.Single(Faults([.. on, ("PHOENIX_TLS_KEY_FILE", lockedKey), ("PHOENIX_TLS_KEY_FILE_PASSWORD", "s3cret")]));
        Assert.Contains("opened by Phoenix:Tls:KeyFilePassword", wrong, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", wrong, StringComparison.Ordinal);
        Assert.Contains("must hold a certificate in PEM",
            Assert.Single(Faults(("PHOENIX_TLS_ENABLED", "true"), ("PHOENIX_TLS_CERT_FILE", text), ("PHOENIX_TLS_KEY_FILE", otherKey))),
            StringComparison.Ordinal);
        Assert.Contains("must not be on without TLS",
            Assert.Single(Faults(("PHOENIX_TLS_VERIFY_CLIENT", "true"))), StringComparison.Ordinal);
    }

    private static List<string> Faults(params (string Key, string Value)[] settings) =>
        [.. Assert.Throws<OptionsValidationException>(() => global::Phoenix.Service.Program.Build(
            ["--ConnectionStrings:phoenixdb=Host=localhost", .. settings.Select(setting => $"--{setting.Key}={setting.Value}")])).Failures];

    private static async Task<string?> ExportByGrpcAsync(HttpClient client)
    {
        var message = Otlp.Spans(3, "tls").ToByteArray();
        byte[] frame = [0, (byte)(message.Length >> 24), (byte)(message.Length >> 16), (byte)(message.Length >> 8),
            (byte)message.Length, .. message];
        using var answer = await client.PostAsync(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export", Otlp.Content(frame, "application/grpc"));
        await answer.Content.ReadAsByteArrayAsync();
        return answer.TrailingHeaders.GetValues("grpc-status").Single();
    }

    private async Task<(SslProtocols Protocol, TlsCipherSuite Suite)> HandshakeAsync(
        int port, SslProtocols protocols, TlsCipherSuite? suite = null)
    {
        await using var stream = await ConnectAsync(port, new SslClientAuthenticationOptions
        {
            EnabledSslProtocols = protocols,
            CipherSuitesPolicy = suite is { } only && OperatingSystem.IsLinux() ? new CipherSuitesPolicy([only]) : null,
        });
        return (stream.SslProtocol, stream.NegotiatedCipherSuite);
    }

    private async Task<string?> SubjectAsync(int port)
    {
        await using var stream = await ConnectAsync(port, new SslClientAuthenticationOptions());
        return stream.RemoteCertificate?.Subject;
    }

    private async Task<SslStream> ConnectAsync(int port, SslClientAuthenticationOptions options)
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        var stream = new SslStream(client.GetStream());
        options.TargetHost = "localhost";
        options.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Issuer == _certificates.Root.Subject;
        await stream.AuthenticateAsClientAsync(options);
        return stream;
    }

    private Task<PhoenixServer> StartAsync(X509Certificate2 certificate, params (string Key, string Value)[] settings)
    {
        var (cert, key) = _certificates.WriteFiles(certificate);
        return PhoenixServer.StartAsync(postgres,
            [("PHOENIX_TLS_ENABLED", "true"), ("PHOENIX_TLS_CERT_FILE", cert), ("PHOENIX_TLS_KEY_FILE", key), .. settings]);
    }
}
