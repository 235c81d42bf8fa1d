using System.Globalization;
using System.Text.RegularExpressions;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Dashboard;
using Microsoft.Extensions.Hosting;
using Spectre.Console;

namespace MatsObservability.Hosting.Run.Terminal;

/// <summary>
/// Tells people at the terminal what happens: while the system starts a table that changes in place (plain lines where output is no
/// terminal), then once the final table, then the output of every resource behind its name.
/// </summary>
internal sealed partial class TerminalReporter(
    RunContext context, DownloadProgress download, DashboardServer dashboard) : IHostedService, IAsyncDisposable
{
    private const int LinesOfAFailure = 20;

    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan s_refreshInterval = TimeSpan.FromMilliseconds(100);
    private static readonly int[] s_colors = [36, 35, 34, 32, 33, 96, 95, 94];

    private readonly IAnsiConsole _console = AnsiConsole.Profile.Out.IsTerminal
        ? AnsiConsole.Console
        : AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.No,
                ColorSystem = ColorSystemSupport.NoColors,
                Interactive = InteractionSupport.No,
            });

    private readonly CancellationTokenSource _ending = new();
    private readonly TaskCompletionSource _shown = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _writing = new();
    private Task _display = Task.CompletedTask;
    private Task _logs = Task.CompletedTask;
    private bool _isOpen;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (context.Options.LogsToHost)
        {
            return Task.CompletedTask;
        }

        _isOpen = true;
        _display = _console.Profile.Out.IsTerminal ? ShowTableAsync() : ShowLinesAsync();
        _logs = Task.WhenAll(
            context.Model.Resources.Index().Select(pair => WriteLogAsync(pair.Item, s_colors[pair.Index % s_colors.Length])));
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_isOpen)
        {
            await CloseAsync();
            _console.WriteLine("Everything is stopped.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _ending.Dispose();
    }

    private async Task CloseAsync()
    {
        if (_isOpen)
        {
            _isOpen = false;
            await _ending.CancelAsync();
            await _display;
            await _logs;
        }
    }

    private async Task ShowTableAsync()
    {
        var started = context.Time.GetTimestamp();
        var live = _console.Live(ResourceTable.Render([])).AutoClear(true);
        await live.StartAsync(async display =>
        {
            while (!_ending.IsCancellationRequested)
            {
                var rows = ResourceTable.Rows(context);
                var elapsed = context.Time.GetElapsedTime(started);
                if (ResourceTable.IsSettled(rows) || elapsed > s_startLimit)
                {
                    break;
                }

                display.UpdateTarget(ResourceTable.Render(rows, Caption(elapsed)));
                display.Refresh();
                await Task.WhenAny(Task.Delay(s_refreshInterval, _ending.Token));
            }
        });
        await FinishStartAsync(started);
    }

    private string Caption(TimeSpan elapsed) => download.Current is { } current
        ? string.Create(
            CultureInfo.InvariantCulture, $"Downloading PostgreSQL with npm: {100 * current.Bytes / current.ExpectedBytes} % of {current.ExpectedBytes / 1_000_000} MB")
        : string.Create(CultureInfo.InvariantCulture, $"Starting, {elapsed.TotalSeconds:0.0} s. Ctrl-C stops everything.");

    private async Task ShowLinesAsync()
    {
        var started = context.Time.GetTimestamp();
        var told = new Dictionary<string, string>(StringComparer.Ordinal);
        var toldPercent = -1L;
        _shown.TrySetResult(); // Nothing is drawn in place, so log lines cannot disturb it.
        while (!_ending.IsCancellationRequested)
        {
            var rows = ResourceTable.Rows(context);
            foreach (var row in rows.Where(row => told.GetValueOrDefault(row.Name) != row.State))
            {
                told[row.Name] = row.State;
                Write($"{row.Name}: {row.State}");
            }

            if (download.Current is { } current && 100 * current.Bytes / current.ExpectedBytes / 25 is var quarter
                && quarter != toldPercent)
            {
                toldPercent = quarter;
                Write(Caption(TimeSpan.Zero));
            }

            if (ResourceTable.IsSettled(rows) || context.Time.GetElapsedTime(started) > s_startLimit)
            {
                break;
            }

            await Task.WhenAny(Task.Delay(s_refreshInterval, _ending.Token));
        }

        await FinishStartAsync(started);
    }

    private async Task FinishStartAsync(long started)
    {
        if (!_ending.IsCancellationRequested)
        {
            var rows = ResourceTable.Rows(context);
            if (dashboard.Url is { } url)
            {
                rows = [.. rows, new ResourceRow("resource page", "Healthy", "green", [url], IsSettled: true, HasFailed: false)];
            }

            foreach (var failed in rows.Where(row => row.HasFailed))
            {
                await WriteLastLinesAsync(failed.Name);
            }

            lock (_writing)
            {
                _console.Write(ResourceTable.Render(rows));
            }

            var seconds = context.Time.GetElapsedTime(started).TotalSeconds;
            Write(rows.Any(row => row.HasFailed)
                ? "Not everything could start. Ctrl-C stops everything."
                : string.Create(CultureInfo.InvariantCulture, $"Ready after {seconds:0.0} s. Ctrl-C stops everything."));
        }

        _shown.TrySetResult();
    }

    private async Task WriteLastLinesAsync(string name)
    {
        if (!_console.Profile.Out.IsTerminal)
        {
            return; // They were written as they came.
        }

        await foreach (var lines in context.Loggers.GetAllAsync(name))
        {
            foreach (var line in lines.TakeLast(LinesOfAFailure))
            {
                Write($"[{name}] {line.Content}");
            }
        }
    }

    /// <summary>Writes a resource's lines behind its name; those from before the final table only where no table is drawn.</summary>
    private async Task WriteLogAsync(IResource resource, int color)
    {
        var inColor = _console.Profile.Capabilities.Ansi;
        var prefix = inColor ? $"\e[{color.ToString(CultureInfo.InvariantCulture)}m[{resource.Name}]\e[0m " : $"[{resource.Name}] ";
        try
        {
            await foreach (var lines in context.Loggers.WatchAsync(resource).WithCancellation(_ending.Token))
            {
                if (_shown.Task.IsCompleted)
                {
                    foreach (var line in lines)
                    {
                        Write(prefix + (inColor ? line.Content : EscapeSequence().Replace(line.Content, "")));
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }

    private void Write(string line)
    {
        lock (_writing)
        {
            _console.Profile.Out.Writer.WriteLine(line);
        }
    }

    [GeneratedRegex("\\e\\[[0-9;?]*[A-Za-z]", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex EscapeSequence();
}
