using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Agents;

namespace Orchestrator.Agent;

/// <summary>Why Phoenix.Service could not be asked; the text is fit for a result.</summary>
/// <param name="denied">True when it answered and refused (401, 403): waiting does not help.</param>
internal sealed class PhoenixUnavailableException(string reason, bool denied, Exception? cause = null) : Exception(reason, cause)
{
    public bool Denied { get; } = denied;
}

/// <summary>
/// The calls to Phoenix.Service beside the telemetry export: which projects there are, and whether cited records exist. Waits for a service
/// that is down (<see cref="MatsOptions.PhoenixPatience"/>) before it says so.
/// </summary>
internal sealed partial class PhoenixClient(
    HttpClient http, IOptions<MatsOptions> options, TimeProvider time, ILogger<PhoenixClient> logger)
{
    /// <summary>Most references of one resolve call.</summary>
    public const int MaxRefs = 1000;

    /// <summary>The names of all projects.</summary>
    public async Task<IReadOnlyList<string>> ProjectsAsync(CancellationToken cancellationToken)
    {
        var names = new List<string>();
        for (string? cursor = null; ;)
        {
            var path = "v1/projects?limit=1000" + (cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}");
            var page = await AskAsync(() => new(HttpMethod.Get, path), cancellationToken);
            names.AddRange(page.GetProperty("data").EnumerateArray().Select(project => project.GetProperty("name").GetString()!));
            cursor = page.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
            if (string.IsNullOrEmpty(cursor))
            {
                return names;
            }
        }
    }

    /// <summary>
    /// The stored records behind the references, in their order; null where there is none. At most <see cref="MaxRefs"/>.
    /// </summary>
    public async Task<IReadOnlyList<JsonElement?>> ResolveAsync(
        string project, IReadOnlyList<EvidenceRef> refs, CancellationToken cancellationToken)
    {
        var body = Refs(refs);
        var answer = await AskAsync(
            () => new(HttpMethod.Post, $"v1/projects/{Uri.EscapeDataString(project)}/records/resolve")
            {
                Content = new ReadOnlyMemoryContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
            },
            cancellationToken);
        return [.. answer.GetProperty("data").EnumerateArray()
            .Select(record => record.ValueKind == JsonValueKind.Null ? (JsonElement?)null : record.Clone())];
    }

    /// <summary>Sends spans to the OTLP/HTTP route, once; false when they were not taken.</summary>
    public async Task<bool> TrySendSpansAsync(HttpContent body, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await http.PostAsync(new Uri("v1/traces", UriKind.Relative), body, cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (IsOutage(e, cancellationToken))
        {
            return false;
        }
    }

    /// <summary>Runs a call of Phoenix.Service, again and again with growing pauses while it is unreachable, up to the patience.</summary>
    /// <param name="patience">Null = <see cref="MatsOptions.PhoenixPatience"/>; zero = one attempt.</param>
    /// <exception cref="PhoenixUnavailableException">When the patience is used up, or the service refused.</exception>
    public async Task<T> PatientlyAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken,
        TimeSpan? patience = null)
    {
        var limit = patience ?? options.Value.PhoenixPatience;
        var started = time.GetTimestamp();
        for (var delay = TimeSpan.FromSeconds(1); ; delay = TimeSpan.FromSeconds(Math.Min(4, delay.TotalSeconds * 2)))
        {
            try
            {
                return await call(cancellationToken);
            }
            catch (Exception e) when (IsOutage(e, cancellationToken))
            {
                var waited = time.GetElapsedTime(started);
                if (waited >= limit)
                {
                    throw new PhoenixUnavailableException(
                        $"Phoenix.Service did not answer for {waited.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)} s " +
                        $"({Innermost(e)})", false, e);
                }

                Log.Waiting(logger, delay.TotalSeconds, Innermost(e));
                await Task.Delay(delay < limit - waited ? delay : limit - waited, time, cancellationToken);
            }
            catch (HttpRequestException e) when (e.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
            {
                throw new PhoenixUnavailableException($"Phoenix.Service refused the read with {(int)e.StatusCode}", true, e);
            }
        }
    }

    private Task<JsonElement> AskAsync(Func<HttpRequestMessage> request, CancellationToken cancellationToken) => PatientlyAsync(
        async stop =>
        {
            using var message = request();
            using var response = await http.SendAsync(message, stop);
            if (!response.IsSuccessStatusCode)
            {
                throw new HttpRequestException(
                    $"{message.Method} {message.RequestUri?.AbsolutePath} answered {(int)response.StatusCode}", null, response.StatusCode);
            }

            await using var body = await response.Content.ReadAsStreamAsync(stop);
            using var document = await JsonDocument.ParseAsync(body, cancellationToken: stop);
            return document.RootElement.Clone();
        },
        cancellationToken);

    private static bool IsOutage(Exception e, CancellationToken cancellationToken) => e switch
    {
        HttpRequestException
        {
            StatusCode: null or >= HttpStatusCode.InternalServerError or HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout,
        } => true,
        IOException or TimeoutException => true,
        TaskCanceledException => !cancellationToken.IsCancellationRequested,
        _ => false,
    };

    private static string Innermost(Exception e) => e.GetBaseException().Message;

    private static byte[] Refs(IReadOnlyList<EvidenceRef> refs)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteStartArray("refs");
        foreach (var reference in refs)
        {
            json.WriteStartObject();
            json.WriteString("kind", reference.Kind);
            switch (reference.Kind)
            {
                case "span":
                    json.WriteString("trace_id", reference.TraceId);
                    json.WriteString("span_id", reference.SpanId);
                    break;
                case "log":
                    json.WriteNumber("record_id", reference.RecordId ?? 0);
                    break;
                default:
                    json.WriteString("series_id", reference.SeriesId);
                    json.WriteNumber("time_ns", reference.TimeNs ?? 0);
                    break;
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }
}
