using System.Diagnostics;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>Runs git on a repository that is data: only argument vectors reach it, and nothing that the repository names is run.</summary>
internal static class Git
{
    private const int MaxErrorChars = 4000;

    /// <summary>Longest run of one git; it is killed then.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    /// <summary>The exit code and the first <paramref name="maxChars"/> characters of what git printed.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(
        string folder, string[] arguments, int maxChars, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("git")
        {
            WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        };

        // Only what asks another machine runs programs that a repository's settings name, so it alone has git ask for the owner; whatever
        // reads may get no missing object from elsewhere.
        var isRemote = arguments[0] is "clone" or "fetch";
        string[] safety =
        [
            "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", .. isRemote ? (string[])[] : ["-c", "safe.directory=*"],
        ];
        foreach (var argument in safety.Concat(arguments))
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["GIT_TERMINAL_PROMPT"] = "0";
        start.Environment["GIT_ALLOW_PROTOCOL"] = isRemote ? "https:http:ssh" : "none";
        start.Environment["GIT_CONFIG_NOSYSTEM"] = "1";
        using var git = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            var errors = ProcessOutput.StartAsync(git.StandardError, MaxErrorChars, limit.Token);
            var output = await ProcessOutput.StartAsync(git.StandardOutput, maxChars, limit.Token);
            await errors;
            limit.Token.ThrowIfCancellationRequested();
            await git.WaitForExitAsync(limit.Token);
            return (git.ExitCode, output);
        }
        catch (OperationCanceledException e)
        {
            git.Kill(entireProcessTree: true);
            await git.WaitForExitAsync(CancellationToken.None);
            cancellationToken.ThrowIfCancellationRequested();
            throw new IOException($"git gave no answer within {Limit.TotalSeconds} s", e);
        }
    }
}
