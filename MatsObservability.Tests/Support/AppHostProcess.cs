using System.Diagnostics;
using System.Text.RegularExpressions;

namespace MatsObservability.Tests.Support;

/// <summary>The AppHost as a newcomer runs it: a process of its own, on free ports, with its data in a folder of the test.</summary>
internal sealed partial class AppHostProcess : IAsyncDisposable
{
    private static readonly string[] s_ports = ["phoenix-http", "phoenix-otlp-grpc", "phoenix-otlp-http",
        "phoenix-metrics", "orchestrator-http", "collector-otlp-grpc", "collector-otlp-http"];

    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly Task _reading;

    private AppHostProcess(Process process)
    {
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
    }

    public int Id => _process.Id;

    public string Output
    {
        get
        {
            lock (_lines)
            {
                return string.Join('\n', _lines);
            }
        }
    }

    /// <summary>The process ids of everything it said it had started.</summary>
    public IReadOnlyList<int> Children => [.. StartedPattern().Matches(Output).Select(match => int.Parse(match.Groups["id"].Value))];

    /// <param name="dataDirectory">Where its data go.</param>
    /// <param name="environment">Variables on top of the test's own.</param>
    /// <param name="account">Account to run under, when the test itself is root.</param>
    /// <param name="byDotNetRun">Start it by <c>dotnet run</c>; the process is then that command.</param>
    /// <param name="arguments">Arguments after those for the free ports; a later one wins.</param>
    public static AppHostProcess Start(
        string dataDirectory, IReadOnlyDictionary<string, string>? environment = null, string? account = null,
        bool byDotNetRun = false, params string[] arguments)
    {
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var assembly = Path.GetFullPath(
            Path.Combine(AppContext.BaseDirectory, "..", "..", "MatsObservability.AppHost", configuration,
                "MatsObservability.AppHost.dll"));
        string[] program = byDotNetRun ? ["run", "--no-build", "--configuration", configuration, "--project",
            Projects.MatsObservability_AppHost.ProjectPath, "--"] : [assembly];
        var start = new ProcessStartInfo("dotnet",
            [.. program, .. s_ports.Select(port => $"Ports:{port}=0"),
                "Dashboard:Port=0", $"Mats:DataDirectory={dataDirectory}", .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["DOTNET_ENVIRONMENT"] = "Development";
        start.Environment.Remove("ConnectionStrings__phoenixdb");
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        if (account is not null)
        {
            start.UserName = account;
        }

        return new AppHostProcess(Process.Start(start)!);
    }

    /// <summary>Waits for the line that says that everything is up.</summary>
    public Task WaitUntilReadyAsync(TimeSpan limit) => Eventually.GetAsync(
        () =>
        {
            Assert.False(_process.HasExited, $"The AppHost ended:\n{Output}");
            return Task.FromResult(Output);
        },
        output => output.Contains("Ready after", StringComparison.Ordinal), limit);

    /// <summary>Waits for its end and returns the exit code.</summary>
    public async Task<int> WaitForExitAsync(TimeSpan limit)
    {
        using var deadline = new CancellationTokenSource(limit);
        await _process.WaitForExitAsync(deadline.Token);
        await _reading.WaitAsync(deadline.Token);
        return _process.ExitCode;
    }

    public void Signal(int number)
    {
        using var kill = Process.Start("kill", ["-s", $"{number}", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>The address of an endpoint, read from the table.</summary>
    public string UrlOf(string resource) =>
        Regex.Match(Output, $@"│ {resource}\s+│[^│]*│ (?<url>\S+)", RegexOptions.None, TimeSpan.FromSeconds(1)).Groups["url"].Value;

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (_lines)
            {
                _lines.Add(line);
            }
        }
    }

    [GeneratedRegex(@"Started as process (?<id>\d+)\.", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex StartedPattern();
}
