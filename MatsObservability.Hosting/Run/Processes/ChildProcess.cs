using System.Diagnostics;
using System.Text;

namespace MatsObservability.Hosting.Run.Processes;

/// <summary>What to start, and how it is told to stop.</summary>
internal sealed record ChildProcessSpec(string Program, IReadOnlyList<string> Arguments)
{
    public string? WorkingDirectory { get; init; }

    /// <summary>Variables set on top of this process's environment; null removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>Unix account to run under; null = this process's own. Needs root.</summary>
    public string? Account { get; init; }

    /// <summary>The polite signal: sent by <see cref="ChildProcess.StopAsync"/> and by the watchdog when this process dies.</summary>
    public UnixSignal StopSignal { get; init; } = UnixSignal.Terminate;

    /// <summary>How long the watchdog waits after the polite signal before it kills.</summary>
    public TimeSpan OrphanGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Receives each line of output (text, is standard error), from two threads.</summary>
    public Action<string, bool>? Output { get; init; }
}

/// <summary>A child process that never outlives this one, and ends with all processes it started.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private static readonly TimeSpan s_drainLimit = TimeSpan.FromSeconds(2);

    private readonly Process _process;
    private readonly ChildProcessSpec _spec;

    private ChildProcess(Process process, ChildProcessSpec spec)
    {
        _process = process;
        _spec = spec;
        Id = process.Id;
        Exited = RunToEndAsync();
    }

    /// <summary>Process id of the program itself.</summary>
    public int Id { get; }

    /// <summary>Completes with the exit code once the program has ended and its output was delivered. Never fails.</summary>
    public Task<int> Exited { get; }

    /// <summary>Starts the program.</summary>
    /// <exception cref="FileNotFoundException">The program or the working directory does not exist.</exception>
    public static ChildProcess Start(ChildProcessSpec spec)
    {
        var program = ExecutablePath.Find(spec.Program, spec.WorkingDirectory)
            ?? throw new FileNotFoundException($"The program '{spec.Program}' was not found.");
        if (spec.WorkingDirectory is { } folder && !Directory.Exists(folder))
        {
            throw new FileNotFoundException($"The working directory '{folder}' of '{spec.Program}' does not exist.");
        }

        var commandLine = OperatingSystem.IsWindows()
            ? [program, .. spec.Arguments]
            : UnixLaunch.CommandLine(program, spec.Arguments, spec.StopSignal, spec.OrphanGrace).ToArray();
        var start = new ProcessStartInfo(commandLine[0], commandLine.Skip(1))
        {
            WorkingDirectory = spec.WorkingDirectory ?? "",
            UseShellExecute = false,
            CreateNoWindow = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        if (spec.Account is { } account)
        {
            start.UserName = account;
        }

        foreach (var (name, value) in spec.Environment)
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start) ?? throw new InvalidOperationException($"'{spec.Program}' could not be started.");
        if (OperatingSystem.IsWindows())
        {
            WindowsJob.Shared.Add(process);
        }

        return new ChildProcess(process, spec);
    }

    /// <summary>Sends a signal to the program and everything it started. Does nothing on Windows or after its end.</summary>
    public void Signal(UnixSignal signal)
    {
        if (!OperatingSystem.IsWindows() && !Exited.IsCompleted)
        {
            UnixCalls.Signal(Id, signal, UnixLaunch.HasOwnGroup);
        }
    }

    /// <summary>
    /// Asks the program to end, and kills it with everything it started when it has not done so after <paramref name="grace"/>.
    /// </summary>
    public async Task<int> StopAsync(TimeSpan grace)
    {
        if (!OperatingSystem.IsWindows())
        {
            Signal(_spec.StopSignal);
            await Task.WhenAny(Exited, Task.Delay(grace));
        }

        Kill();
        return await Exited;
    }

    /// <summary>Ends the program and everything it started, at once.</summary>
    public void Kill()
    {
        if (Exited.IsCompleted)
        {
            return;
        }

        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (Exception ended) when (ended is InvalidOperationException or AggregateException or System.ComponentModel.Win32Exception)
        {
            // It, or a process below it, ended in between; the group signal below takes what is left.
        }

        Signal(UnixSignal.Kill);
    }

    public async ValueTask DisposeAsync()
    {
        Kill();
        await Exited;
        _process.Dispose();
    }

    private async Task<int> RunToEndAsync()
    {
        var output = Task.WhenAll(PumpAsync(_process.StandardOutput, isError: false), PumpAsync(_process.StandardError, isError: true));
        await _process.WaitForExitAsync();

        // Closing the pipe lets the watchdog end what the program left running; such a process may hold the output open until then.
        await _process.StandardInput.DisposeAsync();
        await Task.WhenAny(output, Task.Delay(s_drainLimit));
        return _process.ExitCode;
    }

    private async Task PumpAsync(StreamReader reader, bool isError)
    {
        await Task.Yield();
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                _spec.Output?.Invoke(line, isError);
            }
        }
        catch (Exception closed) when (closed is IOException or ObjectDisposedException)
        {
            // The process object was disposed while a left-over process still held the pipe.
        }
    }
}
