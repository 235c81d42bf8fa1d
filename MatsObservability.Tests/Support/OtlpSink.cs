using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace MatsObservability.Tests.Support;

/// <summary>A request as an <see cref="OtlpSink"/> got it; <paramref name="Headers"/> by name, in any case.</summary>
internal sealed record SinkRequest(string Path, IReadOnlyDictionary<string, string> Headers, byte[] Body);

/// <summary>An OTLP/HTTP endpoint on a free port that keeps what it is sent and answers as a test tells it to.</summary>
internal sealed class OtlpSink : IAsyncDisposable
{
    private readonly ConcurrentQueue<SinkRequest> _requests = new();
    private readonly WebApplication _app;

    private OtlpSink()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.Run(TakeAsync);
    }

    /// <summary>Its base URL.</summary>
    public string Url => _app.Urls.Single();

    /// <summary>What it does once it has a request; by default nothing, which is 200 with an empty body.</summary>
    public Func<HttpContext, Task> Answer { get; set; } = static _ => Task.CompletedTask;

    /// <summary>The requests so far, in order.</summary>
    public SinkRequest[] Requests => [.. _requests];

    /// <summary>Starts one.</summary>
    public static async Task<OtlpSink> StartAsync()
    {
        var sink = new OtlpSink();
        await sink._app.StartAsync();
        return sink;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private async Task TakeAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        var headers = context.Request.Headers.ToDictionary(
            static header => header.Key, static header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        _requests.Enqueue(new SinkRequest(context.Request.Path, headers, body.ToArray()));
        await Answer(context);
    }
}
