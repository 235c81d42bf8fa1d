using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.Options;
using Npgsql;
using Orchestrator.Agent;

// Every step of a stop has its limit; this is theirs together, below the grace of supervisors (4 s in the AppHost). What a process leaves
// undone that ends here, the next one takes up, as after a kill.
var longestStop = TimeSpan.FromSeconds(3);
try
{
    var app = OrchestratorApp.Build(args);
    using var limit = StopLimit.Of(app, longestStop);
    await app.RunAsync();
    return 0;
}
catch (Exception e) when (
    e is OptionsValidationException or AggregateException or InvalidOperationException or IOException or NpgsqlException)
{
    var faults = e is AggregateException all ? all.Flatten().InnerExceptions.AsEnumerable() : [e];
    foreach (var fault in faults.SelectMany(inner => inner is OptionsValidationException options ? options.Failures : [inner.Message]))
    {
        Console.Error.WriteLine($"fatal: {fault.ReplaceLineEndings(" ")}");
    }

    return 1;
}
