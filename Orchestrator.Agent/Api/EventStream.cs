using System.Globalization;
using System.Text;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Api;

/// <summary>
/// Server-sent events over the event log: replay from <c>Last-Event-ID</c> or <c>after</c>, then live, with heartbeats. The log is the
/// buffer: a reader that is too slow is disconnected and goes on later from where it was; no writer waits for it.
/// </summary>
internal sealed class EventStream(
    EventLog events, EventSignal signal, IOptions<MatsOptions> options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    private const int Batch = 100;

    /// <summary>
    /// Streams until the client leaves, the stream's lifetime is over, this process stops, or <paramref name="isLast"/> says that an event
    /// ends it.
    /// </summary>
    /// <param name="first">Events up to this number are not replayed, whatever the client asks for.</param>
    public async Task WriteAsync(
        HttpContext context, long channelId, Guid? jobId, long first, Func<StoredEvent, string> format, Func<StoredEvent, bool> isLast)
    {
        var response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        response.Headers.Connection = "keep-alive";
        response.Headers["X-Accel-Buffering"] = "no";
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            await FollowAsync(context, channelId, jobId, Math.Max(first, After(context)), format, isLast, stop.Token);
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested
            && !context.RequestAborted.IsCancellationRequested)
        {
            // The client connects again, to another replica or after the restart, and goes on from where it was.
        }
    }

    private async Task FollowAsync(
        HttpContext context, long channelId, Guid? jobId, long after, Func<StoredEvent, string> format, Func<StoredEvent, bool> isLast,
        CancellationToken stop)
    {
        var started = time.GetTimestamp();
        await SendAsync(context, ": connected\n\n");
        while (time.GetElapsedTime(started) < options.Value.StreamLifetime)
        {
            using var next = signal.Begin(channelId);
            var batch = await events.ReadAsync(channelId, jobId, after, Batch, stop);
            if (batch.Count > 0)
            {
                var text = new StringBuilder();
                foreach (var stored in batch)
                {
                    text.Append(CultureInfo.InvariantCulture, $"id: {stored.Event.Seq}\ndata: {format(stored)}\n\n");
                    after = stored.Event.Seq;
                }

                await SendAsync(context, text.ToString());
                if (batch.Any(isLast))
                {
                    return;
                }
            }
            else if (!await next.WaitAsync(options.Value.StreamHeartbeat, stop))
            {
                await SendAsync(context, ": heartbeat\n\n");
            }
        }
    }

    /// <summary>The number after which to start: Last-Event-ID, else the query's <c>after</c>, else the beginning.</summary>
    public static long After(HttpContext context) =>
        long.TryParse(
            (string?)context.Request.Headers["Last-Event-ID"] ?? (string?)context.Request.Query["after"], CultureInfo.InvariantCulture,
            out var after)
            ? after
            : 0;

    private async Task SendAsync(HttpContext context, string text)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(options.Value.SlowReader);
        try
        {
            await context.Response.WriteAsync(text, limit.Token);
            await context.Response.Body.FlushAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            context.Abort();
            throw;
        }
    }
}
