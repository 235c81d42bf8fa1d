using Microsoft.Extensions.Options;
using Phoenix.Service.Configuration;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>
/// Makes <c>admin@localhost</c> in a database that has nobody who could let others in; without a password for them the service stops.
/// </summary>
internal sealed partial class FirstUsers(
    UserStore users, DatabaseState database, FatalFault fatal, IOptions<AuthOptions> options, TimeProvider time, ILogger<FirstUsers> logger)
    : BackgroundService
{
    /// <summary>The first admin; cannot be deleted.</summary>
    public const string AdminEmail = "admin@localhost";

    private readonly TaskCompletionSource _created = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when somebody can log in.</summary>
    public Task Created => _created.Task;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var backoff = new WriteBackoff(time);
        await database.WaitReadyAsync(stoppingToken);
        while (true)
        {
            try
            {
                if (await CreateAsync(stoppingToken))
                {
                    _created.TrySetResult();
                }

                return;
            }
            catch (Exception exception) when (PostgresErrors.IsDatabase(exception) && !stoppingToken.IsCancellationRequested)
            {
                Log.Waiting(logger, PostgresErrors.Describe(exception));
                await backoff.WaitAsync(stoppingToken);
            }
        }
    }

    /// <summary>False when nobody can log in, and the service stops.</summary>
    private async Task<bool> CreateAsync(CancellationToken cancellationToken)
    {
        if (await users.HasAdminAsync(cancellationToken))
        {
            return true;
        }

        if (options.Value.InitialAdminPassword is { Length: > 0 } password)
        {
            var hash = await Task.Run(() => Passwords.Hash(password), cancellationToken);
            if (await users.CreateAsync(AdminEmail, "admin", "ADMIN", hash, cancellationToken) is not null)
            {
                Log.Created(logger, AdminEmail);
            }
        }
        else if (options.Value.AdminSecret.Length == 0)
        {
            fatal.Declare($"authentication is on and nobody can log in yet: set {EnvironmentAliases.Named($"{AuthOptions.Section}:{nameof(AuthOptions.InitialAdminPassword)}")} "
                + $"or {EnvironmentAliases.Named($"{AuthOptions.Section}:{nameof(AuthOptions.AdminSecret)}")}");
            return false;
        }

        return true;
    }

    private static partial class Log
    {
        [LoggerMessage(1900, LogLevel.Information, "Created the user {Email} with the initial admin password")]
        public static partial void Created(ILogger logger, string email);

        [LoggerMessage(1901, LogLevel.Warning, "The first user cannot be made yet, trying again: {Reason}")]
        public static partial void Waiting(ILogger logger, string reason);
    }
}
