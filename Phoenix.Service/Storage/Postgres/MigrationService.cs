using Npgsql;
using Phoenix.Service.Configuration;
using Phoenix.Service.Storage.Postgres.Vectors;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Waits for the database, migrates it, prepares its partitions and then declares it ready. The service answers probes meanwhile.
/// </summary>
internal sealed partial class MigrationService(
    Migrations migrations, SpanVectors vectors, Partitions partitions, ProjectDirectory projects, ServerSettings server,
    DatabaseState state, FatalFault fatal, TimeProvider time,
    ILogger<MigrationService> logger) : BackgroundService
{
    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var backoff = new WriteBackoff(time);
        while (true)
        {
            try
            {
                state.Waiting = "waiting for the database";
                foreach (var name in await migrations.ApplyAsync(stoppingToken))
                {
                    Log.Applied(logger, name);
                }

                await vectors.PrepareAsync(stoppingToken);
                await partitions.EnsureAheadAsync(stoppingToken);
                await projects.RefreshAsync(stoppingToken);
                state.SetReady();
                await server.CheckAsync(stoppingToken);
                return;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (SchemaTooNewException exception)
            {
                fatal.Declare(exception.Message);
                return;
            }
            catch (PostgresException exception) when (PostgresErrors.Permanent(exception) is { } reason)
            {
                fatal.Declare(reason);
                return;
            }
            catch (Exception exception) when (PostgresErrors.IsDatabase(exception))
            {
                state.Waiting = "the database does not answer yet";
                Log.Waiting(logger, PostgresErrors.Describe(exception));
                await backoff.WaitAsync(stoppingToken);
            }
        }
    }
}
