using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;

namespace Phoenix.Service.Doctor;

/// <summary>The checks that ask the service from outside.</summary>
internal sealed class DoctorChecks(DoctorTarget target, HttpClient http)
{
    private const string VersionHeader = "x-mats-observability-version";
    private const string KeyHint = "set PHOENIX_API_KEY";
    private const string Unauthenticated = "16";
    private const string PermissionDenied = "7";
    private const double QueueNearlyFull = 0.8;
    private static readonly TimeSpan s_uiLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    /// <summary>The UI answers 200 within 2 s, and is this service's.</summary>
    public async Task<Finding> UiAsync(CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var (response, fault) = await AskAsync(new HttpRequestMessage(HttpMethod.Get, target.Http), s_limit, cancellationToken);
        using (response)
        {
            return response is null ? Finding.Fail(
                "ui",
                "nothing_listening", $"{target.Http} does not answer ({fault}): is the service running, and is this its address (PHOENIX_HOST, PHOENIX_PORT)?")
                : !response.Headers.Contains(VersionHeader) ? Finding.Fail(
                    "ui", "not_phoenix", $"another program answers on {target.Http}: is this the right port (PHOENIX_PORT)?")
                : response.StatusCode is HttpStatusCode.Unauthorized
                    or HttpStatusCode.Forbidden
                    ? Finding.Fail("ui", "unauthorized", $"{target.Http} answers {(int)response.StatusCode}: {KeyHint}")
                : response.StatusCode != HttpStatusCode.OK ? Finding.Fail(
                    "ui", "ui_status", $"{target.Http} answers {(int)response.StatusCode}: see the log of the service")
                : clock.Elapsed > s_uiLimit ? Finding.Fail(
                    "ui",
                    "ui_slow", $"{target.Http} took {clock.Elapsed.TotalSeconds:0.0} s, the limit is {s_uiLimit.TotalSeconds:0} s: is the machine or the database overloaded?")
                : Finding.Ok("ui", $"{target.Http} answers 200 after {clock.ElapsedMilliseconds} ms");
        }
    }

    /// <summary>Every door takes what it is for: an empty export by HTTP on both ports and by gRPC, a scrape of the metrics.</summary>
    public async Task<IReadOnlyList<Finding>> PortsAsync(CancellationToken cancellationToken)
    {
        var findings = new List<Finding>();
        foreach (var (door, name) in new[] { (target.Http, "PHOENIX_PORT"), (target.Otlp, "PHOENIX_OTLP_HTTP_PORT") })
        {
            using var empty = new HttpRequestMessage(HttpMethod.Post, new Uri(door, "v1/traces"))
            {
                Content = new StringContent("""{"resourceSpans":[]}""", Encoding.UTF8, "application/json"),
            };
            findings.Add(await DoorAsync(empty, "OTLP/HTTP", name, _ => null, cancellationToken));
        }

        using var call = new HttpRequestMessage(
            HttpMethod.Post, new Uri(target.Grpc, "opentelemetry.proto.collector.trace.v1.TraceService/Export"))
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent(
                new byte[5]),
        };
        call.Content.Headers.ContentType = new("application/grpc");
        call.Headers.TE.Add(new("trailers"));
        findings.Add(await DoorAsync(call, "OTLP/gRPC", "PHOENIX_GRPC_PORT", GrpcFault, cancellationToken));
        using var scrape = new HttpRequestMessage(HttpMethod.Get, new Uri(target.Metrics, "metrics"));
        findings.Add(await DoorAsync(scrape, "metrics", "PHOENIX_METRICS_PORT", _ => null, cancellationToken));
        return findings;
    }

    /// <summary>The service is ready, its database takes writes, and its queue has room.</summary>
    public async Task<Finding> PipelineAsync(CancellationToken cancellationToken)
    {
        var (ready, fault) = await TextAsync(new Uri(target.Http, "readyz"), cancellationToken);
        if (fault is not null)
        {
            return Finding.Fail("pipeline", "not_ready", $"the service is not ready: {(ready.Length > 0 ? ready : fault)}");
        }

        if (ready.Contains("degraded", StringComparison.Ordinal))
        {
            return Finding.Fail("pipeline", "degraded", $"the database takes no writes: {ready}");
        }

        var (metrics, away) = await TextAsync(new Uri(target.Metrics, "metrics"), cancellationToken);
        return away is not null || Metric(metrics, "phoenix_span_queue_capacity") is not { } capacity
            || Metric(metrics, "phoenix_span_queue_size") is not { } size
            ? Finding.Ok("pipeline", "ready, and the database takes writes")
            : size > capacity * QueueNearlyFull
                ? Finding.Warn("pipeline",
                    "queue_nearly_full", $"{size:0} of {capacity:0} places of the queue are taken: PostgreSQL stores less than comes in")
                : Finding.Ok("pipeline", $"ready, the database takes writes, {size:0} of {capacity:0} places of the queue are taken");
    }

    private static string? GrpcFault(HttpResponseMessage response)
    {
        var status = Value(response.TrailingHeaders) ?? Value(response.Headers);
        return status is "0"
            ? null
            : $"grpc-status {status ?? "missing"}{(status is Unauthenticated or PermissionDenied ? $": {KeyHint}" : "")}";

        static string? Value(System.Net.Http.Headers.HttpResponseHeaders headers) =>
            headers.TryGetValues("grpc-status", out var values) ? values.First() : null;
    }

    private async Task<Finding> DoorAsync(
        HttpRequestMessage request, string what, string variable, Func<HttpResponseMessage, string?> examine,
        CancellationToken cancellationToken)
    {
        var door = request.RequestUri!.GetLeftPart(UriPartial.Authority);
        var (response, fault) = await AskAsync(request, s_limit, cancellationToken);
        using (response)
        {
            return response is null ? Finding.Fail(
                "ports", "port_closed", $"{what} on {door} does not answer ({fault}): check {variable} and what holds the port")
                : response.StatusCode is HttpStatusCode.Unauthorized
                    or HttpStatusCode.Forbidden
                    ? Finding.Fail("ports", "unauthorized", $"{what} on {door} answers {(int)response.StatusCode}: {KeyHint}")
                : response.StatusCode != HttpStatusCode.OK ? Finding.Fail("ports",
                    "port_wrong", $"{what} on {door} answers {(int)response.StatusCode}, not 200: is another program there? ({variable})")
                : examine(response) is { } wrong ? Finding.Fail("ports",
                    wrong.EndsWith(KeyHint, StringComparison.Ordinal) ? "unauthorized" : "port_wrong", $"{what} on {door} answers {wrong}")
                : Finding.Ok("ports", $"{what} on {door} takes what it is for");
        }
    }

    private async Task<(string Text, string? Fault)> TextAsync(Uri address, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        var (response, fault) = await AskAsync(request, s_limit, cancellationToken);
        using (response)
        {
            return response is null
                ? ("", fault)
                : (await response.Content.ReadAsStringAsync(cancellationToken),
                    response.IsSuccessStatusCode ? null : $"status {(int)response.StatusCode}");
        }
    }

    /// <summary>The whole answer, trailers included; null and the reason when there is none.</summary>
    private async Task<(HttpResponseMessage? Response, string? Fault)> AskAsync(
        HttpRequestMessage request, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(limit);
        try
        {
            return (await http.SendAsync(request, deadline.Token), null);
        }
        catch (HttpRequestException fault)
        {
            return (null, fault.GetBaseException().Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, string.Create(CultureInfo.InvariantCulture, $"no answer within {limit.TotalSeconds:0} s"));
        }
    }

    private static double? Metric(string text, string name) => text.Split('\n')
        .Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is ' ' or '{')
        .Select(static line => double.Parse(line.AsSpan(line.LastIndexOf(' ') + 1), CultureInfo.InvariantCulture)).Cast<double?>()
        .FirstOrDefault();
}
