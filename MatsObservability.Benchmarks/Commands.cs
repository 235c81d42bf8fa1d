using System.Runtime.InteropServices;
using MatsObservability.Benchmarks.Chaos;
using MatsObservability.Benchmarks.Rca;

namespace MatsObservability.Benchmarks;

/// <summary>
/// The commands of this project by name; each prints a table for people and, with <c>--json FILE</c>, writes its figures for programs.
/// </summary>
internal static class Commands
{
    private static readonly Dictionary<string, (string Purpose, Func<string[], CancellationToken, Task<int>> Run)> s_commands = new(
        StringComparer.Ordinal)
    {
        ["ingest"] = (Ingest.IngestBenchmark.Purpose, Ingest.IngestBenchmark.RunAsync),
        ["demo"] = (DemoCommand.Purpose, DemoCommand.RunAsync),
        ["chaos"] = (ChaosCommand.Purpose, ChaosCommand.RunAsync),
        ["crash"] = (Crash.CrashBenchmark.Purpose, Crash.CrashBenchmark.RunAsync),
        ["overload"] = (Overload.OverloadBenchmark.Purpose, Overload.OverloadBenchmark.RunAsync),
        ["query"] = (Query.QueryBenchmark.Purpose, Query.QueryBenchmark.RunAsync),
        ["recover"] = (Recover.RecoverBenchmark.Purpose, Recover.RecoverBenchmark.RunAsync),
        ["rca"] = (RcaCommand.Purpose, RcaCommand.RunAsync),
        ["decode"] = ("protobuf bytes to normalised rows, spans a second on one core", Decode.DecodeBenchmark.RunAsync),
    };

    /// <summary>
    /// Runs the command named by the first argument. 0 = done, 1 = the command failed or was stopped, 2 = unknown command or bad arguments.
    /// </summary>
    public static async Task<int> RunAsync(string[] args)
    {
        using var stop = new CancellationTokenSource();
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        if (args.Length > 0 && s_commands.TryGetValue(args[0], out var command))
        {
            try
            {
                return await command.Run(args[1..], stop.Token);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                Console.Error.WriteLine("stopped");
                return 1;
            }
        }

        Console.Error.WriteLine("usage: dotnet run -c Release --project MatsObservability.Benchmarks -- <command> [options]");
        foreach (var (name, (purpose, _)) in s_commands)
        {
            Console.Error.WriteLine($"  {name,-8} {purpose}");
        }

        return 2;

        // A command that is told to end stops what it started and removes its files.
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }
}
