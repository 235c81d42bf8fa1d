namespace Phoenix.Service.Configuration;

/// <summary>Logs what is odd about the configuration, once, when the service starts.</summary>
internal sealed class WarnAtStart(IEnumerable<string> warnings, ILogger<WarnAtStart> logger) : IHostedService
{
    private static readonly Action<ILogger, string, Exception?> s_warn =
        LoggerMessage.Define<string>(LogLevel.Warning, new EventId(100, "Configuration"), "Configuration: {Warning}.");

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var warning in warnings)
        {
            s_warn(logger, warning, null);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>Registration of such warnings.</summary>
internal static class WarnAtStartServices
{
    /// <summary>Logs what <paramref name="warnings"/> gives at start; may be called several times.</summary>
    public static void AddStartWarnings(this IServiceCollection services, Func<IServiceProvider, IEnumerable<string>> warnings) =>
        services.AddSingleton<IHostedService>(
            provider => new WarnAtStart(warnings(provider), provider.GetRequiredService<ILogger<WarnAtStart>>()));
}
