using Microsoft.Extensions.Options;
using Npgsql;
using Orchestrator.Agent;

// Every step of a stop has its limit; this is theirs together, below the grace of supervisors (4 s in the AppHost). What a process leaves
// undone that ends here, the next one takes up, as after a kill.
var longestStop = TimeSpan.FromSeconds(3);
try
{
    var app = OrchestratorApp.Build(args);
    new Thread(() =>
    {
        // Not a callback of the token: its turn comes after those that block, as one that cancels a statement of a silent database does.
        app.Lifetime.ApplicationStopping.WaitHandle.WaitOne();
        using var never = new ManualResetEventSlim();
        never.Wait(longestStop);
        Environment.Exit(0);
    }) { IsBackground = true }.Start();
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
