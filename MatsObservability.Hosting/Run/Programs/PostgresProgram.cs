using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Hosting.Run.Supervision;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Run.Programs;

/// <summary>Runs a PostgreSQL server resource as a real server on this machine.</summary>
internal sealed class PostgresProgram(RunContext context, PostgresServerResource resource, IProgress<PostgresDownload> download) : IProgram
{
    /// <summary>Server settings that the user may give, by their variables.</summary>
    private static readonly (string Variable, string Setting)[] s_variables =
    [
        ("PHOENIX_POSTGRES_SHARED_BUFFERS", "shared_buffers"), ("PHOENIX_POSTGRES_WORK_MEM", "work_mem"),
        ("PHOENIX_POSTGRES_MAINTENANCE_WORK_MEM", "maintenance_work_mem"),
        ("PHOENIX_POSTGRES_EFFECTIVE_CACHE_SIZE", "effective_cache_size"), ("PHOENIX_POSTGRES_MAX_CONNECTIONS", "max_connections"),
    ];

    private readonly TaskCompletionSource _firstStart = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the server answered for the first time, or fails with the reason why it cannot run here.</summary>
    public Task FirstStart => _firstStart.Task;

    public async Task<IRunningProgram> StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            var logger = context.Loggers.GetLogger(resource);
            var password = await resource.PasswordParameter.GetValueAsync(cancellationToken);
            var user = resource.UserNameParameter is { } parameter ? await parameter.GetValueAsync(cancellationToken) : null;
            var server = await PostgresServer.StartAsync(
                new PostgresServerOptions
                {
                    DataDirectory = DataFolder(),
                    Port = resource.PrimaryEndpoint.Port,
                    UserName = user ?? "postgres",
                    Password = password ?? throw new DistributedApplicationException($"The password of '{resource.Name}' has no value."),
                    Settings = Settings(context.Options.IsTemporary, Environment.GetEnvironmentVariable),
                    Log = line => context.Loggers.Append(resource.Name, line, isErrorMessage: false),
                    Download = download,
                },
                cancellationToken);
            logger.LogInformation("{Description} with its data in {Folder}", server.Description, DataFolder());
            _firstStart.TrySetResult();
            return new RunningServer(server);
        }
        catch (OperationCanceledException)
        {
            _firstStart.TrySetCanceled(cancellationToken);
            throw;
        }
        catch (Exception failure)
        {
            _firstStart.TrySetException(failure);
            throw;
        }
    }

    /// <summary>
    /// What differs from the defaults: data that are deleted at the end need not survive a power failure, and what
    /// <paramref name="variable"/> gives.
    /// </summary>
    internal static Dictionary<string, string> Settings(bool isTemporary, Func<string, string?> variable)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        if (isTemporary)
        {
            settings["fsync"] = "off";
        }

        foreach (var (name, setting) in s_variables)
        {
            if (variable(name) is { Length: > 0 } value)
            {
                settings[setting] = value;
            }
        }

        return settings;
    }

    /// <summary>A bind mount is the folder itself; a volume, or none, a folder of the run's data named like it.</summary>
    private string DataFolder()
    {
        var mount = resource.Annotations.OfType<ContainerMountAnnotation>()
            .LastOrDefault(mount => mount.Target.StartsWith("/var/lib/postgresql", StringComparison.Ordinal));
        return mount is { Type: ContainerMountType.BindMount, Source: { } source }
            ? source
            : Path.Combine(context.Options.DataDirectory, mount?.Source ?? resource.Name);
    }

    private sealed class RunningServer(PostgresServer server) : IRunningProgram
    {
        public int ProcessId { get; } = server.ProcessId;

        public IReadOnlyList<InstanceVariable> Environment => [];

        public Task<int> Exited { get; } = server.Exited;

        public bool CanFinish => false;

        public Task StopAsync(TimeSpan grace) => server.StopAsync(grace);

        public ValueTask DisposeAsync() => server.DisposeAsync();
    }
}
