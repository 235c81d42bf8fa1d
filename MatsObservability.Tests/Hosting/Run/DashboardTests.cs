using System.Net;
using System.Text.Json.Nodes;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using MatsObservability.Hosting.Dashboard;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace MatsObservability.Tests.Hosting.Run;

/// <summary>The resource page and its API over a running application.</summary>
public sealed class DashboardTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(30));
    private IDistributedApplicationTestingBuilder _builder = null!;
    private DistributedApplication _app = null!;
    private HttpClient _client = null!;

    public async Task InitializeAsync()
    {
        _builder = DistributedApplicationTestingBuilder.Create(["Dashboard:Port=0"], (options, _) => options.DisableDashboard = false);
        var key = _builder.AddParameter("api-key", "s3cr3t-value", secret: true);
        _builder.AddExecutable("worker", "sh", _folder.Path, "-c", "echo '<b>hello</b>'; exec sleep 1000").WithEnvironment("API_KEY", key)
            .WithEnvironment("PLAIN", "<visible>");
        _builder.AddExecutable("second", "sleep", _folder.Path, "1000").WithHttpEndpoint(name: "http", env: "PORT");
        _builder.AddExecutable("task", "true", _folder.Path);
        _app = await _builder.BuildAsync();
        await _app.StartAsync(_deadline.Token);
        await _app.ResourceNotifications.WaitForResourceHealthyAsync("worker", _deadline.Token);
        await _app.ResourceNotifications.WaitForResourceHealthyAsync("second", _deadline.Token);
        await _app.ResourceNotifications.WaitForResourceAsync("task", KnownResourceStates.Finished, _deadline.Token);
        _client = new HttpClient { BaseAddress = new Uri(_app.Services.GetRequiredService<DashboardServer>().Url!) };
    }

    public async Task DisposeAsync()
    {
        await _app.DisposeAsync();
        await _builder.DisposeAsync();
    }

    public void Dispose()
    {
        _client.Dispose();
        _folder.Dispose();
        _deadline.Dispose();
    }

    [Fact]
    public async Task Page_ShowsResourcesEncodedAndLoadsNothingFromElsewhere()
    {
        var response = await _client.GetAsync("/", _deadline.Token);
        var html = await response.Content.ReadAsStringAsync(_deadline.Token);

        Assert.Contains("worker", html, StringComparison.Ordinal);
        Assert.Contains("Running", html, StringComparison.Ordinal);
        Assert.Contains("3 of 3 healthy", html, StringComparison.Ordinal); // the parameter too, the task that has ended well not
        Assert.DoesNotContain("s3cr3t", html, StringComparison.Ordinal);
        Assert.Contains("default-src 'none'",
            Assert.Single(response.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        foreach (var asset in new[] { "/dashboard.css", "/dashboard.js" })
        {
            Assert.Contains(asset, html, StringComparison.Ordinal);
            Assert.NotEmpty(await _client.GetStringAsync(asset, _deadline.Token));
        }
    }

    [Fact]
    public async Task Resources_TellStateEndpointsAndEnvironmentWithSecretsMasked()
    {
        var resources = JsonNode.Parse(await _client.GetStringAsync("/api/resources", _deadline.Token))!.AsArray();

        var worker = resources.Single(resource => (string?)resource!["name"] == "worker")!;
        Assert.Equal("Running", (string?)worker["state"]);
        Assert.Equal("Healthy", (string?)worker["health"]);
        var variables = worker["environment"]!.AsArray().ToDictionary(variable => (string)variable!["name"]!, variable => variable!);
        Assert.Equal("<visible>", (string?)variables["PLAIN"]["value"]);
        Assert.True((bool)variables["API_KEY"]["isSecret"]!);
        Assert.DoesNotContain("s3cr3t", resources.ToJsonString(), StringComparison.Ordinal);
        var second = resources.Single(resource => (string?)resource!["name"] == "second")!;
        Assert.Equal(_app.GetEndpoint("second", "http"), new Uri((string)second["urls"]![0]!["url"]!));
    }

    [Fact]
    public async Task Details_UnknownResource_Is404AndKnownOneIsEncoded()
    {
        Assert.Equal(HttpStatusCode.NotFound, (await _client.GetAsync("/details/nobody", _deadline.Token)).StatusCode);
        var html = await _client.GetStringAsync("/details/worker", _deadline.Token);
        Assert.Contains("&lt;visible&gt;", html, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cr3t", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logs_StreamTheKeptLinesAsEvents()
    {
        using var stream = await _client.GetStreamAsync("/api/resources/worker/logs", _deadline.Token);
        using var reader = new StreamReader(stream);
        var text = "";
        while (!text.Contains("hello", StringComparison.Ordinal))
        {
            text += await reader.ReadLineAsync(_deadline.Token) + "\n";
        }

        Assert.Contains("event: lines", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_AreSentAgainWhenAStateChanges()
    {
        using var stream = await _client.GetStreamAsync("/rows", _deadline.Token);
        using var reader = new StreamReader(stream);
        await ReadUntilAsync(reader, "worker");

        Assert.Equal(HttpStatusCode.OK, (await CommandAsync("worker", "stop")).StatusCode);

        await ReadUntilAsync(reader, "Finished");
    }

    [Fact]
    public async Task Command_StopAndStart_ChangeTheState()
    {
        Assert.Equal(HttpStatusCode.OK, (await CommandAsync("worker", "stop")).StatusCode);
        await _app.ResourceNotifications.WaitForResourceAsync("worker", KnownResourceStates.Finished, _deadline.Token);
        Assert.Equal(HttpStatusCode.OK, (await CommandAsync("worker", "start")).StatusCode);
        await _app.ResourceNotifications.WaitForResourceHealthyAsync("worker", _deadline.Token);
        Assert.Equal(HttpStatusCode.BadRequest, (await CommandAsync("worker", "start")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await CommandAsync("nobody", "start")).StatusCode);
    }

    [Theory]
    [InlineData("Origin", "http://evil.example")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    public async Task Command_FromAnotherSite_IsRefused(string header, string value)
    {
        var response = await CommandAsync("worker", "stop", (header, value));

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.True(_app.ResourceNotifications.TryGetCurrentState("worker", out var state));
        Assert.Equal(KnownResourceStates.Running, state!.Snapshot.State!.Text);
    }

    [Fact]
    public async Task AnyRequest_ForANameThatOnlyResolvesHere_IsRefused()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/resources");
        request.Headers.Host = "rebound.example";

        Assert.Equal(HttpStatusCode.Forbidden, (await _client.SendAsync(request, _deadline.Token)).StatusCode);
    }

    private async Task<HttpResponseMessage> CommandAsync(string resource, string command, (string Name, string Value)? header = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/resources/{resource}/commands/{command}");
        if (header is { } extra)
        {
            request.Headers.Add(extra.Name, extra.Value);
        }

        return await _client.SendAsync(request, _deadline.Token);
    }

    private async Task ReadUntilAsync(StreamReader reader, string text)
    {
        while (await reader.ReadLineAsync(_deadline.Token) is { } line)
        {
            if (line.Contains(text, StringComparison.Ordinal))
            {
                return;
            }
        }

        Assert.Fail($"The stream ended before '{text}'.");
    }
}
