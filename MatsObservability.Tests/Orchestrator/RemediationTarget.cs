using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>
/// A "service" that answers 200 exactly while the file <c>orders</c> exists, and nothing at all while <c>silent</c> does; and the program
/// <c>setting</c> of the allow-list that makes and removes such files: <c>set</c>, <c>unset</c>, <c>show</c>, <c>hold</c>, which runs
/// until a file <c>….go</c> lets it go and notes each of its runs in <c>….runs</c>, and <c>leave</c>, which sets and ends but leaves a
/// program with its output open until the file is gone.
/// </summary>
internal static class RemediationTarget
{
    private const string Program = """
        #!/bin/sh
        case "$1" in
          set) echo x > "$2";;
          unset) rm -f "$2";;
          show) echo "would write $2";;
          leave) echo x > "$2"; while [ -f "$2" ]; do sleep 0.05; done & echo left;;
          hold) echo run >> "$2.runs"; while [ ! -f "$2.go" ]; do sleep 0.05; done; echo x > "$2";;
        esac

        """;

    /// <summary>Puts the program into <paramref name="folder"/> and starts the service.</summary>
    public static async Task<HttpStub> StartAsync(TemporaryFolder folder)
    {
        await File.WriteAllTextAsync(folder.File("setting"), Program);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(folder.File("setting"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        return await HttpStub.StartAsync(async context =>
        {
            await Eventually.TrueAsync(() => context.RequestAborted.IsCancellationRequested || !File.Exists(folder.File("silent")));
            context.Response.StatusCode = File.Exists(folder.File("orders")) ? 200 : 503;
        });
    }
}
