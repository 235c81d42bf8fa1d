using System.Net;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Resource.V1;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Phoenix.Query;

/// <summary>One running service for a test class; every test uses projects of its own names.</summary>
public sealed class QueryServer : IAsyncLifetime
{
    private readonly PostgresFixture _postgres = new();

    public PhoenixServer Server { get; private set; } = null!;

    public HttpClient Client => Server.Client;

    public async Task InitializeAsync() => Server = await PhoenixServer.StartAsync(_postgres);

    public async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    /// <summary>Stores spans of the service "shop" in a project; asserts that none was rejected.</summary>
    internal Task SendAsync(string project, params Span[] spans) => SendAsync(Client, project, spans);

    /// <summary>As <see cref="SendAsync(string, Span[])"/>, through another server's client.</summary>
    internal static async Task SendAsync(HttpClient client, string project, params Span[] spans)
    {
        var request = new ExportTraceServiceRequest
        {
            ResourceSpans =
            {
                new ResourceSpans
                {
                    Resource = ResourceOf(project),
                    ScopeSpans = { new ScopeSpans { Scope = new InstrumentationScope { Name = "tests" }, Spans = { spans } } },
                },
            },
        };
        using var response = await client.PostAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Null(ExportTraceServiceResponse.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync()).PartialSuccess);
    }

    /// <summary>The resource of a project's service "shop".</summary>
    internal static Resource ResourceOf(string project) =>
        new() { Attributes = { Otlp.Text("service.name", "shop"), Otlp.Text("openinference.project.name", project) } };

    /// <summary>Waits until every stored span is counted in the roll-ups.</summary>
    public Task RolledUpAsync() => RolledUpAsync(Server);

    /// <summary>As <see cref="RolledUpAsync()"/>, for any server.</summary>
    public static Task RolledUpAsync(PhoenixServer server) => Eventually.TrueAsync(() => server.ScalarAsync<bool>(
        "SELECT NOT EXISTS (SELECT FROM pending_trace_deltas) AND NOT EXISTS (SELECT FROM minute_deltas_0) AND NOT EXISTS (SELECT FROM minute_deltas_1) AND NOT EXISTS (SELECT FROM nested_suspects)"));

    /// <summary>GET, expecting 200 and JSON.</summary>
    public async Task<JsonElement> GetAsync(string path)
    {
        using var response = await Client.GetAsync(path);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{path}: {(int)response.StatusCode} {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return JsonSerializer.Deserialize<JsonElement>(text);
    }

    /// <summary>GET, expecting another status; the body.</summary>
    public async Task<string> GetAsync(string path, HttpStatusCode status, string contentType)
    {
        using var response = await Client.GetAsync(path);
        Assert.Equal(status, response.StatusCode);
        Assert.Equal(contentType, response.Content.Headers.ContentType?.MediaType);
        return await response.Content.ReadAsStringAsync();
    }

    /// <summary>Every item of a paged list, following its cursors.</summary>
    public async Task<List<JsonElement>> WalkAsync(string path, Func<Task>? betweenPages = null)
    {
        var items = new List<JsonElement>();
        string? cursor = null;
        do
        {
            var page = await GetAsync(path + (cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}"));
            items.AddRange(page.GetProperty("data").EnumerateArray());
            cursor = page.GetProperty("next_cursor").GetString();
            if (betweenPages is not null && cursor is not null)
            {
                await betweenPages();
            }
        }
        while (cursor is not null);

        return items;
    }

    /// <summary>POST of JSON text; the status and the body.</summary>
    public Task<(HttpStatusCode Status, string Body)> PostAsync(string path, string json) =>
        PostAsync(path, new StringContent(json, Encoding.UTF8, "application/json"));

    /// <summary>POST of any content; the status and the body.</summary>
    public async Task<(HttpStatusCode Status, string Body)> PostAsync(string path, HttpContent content)
    {
        using var response = await Client.PostAsync(path, content);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }
}

/// <summary>Spans of tests: ids from small numbers, times in milliseconds after a fixed start.</summary>
internal static class TestSpan
{
    /// <summary>Start of all test spans, Unix ns: 2025-10-09T08:53:20Z.</summary>
    public const ulong Epoch = 1_760_000_000_000_000_000;

    public static Span Of(
        int trace, int id, int parent = 0, int startMs = 0, int durationMs = 10, string name = "work", string? kind = null, int status = 0,
        string? session = null, params (string Key, object Value)[] attributes)
    {
        var span = new Span
        {
            TraceId = ByteString.CopyFrom(TraceId(trace).ToByteArray(bigEndian: true)),
            SpanId = Id(id),
            ParentSpanId = parent == 0 ? ByteString.Empty : Id(parent),
            Name = name,
            StartTimeUnixNano = Epoch + ((ulong)startMs * 1_000_000),
            EndTimeUnixNano = Epoch + ((ulong)(startMs + durationMs) * 1_000_000),
            Status = new Status { Code = (Status.Types.StatusCode)status },
        };
        if (kind is not null)
        {
            span.Attributes.Add(Otlp.Text("openinference.span.kind", kind));
        }

        if (session is not null)
        {
            span.Attributes.Add(Otlp.Text("session.id", session));
        }

        foreach (var (key, value) in attributes)
        {
            span.Attributes.Add(new KeyValue { Key = key, Value = Any(value) });
        }

        return span;
    }

    public static Guid TraceId(int trace) => new(trace, 0, 0, [0, 0, 0, 0, 0, 0, 0, 1]);

    public static string Hex(int trace) => TraceId(trace).ToString("N");

    public static string SpanHex(int id) => $"{id:x16}";

    public static AnyValue Any(object value) => value switch
    {
        string text => new AnyValue { StringValue = text },
        bool flag => new AnyValue { BoolValue = flag },
        long number => new AnyValue { IntValue = number },
        double number => new AnyValue { DoubleValue = number },
        byte[] bytes => new AnyValue { BytesValue = ByteString.CopyFrom(bytes) },
        object[] items => new AnyValue { ArrayValue = new ArrayValue { Values = { items.Select(Any) } } },
        Dictionary<string, object> pairs => new AnyValue
        {
            KvlistValue = new KeyValueList { Values = { pairs.Select(pair => new KeyValue { Key = pair.Key, Value = Any(pair.Value) }) } },
        },
        _ => throw new ArgumentException($"No AnyValue for {value.GetType()}", nameof(value)),
    };

    private static ByteString Id(int id) => ByteString.CopyFrom(0, 0, 0, 0, (byte)(id >> 24), (byte)(id >> 16), (byte)(id >> 8), (byte)id);
}
