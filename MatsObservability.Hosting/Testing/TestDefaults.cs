using System.Reflection;
using Aspire.Hosting;
using MatsObservability.Hosting.Run;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace MatsObservability.Hosting.Testing;

/// <summary>How an AppHost is configured when a test runs it.</summary>
internal static class TestDefaults
{
    /// <summary>
    /// Applies the defaults, then what the test says, then the AppHost's launch profile, each below arguments and environment variables.
    /// </summary>
    public static void Apply(
        Assembly appHost,
        DistributedApplicationOptions options,
        HostApplicationBuilderSettings settings,
        Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configureBuilder)
    {
        var name = appHost.GetName().Name;
        options.AssemblyName ??= name;
        options.DisableDashboard = true;
        options.EnableResourceLogging = true;
        settings.ApplicationName ??= name;
        settings.ContentRootPath ??= Metadata(appHost, "apphostprojectpath");
        settings.Configuration ??= new ConfigurationManager();
        settings.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase)
        {
            ["DcpPublisher:RandomizePorts"] = "true",
            ["DcpPublisher:WaitForResourceCleanup"] = "true",
            ["DcpPublisher:ContainerRuntimeInitializationTimeout"] = "00:00:30",
            ["ASPNETCORE_URLS"] = "http://localhost:8080",
            ["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = "http://localhost:4317",
            ["ASPIRE_ALLOW_UNSECURED_TRANSPORT"] = "true",
            [RunOptions.TemporaryDataKey] = "true",
        });
        configureBuilder(options, settings);
        AddLaunchProfile(settings);
    }

    private static string? Metadata(Assembly assembly, string key) => assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .FirstOrDefault(attribute => string.Equals(attribute.Key, key, StringComparison.OrdinalIgnoreCase))?.Value;

    private static void AddLaunchProfile(HostApplicationBuilderSettings settings)
    {
        if (settings.ContentRootPath is not { } directory
            || LaunchSettings.Read(Path.Combine(directory, "AppHost.csproj")) is not { Profiles.Count: > 0 } launchSettings)
        {
            return;
        }

        var chosen = Environment.GetEnvironmentVariable("DOTNET_LAUNCH_PROFILE");
        var profile = chosen is not null && launchSettings.Profiles.TryGetValue(chosen, out var named)
            ? named
            : launchSettings.Profiles.First().Value;
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in profile.EnvironmentVariables)
        {
            values[key] = value;
            var prefix = new[] { "DOTNET_", "ASPNETCORE_" }.FirstOrDefault(
                prefix => key.StartsWith(prefix, StringComparison.OrdinalIgnoreCase));
            if (prefix is not null)
            {
                values[key[prefix.Length..]] = value;
            }
        }

        settings.Configuration!.AddInMemoryCollection(values);
        settings.EnvironmentName ??= values.GetValueOrDefault("ENVIRONMENT");
    }
}
