using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Phoenix.Service.Doctor;

/// <summary>
/// One span on the way of every span: out by the published exporter, under the span of a caller in another process, and back by its id.
/// </summary>
internal sealed class DoctorSpan(DoctorTarget target, TimeProvider time)
{
    /// <summary>Where it goes; a project of its own, so that it disturbs no other.</summary>
    public const string Project = "troubleshoot-script-adk";

    private const string Name = "adk-troubleshoot-test";
    private static readonly TimeSpan s_length = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    private readonly string _run = Guid.NewGuid().ToString("N");
    private readonly ActivityContext _caller = new(
        ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded, isRemote: true);
    private ActivityContext _sent;
    private string? _refusal = $"no answer within {s_patience.TotalSeconds:0} s";

    private string Session => $"doctor-{_run}";

    /// <summary>Sets up the exporter and sends the span through it; whether it could be made, and what the service answered.</summary>
    public async Task<Finding> SendAsync(CancellationToken cancellationToken)
    {
        using var source = new ActivitySource($"phoenix-doctor-{_run}");
        using var provider = Sdk.CreateTracerProviderBuilder().AddSource(source.Name)
            .SetSampler(new AlwaysOnSampler())
            .SetResourceBuilder(
                ResourceBuilder.CreateEmpty().AddService("phoenix-doctor").AddAttributes([new("openinference.project.name", Project)]))
            .AddOtlpExporter(exporter =>
            {
                // Simple: the span's end waits for the answer. A batch's flush returns before a slow one.
                exporter.ExportProcessorType = ExportProcessorType.Simple;
                exporter.Protocol = OtlpExportProtocol.HttpProtobuf;
                exporter.Endpoint = new Uri(target.Http, "v1/traces");
                exporter.HttpClientFactory = Recorded;
            })
            .Build();
        using (var span = source.StartActivity(Name, ActivityKind.Internal, _caller))
        {
            if (span is null)
            {
                return Finding.Fail("exporter", "exporter_off", "the OpenTelemetry exporter records nothing: is OTEL_SDK_DISABLED set?");
            }

            span.SetTag("test.run_id", _run).SetTag("status", "ok").SetTag("session.id", Session)
                .SetTag("openinference.span.kind", "CHAIN");
            span.AddEvent(new ActivityEvent("performing_troubleshooting_event"));
            await Task.Delay(s_length, time, cancellationToken);
            _sent = span.Context;
        }

        return _refusal is { } refusal
            ? Finding.Fail("exporter", "export_refused", $"the service did not take the span: {refusal}")
            : Finding.Ok("exporter", $"registered, and sent the span {Name} to {target.Http}v1/traces");
    }

    /// <summary>Asks for the span until it is there, then compares it with what was sent.</summary>
    public async Task<IReadOnlyList<Finding>> ReadBackAsync(HttpClient http, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var answer = "";
        while (time.GetElapsedTime(started) < s_patience)
        {
            var (stored, said) = await FindAsync(http, cancellationToken);
            if (stored is { } span)
            {
                return [Finding.Ok(
                    "read_back", $"span {_sent.SpanId} of trace {_sent.TraceId} came back after {time.GetElapsedTime(started).TotalMilliseconds:0} ms"), .. Compare(span)];
            }

            answer = said;
            await Task.Delay(s_look, time, cancellationToken);
        }

        return
        [
            Finding.Fail(
                "read_back",
                "span_lost", $"the span {_sent.SpanId} was taken, but cannot be read after {s_patience.TotalSeconds:0} s ({answer}): see the log of the service"),
            Finding.Skip("session", "needs the span read back"), Finding.Skip("traceparent", "needs the span read back"),
        ];
    }

    private IEnumerable<Finding> Compare(JsonElement span)
    {
        yield return span.TryGetProperty("session_id", out var session) && session.ValueKind == JsonValueKind.String
            && session.GetString() == Session
            ? Finding.Ok("session", "session.id came back as the session of the span")
            : Finding.Fail(
                "session",
                "session_lost", $"session.id was sent, the stored span has {(session.ValueKind == JsonValueKind.String ? session.GetString() : "none")}");
        yield return span.GetProperty("parent_id").GetString() == _caller.SpanId.ToHexString()
            && span.GetProperty("trace_id").GetString() == _caller.TraceId.ToHexString()
            ? Finding.Ok("traceparent", "the span hangs under its caller's span, in its caller's trace")
            : Finding.Fail("traceparent", "traceparent_lost", "the stored span is not under the span that was given as its caller");
    }

    private async Task<(JsonElement? Span, string Answer)> FindAsync(HttpClient http, CancellationToken cancellationToken)
    {
        using var body = new StringContent(
            $$"""{"refs":[{"kind":"span","trace_id":"{{_sent.TraceId}}","span_id":"{{_sent.SpanId}}"}]}""",
            Encoding.UTF8, "application/json");
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(s_patience);
        try
        {
            using var response = await http.PostAsync(
                new Uri(target.Http, $"v1/projects/{Project}/records/resolve"), body, deadline.Token);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                return (null, $"status {(int)response.StatusCode}");
            }

            var found = JsonElement.Parse(await response.Content.ReadAsStringAsync(deadline.Token)).GetProperty("data")[0];
            return found.ValueKind == JsonValueKind.Object ? (found.GetProperty("span"), "") : (null, "no such span");
        }
        catch (HttpRequestException fault)
        {
            return (null, fault.Message);
        }
        catch (JsonException)
        {
            return (null, "the answer is no JSON");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, "no answer");
        }
    }

    private HttpClient Recorded() => new(new Recorder(target.Client(), refusal => _refusal = refusal)) { Timeout = s_patience };

    /// <summary>Sends by another client and notes why a request failed: the exporter itself only logs it.</summary>
    private sealed class Recorder(HttpClient client, Action<string?> note) : HttpMessageHandler
    {
        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Noted(() => client.Send(Copy(request), cancellationToken));

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(Send(request, cancellationToken));

        protected override void Dispose(bool disposing)
        {
            client.Dispose();
            base.Dispose(disposing);
        }

        private static HttpRequestMessage Copy(HttpRequestMessage request)
        {
            var copy = new HttpRequestMessage(request.Method, request.RequestUri) { Content = request.Content };
            foreach (var (name, values) in request.Headers)
            {
                copy.Headers.TryAddWithoutValidation(name, values);
            }

            return copy;
        }

        private HttpResponseMessage Noted(Func<HttpResponseMessage> send)
        {
            try
            {
                var response = send();
                note(response.IsSuccessStatusCode
                    ? null
                    : $"status {(int)response.StatusCode}{(response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? ": set PHOENIX_API_KEY" : "")}");
                return response;
            }
            catch (HttpRequestException fault)
            {
                note(fault.Message);
                throw;
            }
        }
    }
}
