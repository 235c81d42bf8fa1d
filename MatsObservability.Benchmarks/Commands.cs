using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using MatsObservability.Benchmarks.Chaos;
using MatsObservability.Benchmarks.Crash;
using MatsObservability.Benchmarks.Decode;
using MatsObservability.Benchmarks.Ingest;
using MatsObservability.Benchmarks.Overload;
using MatsObservability.Benchmarks.Query;
using MatsObservability.Benchmarks.Rca;
using MatsObservability.Benchmarks.Recover;

namespace MatsObservability.Benchmarks;

/// <summary>
/// The commands of this project; each prints a table for people and, with <c>--json FILE</c>, writes its figures for programs.
/// </summary>
internal static class Commands
{
    /// <summary>
    /// Runs the command named by the first argument. 0 = done, 1 = the command failed or was stopped, 2 = unknown command or bad arguments,
    /// <see cref="ServiceDefaults.ExitCodes.Settings"/> = <c>demo</c> was refused by a service.
    /// </summary>
    public static async Task<int> RunAsync(string[] args)
    {
        // The library's messages are in the machine's language, the others are not.
        CultureInfo.CurrentUICulture = CultureInfo.InvariantCulture;
        var root = new RootCommand("Measures what MatsObservability does. Starts what it needs on free ports, in a temporary folder.")
        {
            IngestBenchmark.Create(), DecodeBenchmark.Create(), OverloadBenchmark.Create(), CrashBenchmark.Create(),
            QueryBenchmark.Create(), RecoverBenchmark.Create(), RcaCommand.Create(), ChaosCommand.Create(), DemoCommand.Create(),
        };
        var parsed = root.Parse(args.Length > 0 ? args : ["--help"]);
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors)
            {
                Console.Error.WriteLine(error.Message);
            }

            Console.Error.WriteLine("--help, also behind a command, tells what there is.");
            return 2;
        }

        using var stop = new CancellationTokenSource();
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            return await parsed.InvokeAsync(
                new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Console.Error.WriteLine("stopped");
            return 1;
        }

        // A command that is told to end stops what it started and removes its files.
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }
}
