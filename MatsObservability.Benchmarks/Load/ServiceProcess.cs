using System.Diagnostics;
using System.Globalization;
using System.Text;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Benchmarks.Load;

/// <summary>One of the product's services as a child process on a free port; can be killed and started again on the same port.</summary>
internal class ServiceProcess(string project, IReadOnlyDictionary<string, string?> environment, string readyPath) : IAsyncDisposable
{
    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(10);
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(2) };

    private readonly StringBuilder _output = new();
    private ChildProcess? _process;

    /// <summary>Its HTTP address.</summary>
    public string Url { get; } = $"http://127.0.0.1:{FreePort.Next()}";

    /// <summary>What it has written to its console since its start.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Processor time used since its start.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            using var process = Process.GetProcessById(_process!.Id);
            return process.TotalProcessorTime;
        }
    }

    /// <summary>Highest resident set since its start, in bytes.</summary>
    public long PeakResidentBytes => Memory("VmHWM:", static process => process.PeakWorkingSet64);

    /// <summary>Resident set now, in bytes.</summary>
    public long ResidentBytes => Memory("VmRSS:", static process => process.WorkingSet64);

    /// <summary>The last lines written, for an error.</summary>
    private string Tail => string.Join(' ', Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(5));

    /// <summary>Starts it and waits until it says that it is ready.</summary>
    /// <exception cref="InvalidOperationException">It ended, or is not ready in time; the message holds its last lines.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var variables = new Dictionary<string, string?>(environment, StringComparer.Ordinal)
        {
            ["ASPNETCORE_URLS"] = Url,
            ["Logging__LogLevel__Default"] = "Warning",
        };
        AddVariables(variables);
        _process = ChildProcess.Start(new ChildProcessSpec(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [AssemblyPath()])
        {
            Environment = variables,
            Output = (line, _) =>
            {
                lock (_output)
                {
                    _output.AppendLine(line);
                }
            },
        });
        var clock = Stopwatch.StartNew();
        while (!await IsReadyAsync(cancellationToken))
        {
            if (_process.Exited.IsCompleted || clock.Elapsed > s_startLimit)
            {
                throw new InvalidOperationException($"{project} {(_process.Exited.IsCompleted ? "ended" : "is not ready in time")}: {Tail}");
            }

            await Task.Delay(50, cancellationToken);
        }
    }

    /// <summary>Ends it as <c>kill -9</c> does.</summary>
    public async Task KillAsync()
    {
        _process!.Kill();
        await _process.Exited;
        await _process.DisposeAsync();
        _process = null;
    }

    /// <summary>
    /// Asks it to end as a supervisor does (SIGTERM), and waits for its end; after <paramref name="grace"/> (10 s) it is killed.
    /// </summary>
    /// <returns>Its exit code, 0 only when it ended by itself; null when it was not running.</returns>
    public async Task<int?> StopAsync(TimeSpan? grace = null)
    {
        if (_process is null)
        {
            return null;
        }

        var exitCode = await _process.StopAsync(grace ?? s_grace);
        await _process.DisposeAsync();
        _process = null;
        return exitCode;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await StopAsync();
    }

    /// <summary>Adds what the service needs besides the options of the benchmark.</summary>
    protected virtual void AddVariables(Dictionary<string, string?> variables)
    {
    }

    /// <summary>The service's own build output when there is one (it has the web assets), else the copy beside this program.</summary>
    private string AssemblyPath()
    {
        var here = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var sibling = Path.Combine(here.Parent!.Parent!.FullName, project, here.Name, $"{project}.dll");
        return File.Exists(sibling) ? sibling : Path.Combine(here.FullName, $"{project}.dll");
    }

    private long Memory(string linuxName, Func<Process, long> elsewhere)
    {
        if (!OperatingSystem.IsLinux())
        {
            using var process = Process.GetProcessById(_process!.Id);
            return elsewhere(process);
        }

        var line = File.ReadLines($"/proc/{_process!.Id}/status").First(text => text.StartsWith(linuxName, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(linuxName.Length).TrimEnd("kB ").Trim(), CultureInfo.InvariantCulture) * 1024;
    }

    private async Task<bool> IsReadyAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var response = await s_http.GetAsync(Url + readyPath, cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException
            && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}

/// <summary>A replica of Phoenix.Service.</summary>
internal sealed class PhoenixProcess(IReadOnlyDictionary<string, string?> environment) : ServiceProcess(
    "Phoenix.Service", environment, "/readyz")
{
    private readonly int _grpcPort = FreePort.Next();
    private readonly int _otlpPort = FreePort.Next();
    private readonly int _metricsPort = FreePort.Next();

    /// <summary>UI, REST and OTLP/HTTP.</summary>
    public string HttpUrl => Url;

    /// <summary>OTLP/gRPC.</summary>
    public string GrpcUrl => $"http://127.0.0.1:{_grpcPort}";

    /// <summary>OTLP/HTTP alone.</summary>
    public string OtlpHttpUrl => $"http://127.0.0.1:{_otlpPort}";

    /// <summary>Prometheus metrics.</summary>
    public string MetricsUrl => $"http://127.0.0.1:{_metricsPort}";

    /// <inheritdoc/>
    protected override void AddVariables(Dictionary<string, string?> variables)
    {
        variables["PHOENIX_PORT"] = new Uri(Url).Port.ToString(CultureInfo.InvariantCulture);
        variables["PHOENIX_GRPC_PORT"] = _grpcPort.ToString(CultureInfo.InvariantCulture);
        variables["PHOENIX_OTLP_HTTP_PORT"] = _otlpPort.ToString(CultureInfo.InvariantCulture);
        variables["PHOENIX_METRICS_PORT"] = _metricsPort.ToString(CultureInfo.InvariantCulture);
    }
}
