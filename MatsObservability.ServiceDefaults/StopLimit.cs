using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MatsObservability.ServiceDefaults;

/// <summary>
/// Ends the process, with exit code 0, when its stop takes too long. Every step of a stop has a limit of its own; this one holds when a
/// step blocks, as one that cancels a statement of a silent database does. What is left undone is what a kill would leave.
/// </summary>
public sealed class StopLimit : IDisposable
{
    private readonly ManualResetEventSlim _ended = new();

    private StopLimit(TimeSpan longest, CancellationToken stopping)
    {
        // A thread and not a callback of the token: its turn would come after callbacks that block.
        new Thread(() =>
        {
            WaitHandle.WaitAny([stopping.WaitHandle, _ended.WaitHandle]);
            if (!_ended.Wait(longest))
            {
                Console.Error.WriteLine($"The stop took longer than {longest.TotalSeconds:0.#} s; what it waited for is given up.");
                Environment.Exit(0);
            }
        })
        {
            IsBackground = true,
            Name = nameof(StopLimit),
        }.Start();
    }

    /// <summary>Limits the stop of <paramref name="app"/> to <paramref name="longest"/> from its beginning, until disposed.</summary>
    public static StopLimit Of(IHost app, TimeSpan longest) =>
        new(longest, app.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);

    /// <summary>The stop has ended by itself.</summary>
    public void Dispose() => _ended.Set();
}
