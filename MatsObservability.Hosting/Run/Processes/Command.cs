using System.Text;

namespace MatsObservability.Hosting.Run.Processes;

/// <summary>What a finished program wrote and how it ended.</summary>
internal sealed record CommandResult(int ExitCode, string Output, string Error)
{
    /// <summary>
    /// The line that tells most about a failure: the last one on standard error that is not blank, else on standard output.
    /// </summary>
    public string LastLine =>
        (Error + "\n" + Output).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .FirstOrDefault(IsTelling)
        ?? Error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault()
        ?? $"exit code {ExitCode}";

    private static bool IsTelling(string line) =>
        line.Contains("FATAL", StringComparison.Ordinal) || line.Contains("error", StringComparison.OrdinalIgnoreCase);
}

/// <summary>Runs a program to its end.</summary>
internal static class Command
{
    /// <summary>Starts the program and waits; it is killed with its children when cancelled.</summary>
    /// <exception cref="FileNotFoundException">The program does not exist.</exception>
    public static async Task<CommandResult> RunAsync(ChildProcessSpec spec, CancellationToken cancellationToken)
    {
        var output = new StringBuilder();
        var error = new StringBuilder();
        await using var child = ChildProcess.Start(spec with { Output = (line, isError) => (isError ? error : output).AppendLine(line) });
        var code = await child.Exited.WaitAsync(cancellationToken);
        return new CommandResult(code, output.ToString(), error.ToString());
    }
}
