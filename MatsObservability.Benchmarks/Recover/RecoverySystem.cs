using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Chaos;
using MatsObservability.Benchmarks.Load;
using MatsObservability.Benchmarks.Rca;

namespace MatsObservability.Benchmarks.Recover;

/// <summary>
/// The whole system as processes, with an incident in it, and an orchestrator that can be held, killed, stopped and started again.
/// </summary>
internal sealed class RecoverySystem : IAsyncDisposable
{
    /// <summary>Project of the incident.</summary>
    public const string Project = "recover";

    private const string BaselineProject = "recover-baseline";
    private const string OwnProject = "finoptiagents-MATS";
    private static readonly DateTimeOffset s_start = new(2026, 1, 15, 10, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };

    private RecoverySystem(SystemUnderTest system, ServiceProcess orchestrator) =>
        (System, Orchestrator, Gate) = (system, orchestrator, new EventGate(system));

    public SystemUnderTest System { get; }

    /// <summary>The first replica.</summary>
    public ServiceProcess Orchestrator { get; }

    public EventGate Gate { get; }

    /// <summary>The diagnosis of a run that nothing disturbed.</summary>
    public JsonObject Undisturbed { get; private set; } = [];

    /// <param name="patience">How long the orchestrator waits for Phoenix.Service.</param>
    public static async Task<RecoverySystem> StartAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        var system = await SystemUnderTest.StartAsync(new SystemOptions
        {
            Orchestrator = new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                ["Mats__PhoenixPatience"] = patience.ToString("c"),
            },
        }, cancellationToken);
        try
        {
            var recovery = new RecoverySystem(system, await system.AddOrchestratorAsync(cancellationToken));
            await recovery.Gate.InstallAsync(cancellationToken);
            await recovery.UploadAsync(cancellationToken);
            var job = await recovery.AskAsync($"undisturbed-{Guid.NewGuid():N}", cancellationToken);
            recovery.Undisturbed = (await recovery.EndAsync([recovery.Orchestrator], job, cancellationToken))["result"]!.AsObject();
            return recovery;
        }
        catch
        {
            await system.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts an investigation of the incident; its id.</summary>
    public async Task<string> AskAsync(string session, CancellationToken cancellationToken)
    {
        var body = new JsonObject
        {
            ["user_request"] = "Users report failures or slowness",
            ["project"] = Project,
            ["baseline_project"] = BaselineProject,
            ["session_id"] = session,
            ["start_time"] = s_start.ToString("O"),
            ["end_time"] = s_start.AddSeconds(Scenario.Seconds).ToString("O"),
        };
        using var content = new StringContent(body.ToJsonString(), global::System.Text.Encoding.UTF8, "application/json");
        using var response = await _http.PostAsync(new Uri($"{Orchestrator.Url}/troubleshoot"), content, cancellationToken);
        return JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellationToken))!["job_id"]!.GetValue<string>();
    }

    /// <summary>The job once it has ended, from whichever replica answers.</summary>
    public async Task<JsonObject> EndAsync(IReadOnlyList<ServiceProcess> replicas, string job, CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        for (var look = 0; ; look++)
        {
            if (await TryGetAsync($"{replicas[look % replicas.Count].Url}/jobs/{job}", cancellationToken) is { } state
                && state["status"]!.GetValue<string>() is not ("RUNNING" or "WAITING_FOR_USER"))
            {
                return state;
            }

            if (TimeProvider.System.GetElapsedTime(started) > s_limit)
            {
                throw new TimeoutException($"Job {job} did not end within {s_limit}.");
            }

            await Task.Delay(s_look, cancellationToken);
        }
    }

    /// <summary>The orchestrator's own spans of a trace, as Phoenix.Service holds them now.</summary>
    public async Task<List<JsonObject>> SpansAsync(string trace, CancellationToken cancellationToken)
    {
        using var response = await _http.GetAsync(new Uri($"{System.Phoenix.HttpUrl}/v1/projects/{OwnProject}/export?signals=spans"),
            cancellationToken);
        var lines = (await response.Content.ReadAsStringAsync(cancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return
        [
            .. lines.Select(line => JsonNode.Parse(line)!["span"]).OfType<JsonObject>()
                .Where(span => span["trace_id"]!.GetValue<string>() == trace),
        ];
    }

    /// <summary>Asks until the trace of a job satisfies a condition.</summary>
    /// <exception cref="TimeoutException">It does not in time.</exception>
    public async Task<List<JsonObject>> SpansAsync(string trace, Func<List<JsonObject>, bool> accept, TimeSpan limit,
        CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var spans = await SpansAsync(trace, cancellationToken);
            if (accept(spans))
            {
                return spans;
            }

            if (TimeProvider.System.GetElapsedTime(started) > limit)
            {
                throw new TimeoutException($"After {limit} the trace holds only: {string.Join(", ", spans.Select(span => span["name"]))}.");
            }

            await Task.Delay(s_look, cancellationToken);
        }
    }

    /// <summary>The id of a job's trace.</summary>
    public async Task<string> TraceAsync(string job, CancellationToken cancellationToken) =>
        await System.ScalarAsync<string>($"select trace_id from mats.jobs where id = '{job}'", cancellationToken);

    /// <summary>The spans whose parent is neither among them nor the span of the job's caller.</summary>
    public static List<JsonObject> Orphans(List<JsonObject> spans)
    {
        var ids = spans.Select(span => span["span_id"]!.GetValue<string>()).ToHashSet(StringComparer.Ordinal);
        return [.. spans.Where(span => span["parent_id"]?.GetValue<string>() is { } parent && !ids.Contains(parent) && !IsRun(span))];
    }

    /// <summary>True for the span that holds a run together; its parent, if any, is its caller's.</summary>
    public static bool IsRun(JsonObject span) => span["name"]!.GetValue<string>() == "investigation_run";

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await Gate.DisposeAsync();
        await System.DisposeAsync();
    }

    private async Task UploadAsync(CancellationToken cancellationToken)
    {
        var broken = Scenario.All.First(static scenario => scenario.FaultType == "bad_configuration");
        using var client = new LiveClient(System.Phoenix.HttpUrl, Orchestrator.Url);
        await client.UploadAsync(BaselineProject, CalculatorSystem.Healthy(s_start.AddHours(-1), 2).Requests(), cancellationToken);
        await client.UploadAsync(Project, CalculatorSystem.Generate(broken, s_start, 1).Requests(), cancellationToken);
    }

    private async Task<JsonObject?> TryGetAsync(string url, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _http.GetAsync(new Uri(url), cancellationToken);
            return response.IsSuccessStatusCode
                ? JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellationToken))!.AsObject() : null;
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }
}
