using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Telemetry;

/// <summary>A span whose children may be stored before it is: what another process needs to close it.</summary>
/// <param name="Kind">Its OpenInference kind.</param>
internal sealed record OpenSpan(string SpanId, string? ParentId, string Name, string Kind, DateTimeOffset StartedAt);

/// <summary>
/// Closes the spans that a killed process left open, so that the children it had sent keep their parents. They go to Phoenix.Service's
/// OTLP/HTTP route, which ignores a span it has already: one that had been sent after all stays as it was sent.
/// </summary>
internal sealed class AbandonedSpans(PhoenixClient phoenix, IOptions<MatsOptions> options, IConfiguration configuration)
{
    private const int ErrorStatus = 2;

    /// <summary>Takes over what the run before this one had on record and did not end.</summary>
    public static void Collect(InvestigationState state)
    {
        state.AbandonedSpans.AddRange(state.OpenSpans);
        state.OpenSpans.Clear();
    }

    /// <summary>Sends the closed spans. Those that cannot be sent now stay in the state for the next call.</summary>
    public async Task CloseAsync(InvestigationRun run, CancellationToken cancellationToken)
    {
        var spans = run.State.AbandonedSpans;
        if (spans.Count == 0)
        {
            return;
        }

        if (!LiveTraceExport.IsOn(configuration) || await phoenix.TrySendSpansAsync(Body(run, spans), cancellationToken))
        {
            spans.Clear();
        }
    }

    private ByteArrayContent Body(InvestigationRun run, List<OpenSpan> spans)
    {
        var body = new JsonObject
        {
            ["resourceSpans"] = new JsonArray(new JsonObject
            {
                ["resource"] = new JsonObject
                {
                    ["attributes"] = Attributes(("service.name", MatsTracing.SourceName),
                        ("openinference.project.name", options.Value.OwnProject)),
                },
                ["scopeSpans"] = new JsonArray(new JsonObject
                {
                    ["scope"] = new JsonObject { ["name"] = MatsTracing.SourceName },
                    ["spans"] = new JsonArray([.. spans.Select(span => Closed(run, span))]),
                }),
            }),
        };
        return new(Encoding.UTF8.GetBytes(body.ToJsonString()))
        {
            Headers = { ContentType = new MediaTypeHeaderValue("application/json") },
        };
    }

    private static JsonObject Closed(InvestigationRun run, OpenSpan span)
    {
        var closed = new JsonObject
        {
            ["traceId"] = run.Job.TraceId,
            ["spanId"] = span.SpanId,
            ["name"] = span.Name,
            ["kind"] = 1,
            ["startTimeUnixNano"] = Nanos(span.StartedAt),
            ["endTimeUnixNano"] = Nanos(run.Now > span.StartedAt ? run.Now : span.StartedAt),
            ["status"] = new JsonObject
            {
                ["code"] = ErrorStatus,
                ["message"] = "The process that ran this was killed; the job went on in another.",
            },
            ["attributes"] = Attributes(
                ("openinference.span.kind", span.Kind), ("session.id", run.Job.SessionId), ("incident.id", run.Job.Id.ToString())),
        };
        if (span.ParentId is { } parent)
        {
            closed["parentSpanId"] = parent;
        }

        return closed;
    }

    private static JsonArray Attributes(params ReadOnlySpan<(string Key, string Value)> attributes)
    {
        var array = new JsonArray();
        foreach (var (key, value) in attributes)
        {
            array.Add(new JsonObject { ["key"] = key, ["value"] = new JsonObject { ["stringValue"] = value } });
        }

        return array;
    }

    private static string Nanos(DateTimeOffset time) => TimeWindow.Nanos(time).ToString(CultureInfo.InvariantCulture);
}
