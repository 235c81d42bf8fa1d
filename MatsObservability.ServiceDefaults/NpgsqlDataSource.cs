using System.Data.Common;
using Aspire.Npgsql;
using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Npgsql;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Aspire.Npgsql
{
    /// <summary>
    /// Settings of <c>AddNpgsqlDataSource</c>; the configuration sections <c>Aspire:Npgsql</c> and <c>Aspire:Npgsql:&lt;name&gt;</c> bind
    /// to it.
    /// </summary>
    public sealed class NpgsqlSettings
    {
        internal const string Section = "Aspire:Npgsql";

        /// <summary>The connection string; <c>ConnectionStrings:&lt;name&gt;</c> takes precedence.</summary>
        public string? ConnectionString { get; set; }

        /// <summary>True registers no health check.</summary>
        public bool DisableHealthChecks { get; set; }

        /// <summary>True leaves Npgsql's activity source out of the traces.</summary>
        public bool DisableTracing { get; set; }

        /// <summary>True leaves Npgsql's meter out of the metrics.</summary>
        public bool DisableMetrics { get; set; }
    }
}

namespace Microsoft.Extensions.Hosting
{
    public static partial class Extensions
    {
        /// <summary>
        /// Registers <see cref="NpgsqlDataSource"/> (also as <see cref="DbDataSource"/>) for
        /// <c>ConnectionStrings:&lt;connectionName&gt;</c>, with a health check and Npgsql's traces and metrics. Signature of the package
        /// Aspire.Npgsql.
        /// </summary>
        /// <exception cref="InvalidOperationException">When the data source is resolved and no connection string is configured.</exception>
        public static void AddNpgsqlDataSource(
            this IHostApplicationBuilder builder,
            string connectionName,
            Action<NpgsqlSettings>? configureSettings = null,
            Action<NpgsqlDataSourceBuilder>? configureDataSourceBuilder = null)
        {
            ArgumentException.ThrowIfNullOrEmpty(connectionName);
            var settings = new NpgsqlSettings();
            var section = builder.Configuration.GetSection(NpgsqlSettings.Section);
            SettingBinder.Bind(settings, section).ForEach(builder.Services.AddFault);
            SettingBinder.Bind(settings, section.GetSection(connectionName)).ForEach(builder.Services.AddFault);
            if (builder.Configuration.GetConnectionString(connectionName) is { Length: > 0 } connectionString)
            {
                settings.ConnectionString = connectionString;
            }

            configureSettings?.Invoke(settings);

            builder.Services.TryAddSingleton(
                services => Build(services, connectionName, settings.ConnectionString, configureDataSourceBuilder));
            builder.Services.TryAddSingleton<DbDataSource>(services => services.GetRequiredService<NpgsqlDataSource>());
            if (!settings.DisableHealthChecks)
            {
                builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
                    $"PostgreSql_{connectionName}",
                    services => new DatabaseCheck(services.GetRequiredService<NpgsqlDataSource>()),
                    failureStatus: null,
                    tags: null));
            }

            if (!settings.DisableTracing)
            {
                builder.Services.ConfigureOpenTelemetryTracerProvider(tracing => tracing.AddSource("Npgsql"));
            }

            if (!settings.DisableMetrics)
            {
                builder.Services.ConfigureOpenTelemetryMeterProvider(metrics => metrics.AddMeter("Npgsql"));
            }
        }

        private static NpgsqlDataSource Build(
            IServiceProvider services, string connectionName, string? connectionString, Action<NpgsqlDataSourceBuilder>? configure)
        {
            if (string.IsNullOrWhiteSpace(connectionString))
            {
                throw new InvalidOperationException(
                    $"ConnectionString is missing. It should be provided in 'ConnectionStrings:{connectionName}' "
                    + "or under the 'ConnectionString' key in 'Aspire:Npgsql' configuration section.");
            }

            var builder = new NpgsqlDataSourceBuilder(connectionString);
            builder.UseLoggerFactory(services.GetService<ILoggerFactory>());
            configure?.Invoke(builder);
            return builder.Build();
        }

        private sealed class DatabaseCheck(NpgsqlDataSource dataSource) : IHealthCheck
        {
            public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
            {
                try
                {
                    await using var command = dataSource.CreateCommand("SELECT 1");
                    await command.ExecuteScalarAsync(cancellationToken);
                    return HealthCheckResult.Healthy();
                }
                catch (Exception failure) when (failure is NpgsqlException or InvalidOperationException)
                {
                    return new HealthCheckResult(context.Registration.FailureStatus, "The database does not answer.", failure);
                }
            }
        }
    }
}
