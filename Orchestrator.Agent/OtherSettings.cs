using MatsObservability.ServiceDefaults;
using Npgsql;

namespace Orchestrator.Agent;

/// <summary>The rules of settings that stand in no section of the orchestrator's own.</summary>
internal static class OtherSettings
{
    private const string Database = "phoenixdb";

    /// <summary>One sentence a broken rule; none holds a password, a key or a header's value.</summary>
    public static IEnumerable<string> Check(IConfiguration configuration) =>
    [
        .. Connection(configuration), .. ListenAddresses(configuration), .. PhoenixAccess.Check(configuration),
        .. Address(configuration, "OPENAI_BASE_URL"),
    ];

    /// <summary>Says so when <paramref name="key"/> is set to what is no http(s) address.</summary>
    public static IEnumerable<string> Address(IConfiguration configuration, string key) =>
        configuration[key] is { Length: > 0 } address && !SettingFaults.IsHttpAddress(address)
            ? [$"{key} must {SettingFaults.HttpAddressRule}"]
            : [];

    private static IEnumerable<string> Connection(IConfiguration configuration)
    {
        var given = configuration.GetConnectionString(Database) is { Length: > 0 } text ? text
            : configuration[$"Aspire:Npgsql:{Database}:ConnectionString"] ?? configuration["Aspire:Npgsql:ConnectionString"];
        if (string.IsNullOrWhiteSpace(given))
        {
            return [$"ConnectionStrings:{Database} must be set: the PostgreSQL database to keep investigations in"];
        }

        try
        {
            return new NpgsqlConnectionStringBuilder(given).Host is { Length: > 0 }
                ? []
                : [$"ConnectionStrings:{Database} must name a host"];
        }
        catch (ArgumentException)
        {
            return [$"ConnectionStrings:{Database} must be an Npgsql connection string"];
        }
    }

    /// <summary>What Kestrel would refuse with a stack trace.</summary>
    private static IEnumerable<string> ListenAddresses(IConfiguration configuration)
    {
        foreach (var url in (configuration["urls"] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!IsListenAddress(url))
            {
                yield return $"urls (ASPNETCORE_URLS) must list addresses such as http://127.0.0.1:8084, got '{url}'";
            }
        }

        foreach (var port in (configuration["http_ports"] ?? "").Split(
            ';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!ushort.TryParse(port, out _))
            {
                yield return $"http_ports (ASPNETCORE_HTTP_PORTS) must list ports from 0 to 65535, got '{port}'";
            }
        }
    }

    private static bool IsListenAddress(string url)
    {
        try
        {
            return BindingAddress.Parse(url) is { Scheme: "http" or "https", Port: >= 0 and <= ushort.MaxValue };
        }
        catch (FormatException)
        {
            return false;
        }
    }
}
