using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Orchestrator.Agent;

/// <summary>
/// Runs until stopped. 0 = stopped in order, <see cref="ExitCodes.Settings"/> = wrong settings, 1 = could not start for another reason (the
/// reasons are on standard error, one a line).
/// </summary>
internal static class Program
{
    /// <summary>
    /// Every step of a stop has its limit; this one is theirs together, below the grace of supervisors (4 s in the AppHost). What a process
    /// leaves undone that ends here, the next one takes up, as after a kill.
    /// </summary>
    public static readonly TimeSpan LongestStop = TimeSpan.FromSeconds(3);

    public static async Task<int> Main(string[] args)
    {
        try
        {
            var app = OrchestratorApp.Build(args);
            using var limit = StopLimit.Of(app, LongestStop);
            await app.RunAsync();
            return 0;
        }
        catch (Exception e) when (
            e is OptionsValidationException or AggregateException or InvalidOperationException or IOException or NpgsqlException)
        {
            IReadOnlyList<Exception> faults = e is AggregateException all ? all.Flatten().InnerExceptions : [e];
            foreach (var fault in faults.SelectMany(inner =>
                inner is OptionsValidationException options ? options.Failures : [inner.Message]))
            {
                Console.Error.WriteLine($"fatal: {fault.ReplaceLineEndings(" ")}");
            }

            return faults.All(static fault => fault is OptionsValidationException) ? ExitCodes.Settings : 1;
        }
    }
}
