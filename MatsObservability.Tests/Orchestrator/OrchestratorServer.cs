using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orchestrator.Agent;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>The real orchestrator in this process, on a free port.</summary>
internal sealed class OrchestratorServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private OrchestratorServer(WebApplication app)
    {
        _app = app;
        Url = app.Urls.First();
        Client = new HttpClient { BaseAddress = new Uri(Url), Timeout = TimeSpan.FromSeconds(100) };
    }

    public string Url { get; }

    public HttpClient Client { get; }

    public IServiceProvider Services => _app.Services;

    /// <summary>Starts over a database and a Phoenix.Service; settings are configuration keys.</summary>
    public static async Task<OrchestratorServer> StartAsync(
        string connectionString, string phoenixUrl, (string Key, string Value)[]? settings = null,
        Action<IServiceCollection>? services = null)
    {
        var app = OrchestratorApp.Build([], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["ConnectionStrings:phoenixdb"] = connectionString,
                ["Mats:PhoenixUrl"] = phoenixUrl,
                ["Mats:Lease"] = "00:00:30",
                ["Mats:PhoenixPatience"] = "00:00:03",
                ["Telemetry:Export"] = "false",
            });
            builder.Configuration.AddInMemoryCollection(
                (settings ?? []).GroupBy(s => s.Key).Select(s => KeyValuePair.Create(s.Key, (string?)s.Last().Value)));
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.SetMinimumLevel(LogLevel.Warning);
        }, services);
        await app.StartAsync();
        return new(app);
    }

    /// <summary>Posts a request and answers the job's id.</summary>
    public async Task<string> TroubleshootAsync(object body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/troubleshoot") { Content = JsonContent.Create(body) };
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        using var response = await Client.SendAsync(request);
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True((int)response.StatusCode == 202, answer.ToString());
        return answer.GetProperty("job_id").GetString()!;
    }

    /// <summary>The job once its status is one of those given.</summary>
    public Task<JsonElement> WaitForAsync(string jobId, string[] statuses, string? user = null) => Eventually.GetAsync(
        () => JobAsync(jobId, user), job => statuses.Contains(job.GetProperty("status").GetString()));

    /// <summary>The job once it has ended.</summary>
    public Task<JsonElement> EndAsync(string jobId, string? user = null) =>
        WaitForAsync(jobId, ["COMPLETED", "PARTIAL", "FAILED", "CANCELLED"], user);

    public async Task<JsonElement> JobAsync(string jobId, string? user = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/jobs/{jobId}");
        if (user is not null)
        {
            request.Headers.Add("X-User-Email", user);
        }

        using var response = await Client.SendAsync(request);
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
