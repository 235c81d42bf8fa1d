using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.Hosting;

/// <summary>The one-line set-up every service of the system shares (the contract of the Aspire service-defaults template).</summary>
public static partial class Extensions
{
    private const string LiveTag = "live";

    // A service's own route of the same path keeps the usual order 0 and wins without an ambiguous match.
    private const int FallbackRouteOrder = 1000;

    /// <summary>
    /// Telemetry, health checks, and for every <see cref="IHttpClientFactory"/> client: resilience around service discovery, so that each
    /// attempt may choose another instance.
    /// </summary>
    /// <param name="builder">The host being built.</param>
    /// <param name="configureTelemetry">The service's own defaults; the configuration section <c>Telemetry</c> overrides them.</param>
    public static TBuilder AddServiceDefaults<TBuilder>(this TBuilder builder, Action<TelemetryOptions>? configureTelemetry = null)
        where TBuilder : IHostApplicationBuilder
    {
        AddLogLevelDefaults(builder.Configuration);
        builder.Services.AddSettingCheck(LogLevelFaults);
        builder.ConfigureOpenTelemetry(configureTelemetry);
        builder.AddDefaultHealthChecks();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddValidatedOptions<HttpResilienceOptions>(HttpResilienceOptions.Section, HttpResilienceOptions.Check);
        builder.Services.TryAddSingleton<HttpResilience>();
        builder.Services.TryAddSingleton<ServiceEndpoints>();
        builder.Services.TryAddTransient<HttpResilienceHandler>();
        builder.Services.TryAddTransient<ServiceDiscoveryHandler>();
        builder.Services.ConfigureHttpClientDefaults(http => http
            .AddHttpMessageHandler<HttpResilienceHandler>()
            .AddHttpMessageHandler<ServiceDiscoveryHandler>());
        return builder;
    }

    /// <summary>
    /// Log levels below every other configuration: a line a request or a statement would drown what a service itself has to say.
    /// </summary>
    private static void AddLogLevelDefaults(
        IConfigurationManager configuration) => configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                ["Logging:LogLevel:Microsoft.AspNetCore"] = "Warning",
                ["Logging:LogLevel:System.Net.Http"] = "Warning",
                ["Logging:LogLevel:Npgsql"] = "Warning",
            },
        });

    /// <summary>A level that is none would otherwise end the start with a stack trace of the logging library.</summary>
    private static IEnumerable<string> LogLevelFaults(IConfiguration configuration) =>
        from setting in configuration.GetSection("Logging").AsEnumerable()
        where setting.Key.Contains(":LogLevel:", StringComparison.OrdinalIgnoreCase) && !string.IsNullOrEmpty(setting.Value)
            && !Enum.GetNames<LogLevel>().Contains(setting.Value, StringComparer.OrdinalIgnoreCase)
        select $"{setting.Key} must be one of {string.Join(", ", Enum.GetNames<LogLevel>())}, got '{setting.Value}'";

    /// <summary>Registers the check <c>self</c> (tag <c>live</c>): healthy as long as the process answers.</summary>
    public static TBuilder AddDefaultHealthChecks<TBuilder>(this TBuilder builder)
        where TBuilder : IHostApplicationBuilder
    {
        builder.Services.AddHealthChecks();
        builder.Services.Configure<HealthCheckServiceOptions>(options =>
        {
            if (options.Registrations.All(registration => registration.Name != "self"))
            {
                options.Registrations.Add(new HealthCheckRegistration("self", new SelfCheck(), failureStatus: null, [LiveTag]));
            }
        });
        return builder;
    }

    /// <summary>
    /// Maps the process probes <c>/alive</c>, <c>/health/live</c>, <c>/healthz</c> and the dependency probes <c>/health</c>,
    /// <c>/health/ready</c>, <c>/readyz</c>, in every environment: orchestrators probe production too. A route of the service with the same
    /// path takes precedence.
    /// </summary>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        var live = new HealthCheckOptions { Predicate = registration => registration.Tags.Contains(LiveTag) };
        foreach (var path in (string[])["/alive", "/health/live", "/healthz"])
        {
            app.MapHealthChecks(path, live).WithOrder(FallbackRouteOrder);
        }

        foreach (var path in (string[])["/health", "/health/ready", "/readyz"])
        {
            app.MapHealthChecks(path).WithOrder(FallbackRouteOrder);
        }

        return app;
    }

    private sealed class SelfCheck : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(HealthCheckResult.Healthy());
    }
}
