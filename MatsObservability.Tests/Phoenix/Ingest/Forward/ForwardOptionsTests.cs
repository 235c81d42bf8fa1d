using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Forward;
using Phoenix.Service.Listening;

namespace MatsObservability.Tests.Phoenix.Ingest.Forward;

[Trait("Req", "B042")]
public sealed class ForwardOptionsTests
{
    [Fact]
    public void Options_Defaults_AreOffAndTheDocumentedOnes()
    {
        var options = new ForwardOptions();

        Assert.Empty(ForwardOptions.Check(options));
        Assert.Equal(("", 5d, 30d, 300d, 30d), (
            options.Endpoint, options.FirstRetryDelay.TotalSeconds, options.LongestRetryDelay.TotalSeconds, options.RetryLimit.TotalSeconds,
            options.RequestTimeout.TotalSeconds));
        Assert.InRange(options.MaxQueueBytes, 16L << 20, 256L << 20);
    }

    [Theory]
    [InlineData("Endpoint", "collector:4318", "PHOENIX_FORWARD_ENDPOINT")]
    [InlineData("Endpoint", "ftp://collector", "PHOENIX_FORWARD_ENDPOINT")]
    [InlineData("Endpoint", "http://ada:s3cret@collector:4318", "PHOENIX_FORWARD_ENDPOINT")]
    [InlineData("Endpoint", "http://collector:4318/v1/traces", "PHOENIX_FORWARD_ENDPOINT")]
    [InlineData("Endpoint", "http://collector:4318/?key=s3cret", "PHOENIX_FORWARD_ENDPOINT")]
    [InlineData("Headers", "Bearer s3cret", "PHOENIX_FORWARD_HEADERS")]
    [InlineData("Headers", "content-type=s3cret", "PHOENIX_FORWARD_HEADERS")]
    [InlineData("Headers", "x-key=s3cret%0Ax-other: 1", "PHOENIX_FORWARD_HEADERS")]
    [InlineData("Signals", "traces,spans", "PHOENIX_FORWARD_SIGNALS")]
    [InlineData("MaxQueueBytes", "1K", "PHOENIX_FORWARD_QUEUE_SIZE")]
    [InlineData("Connections", "0", "Phoenix:Forward:Connections")]
    [InlineData("RequestTimeout", "0", "Phoenix:Forward:RequestTimeout")]
    [InlineData("FirstRetryDelay", "40s", "Phoenix:Forward:LongestRetryDelay")]
    [InlineData("RetryLimit", "soon", "Phoenix:Forward:RetryLimit")]
    [InlineData("DrainTimeout", "1h", "Phoenix:Forward:DrainTimeout")]
    public void Build_FaultyValue_IsToldByItsKeyWithoutASecret(string option, string value, string key)
    {
        var fault = Assert.Throws<OptionsValidationException>(() => global::Phoenix.Service.Program.Build(
            [$"--Phoenix:Forward:{option}={value}", "--ConnectionStrings:phoenixdb=Host=localhost"]));

        Assert.Contains(key, Assert.Single(fault.Failures), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://localhost:6006", "127.0.0.1", true)]
    [InlineData("http://127.0.0.1:4318", "127.0.0.1", true)]
    [InlineData("http://127.0.0.1:4317", "localhost", true)]
    [InlineData("http://localhost:4318", "0.0.0.0", true)]
    [InlineData("http://127.0.0.3:4318", "*", true)]
    [InlineData("http://127.0.0.1:4319", "127.0.0.1", false)]
    [InlineData("http://127.0.0.2:4318", "127.0.0.1", false)]
    [InlineData("http://192.0.2.7:4318", "0.0.0.0", false)]
    [InlineData("http://phoenix.example.com:4318", "0.0.0.0", false)]
    public void FaultOfLoop_TheServiceItself_IsNamed(string endpoint, string host, bool isLoop)
    {
        var fault = ForwardOptions.FaultOfLoop(new ForwardOptions { Endpoint = endpoint }, new ListenOptions { Host = host });

        Assert.Equal(
            isLoop,
            fault?.StartsWith("Phoenix:Forward:Endpoint must not be this service itself",
                StringComparison.Ordinal) == true);
    }

    [Fact]
    public void FaultOfLoop_ThisMachineByName_IsNamed() =>
        Assert.NotNull(
            ForwardOptions.FaultOfLoop(new ForwardOptions { Endpoint = $"http://{System.Net.Dns.GetHostName()}:4318" },
                new ListenOptions { Host = "*" }));

    [Theory]
    [InlineData("200M", 80)]
    [InlineData("20M", 20)]
    public void Build_LittleMemory_LeavesTheQueueAQuarterOfIt(string given, int mebibytes)
    {
        var app = global::Phoenix.Service.Program.Build(
            ["--PHOENIX_FORWARD_ENDPOINT=http://192.0.2.7:4318", $"--PHOENIX_FORWARD_QUEUE_SIZE={given}", "--PHOENIX_MEMORY_LIMIT=320M",
                "--ConnectionStrings:phoenixdb=Host=localhost"]);

        Assert.Equal((long)mebibytes << 20, app.Services.GetRequiredService<IOptions<ForwardOptions>>().Value.MaxQueueBytes);
    }

    [Fact]
    public void Build_EndpointIsTheServiceItself_DoesNotStart()
    {
        var fault = Assert.Throws<OptionsValidationException>(() => global::Phoenix.Service.Program.Build(
            ["--PHOENIX_FORWARD_ENDPOINT=http://localhost:7318", "--PHOENIX_OTLP_HTTP_PORT=7318",
                "--ConnectionStrings:phoenixdb=Host=localhost"]));

        Assert.Contains("PHOENIX_FORWARD_ENDPOINT", Assert.Single(fault.Failures), StringComparison.Ordinal);
    }
}
