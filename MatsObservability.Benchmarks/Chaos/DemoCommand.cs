using System.CommandLine;
using System.Net;
using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Rca;
using MatsObservability.ServiceDefaults;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Chaos;

/// <summary>
/// <c>demo</c>: an agent and the services it calls, in which somebody has just broken an environment variable; sent into the running
/// system, which is then asked what is wrong. Needs Phoenix.Service and Orchestrator.Agent to run; their addresses come from the AppHost,
/// else the default ports. Shows each its key or token, where the environment has one.
/// </summary>
internal static class DemoCommand
{
    private const string Project = "demo-calculator";
    private const string HealthyProject = "demo-calculator-healthy";
    private const string KeyVariable = "PHOENIX_API_KEY";
    private const string TokenVariable = "Mats__Tokens__0__Token";
    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(2);

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var phoenix = Address("--phoenix", "Phoenix.Service", "services__phoenix__http__0", "http://127.0.0.1:6006");
        var orchestrator = Address("--orchestrator", "Orchestrator.Agent", "services__orchestrator__http__0", "http://127.0.0.1:8084");
        var command = new Command(
            "demo", "sends an incident of an agent system into the running services and prints the root-cause analysis")
        {
            phoenix, orchestrator,
        };
        command.SetAction((given, cancellationToken) => RunAsync(
            given.GetValue(phoenix)!.TrimEnd('/'), given.GetValue(orchestrator)!.TrimEnd('/'), cancellationToken));
        return command;
    }

    /// <remarks>1 wait for the services; 2 send an hour-old healthy stretch and the incident of the last three minutes; 3 ask; 4
    /// show.</remarks>
    private static async Task<int> RunAsync(string phoenix, string orchestrator, CancellationToken cancellationToken)
    {
        foreach (var (name, url) in new[] { ("Phoenix.Service", phoenix), ("Orchestrator.Agent", orchestrator) }) // 1
        {
            if (!await ReadyAsync($"{url}/readyz", cancellationToken))
            {
                await Console.Error.WriteLineAsync($"demo: {name} is not ready at {url}. Start the system first: dotnet run --project MatsObservability.AppHost");
                return 1;
            }
        }

        var start = TimeProvider.System.GetUtcNow().AddSeconds(-Scenario.Seconds);
        var scenario = Scenario.All.First(static given => given.FaultType == "bad_configuration");
        using var client = new LiveClient(phoenix, orchestrator, Variable(KeyVariable), Variable(TokenVariable));
        try
        {
            await client.UploadAsync(HealthyProject,
                CalculatorSystem.Healthy(start.AddHours(-1), 1, withAgents: true).Requests(), cancellationToken); // 2
            await client.UploadAsync(
                Project, CalculatorSystem.Generate(scenario, start, 2, withAgents: true).Requests(), cancellationToken);
            Console.WriteLine($"Sent the last three minutes of {AgentTraffic.Service}, {CalculatorSystem.Front}, {CalculatorSystem.App} and {CalculatorSystem.Rates} into project {Project}.");

            var answer = await client.AskAsync(Project, start, start.AddSeconds(Scenario.Seconds), HealthyProject, cancellationToken); // 3
            Show(answer, phoenix); // 4
            return answer.Ranked.Count > 0 ? 0 : 1;
        }
        catch (HttpRequestException failed)
        {
            var refused = failed.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden;
            var hint = refused ? $" (set {KeyVariable} to a key for Phoenix.Service, {TokenVariable} to a token of Orchestrator.Agent)" : "";
            await Console.Error.WriteLineAsync($"demo: {failed.Message.ReplaceLineEndings(" ").TrimEnd()}{hint}");
            return refused ? ExitCodes.Settings : 1;
        }
    }

    private static void Show(LiveAnswer answer, string phoenix)
    {
        AnsiConsole.Write(new Rule("Root cause") { Justification = Justify.Left });
        foreach (var cause in answer.Ranked.Take(3))
        {
            Console.WriteLine($"{cause.Service}: {cause.FaultType} ({cause.Kind}), confidence {cause.Confidence:0.00}");
            Console.WriteLine($"  {cause.Detail}");
        }

        Console.WriteLine($"{answer.Resolved} of {answer.Cited} cited records found, {answer.Seconds:0.0} s.");
        AnsiConsole.Write(new Rule("Evidence") { Justification = Justify.Left });
        var traces = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in answer.Result["root_causes"]![0]!["evidence"]!.AsArray())
        {
            Console.WriteLine($"- {item!["claim"]}");
            if (item["trace_id"]?.ToString() is { Length: > 0 } trace)
            {
                traces.Add(trace);
            }
        }

        if (answer.Result["response"]?.ToString() is { Length: > 0 } response)
        {
            AnsiConsole.Write(new Rule("Analysis") { Justification = Justify.Left });
            Console.WriteLine(response);
        }

        AnsiConsole.Write(new Rule("Look at it") { Justification = Justify.Left });
        Console.WriteLine($"investigation  {Link(phoenix, answer.Result["trace_id"])}");
        foreach (var trace in traces.Take(3))
        {
            Console.WriteLine($"incident       {Link(phoenix, trace)}");
        }

        Console.WriteLine($"analysis       {answer.Result["rca_url"]}");
    }

    private static string Link(string phoenix, JsonNode? trace) => $"{phoenix}/redirects/traces/{trace}";

    private static Option<string> Address(string name, string service, string variable, string otherwise) => new(name)
    {
        Description = $"address of {service}", HelpName = "URL", DefaultValueFactory = _ => Variable(variable) ?? otherwise,
    };

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static async Task<bool> ReadyAsync(string url, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_startLimit);
        while (!limit.IsCancellationRequested)
        {
            try
            {
                using var response = await http.GetAsync(new Uri(url), limit.Token);
                if (response.IsSuccessStatusCode)
                {
                    return true;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(250), limit.Token);
            }
            catch (HttpRequestException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(250), CancellationToken.None);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // One attempt took too long; the limit ends the loop.
            }
        }

        return false;
    }
}
