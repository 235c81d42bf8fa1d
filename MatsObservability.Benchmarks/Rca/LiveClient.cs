using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>What the orchestrator answered: its causes, and how many of the records it cites exist.</summary>
/// <param name="Result">The job's result object as it came.</param>
internal sealed record LiveAnswer(IReadOnlyList<RankedCause> Ranked, string Verdict, double Seconds, int Cited,
    int Resolved, JsonObject Result);

/// <summary>The running system as a user sees it: OTLP in, a troubleshooting request, the result, and the records it cites.</summary>
internal sealed class LiveClient(
    string phoenixUrl, string orchestratorUrl, string? phoenixKey = null, string? orchestratorToken = null) : IDisposable
{
    private const int ResolveBatch = 500;
    private static readonly TimeSpan s_pollEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(5);

    private readonly HttpClient _phoenix = Client(phoenixKey);
    private readonly HttpClient _orchestrator = Client(orchestratorToken);

    /// <summary>Sends export requests into a project; a refusal for load is waited out as the server asks.</summary>
    public async Task UploadAsync(string project, IEnumerable<(string Signal, string Line)> requests, CancellationToken cancellationToken)
    {
        foreach (var (signal, line) in requests)
        {
            while (true)
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, $"{phoenixUrl}/v1/{signal}")
                {
                    Content = new StringContent(line, Encoding.UTF8, "application/json"),
                };
                request.Headers.Add("x-project-name", project);
                using var response = await _phoenix.SendAsync(request, cancellationToken);
                if (response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable)
                {
                    await Task.Delay(RetryAfter(response.Headers.RetryAfter), cancellationToken);
                    continue;
                }

                if (!response.IsSuccessStatusCode)
                {
                    throw Failure(
                        $"{phoenixUrl}/v1/{signal} for {project}", response, await response.Content.ReadAsStringAsync(cancellationToken));
                }

                break;
            }
        }
    }

    /// <summary>Asks for a diagnosis, waits for the job, and resolves every record that the causes cite.</summary>
    public async Task<LiveAnswer> AskAsync(string project, DateTimeOffset start, DateTimeOffset end, string? baselineProject,
        CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var body = new JsonObject
        {
            ["user_request"] = "Users report failures or slowness",
            ["project"] = project,
            ["start_time"] = Iso(start),
            ["end_time"] = Iso(end),
        };
        if (baselineProject is not null)
        {
            body["baseline_project"] = baselineProject;
        }

        var accepted = await PostAsync(_orchestrator, $"{orchestratorUrl}/troubleshoot", body, cancellationToken);
        var job = accepted["job_id"]!.GetValue<string>();
        var result = await ResultAsync(job, clock, cancellationToken);
        var seconds = clock.Elapsed.TotalSeconds;
        var causes = result["root_causes"] as JsonArray ?? [];
        var evidence = causes.SelectMany(static cause => cause!["evidence"]!.AsArray()).Select(static item => item!.AsObject()).ToList();
        var records = await ResolveAsync([project, .. baselineProject is null ? [] : new[] { baselineProject }], evidence,
            cancellationToken);
        var ranked = causes.Select(cause => new RankedCause(
            Text(cause!, "service"), Text(cause!, "fault_type"), Text(cause!["location"]!, "kind"), Text(cause["location"]!, "detail"),
            cause["confidence"]!.GetValue<double>(),
            [Text(cause["location"]!, "detail"),
                .. cause["evidence"]!.AsArray()
                    .SelectMany(item => new[] { Text(item!, "claim"), records[evidence.IndexOf(item!.AsObject())] ?? "" })])).ToList();
        return new(ranked, Text(result, "verdict"), seconds, evidence.Count, records.Count(static record => record is not null), result);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _phoenix.Dispose();
        _orchestrator.Dispose();
    }

    private static HttpClient Client(string? token)
    {
        var http = new HttpClient { Timeout = TimeSpan.FromSeconds(120) };
        if (token is not null)
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        return http;
    }

    private async Task<JsonObject> ResultAsync(string job, Stopwatch clock, CancellationToken cancellationToken)
    {
        while (clock.Elapsed < s_longest)
        {
            var state = (await GetAsync(_orchestrator, $"{orchestratorUrl}/jobs/{job}", cancellationToken)).AsObject();
            if (state["result"] is JsonObject result && Text(state, "status") is not "RUNNING" and not "running")
            {
                return Text(result, "status") == "FAILURE"
                    ? throw new InvalidOperationException($"Job {job} failed: {Text(result, "error")}")
                    : result;
            }

            await Task.Delay(s_pollEvery, cancellationToken);
        }

        throw new TimeoutException($"Job {job} did not end within {s_longest}.");
    }

    /// <summary>The text of each cited record from the first project that has it; null where none has.</summary>
    private async Task<List<string?>> ResolveAsync(
        IReadOnlyList<string> projects, List<JsonObject> evidence, CancellationToken cancellationToken)
    {
        var records = Enumerable.Repeat<string?>(null, evidence.Count).ToList();
        foreach (var project in projects)
        {
            foreach (var batch in Enumerable.Range(0, evidence.Count).Where(i => records[i] is null).Chunk(ResolveBatch))
            {
                var refs = new JsonArray([.. batch.Select(i => Reference(evidence[i]))]);
                var found =
                    (await PostAsync(_phoenix, $"{phoenixUrl}/v1/projects/{Uri.EscapeDataString(project)}/records/resolve",
                        new JsonObject { ["refs"] = refs }, cancellationToken))["data"]!.AsArray();
                for (var i = 0; i < batch.Length; i++)
                {
                    records[batch[i]] = found[i]?.ToJsonString();
                }
            }
        }

        return records;
    }

    private static JsonObject Reference(JsonObject cited) => Text(cited, "kind") switch
    {
        "span" => new() { ["kind"] = "span", ["trace_id"] = Text(cited, "trace_id"), ["span_id"] = Text(cited, "span_id") },
        "log" => new() { ["kind"] = "log", ["record_id"] = cited["record_id"]!.GetValue<long>() },
        _ => new() { ["kind"] = "metric", ["series_id"] = Text(cited, "series_id"), ["time_ns"] = cited["time_ns"]!.GetValue<long>() },
    };

    private static async Task<JsonNode> GetAsync(HttpClient http, string url, CancellationToken cancellationToken)
    {
        using var response = await http.GetAsync(new Uri(url), cancellationToken);
        return await ReadAsync(url, response, cancellationToken);
    }

    private static async Task<JsonNode> PostAsync(HttpClient http, string url, JsonObject body, CancellationToken cancellationToken)
    {
        using var content = new StringContent(body.ToJsonString(), new MediaTypeHeaderValue("application/json"));
        using var response = await http.PostAsync(new Uri(url), content, cancellationToken);
        return await ReadAsync(url, response, cancellationToken);
    }

    private static async Task<JsonNode> ReadAsync(string url, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var text = await response.Content.ReadAsStringAsync(cancellationToken);
        return response.IsSuccessStatusCode
            ? JsonNode.Parse(text)!
            : throw Failure(url, response, text);
    }

    private static HttpRequestException Failure(string url, HttpResponseMessage response, string text) =>
        new($"{url}: {(int)response.StatusCode} {text}", inner: null, response.StatusCode);

    private static TimeSpan RetryAfter(RetryConditionHeaderValue? header) =>
        header?.Delta is { } delta && delta > TimeSpan.Zero ? delta : TimeSpan.FromMilliseconds(100);

    private static string Iso(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", System.Globalization.CultureInfo.InvariantCulture);

    private static string Text(JsonNode owner, string name) =>
        owner[name] is JsonValue value && value.GetValueKind() == JsonValueKind.String
            ? value.GetValue<string>()
            : owner[name]?.ToJsonString() ?? "";
}
