using System.Globalization;
using Npgsql;

namespace Phoenix.Service.Configuration;

/// <summary>The connection string as the service uses it: what the operator gave, and our defaults where he said nothing.</summary>
internal static class ConnectionSettings
{
    /// <summary>
    /// Adds schema, application name, time-outs, keep-alive and the size of the pool to <paramref name="connectionString"/>.
    /// </summary>
    /// <exception cref="StartUpException">It is missing or unreadable; the message never holds its text, which may hold a
    /// password.</exception>
    public static string Complete(string? connectionString, string? schema, int writers)
    {
        if (string.IsNullOrWhiteSpace(connectionString))
        {
            throw new StartUpException(
                "ConnectionStrings:phoenixdb must be set: the PostgreSQL database to keep telemetry in");
        }

        NpgsqlConnectionStringBuilder builder;
        try
        {
            builder = new NpgsqlConnectionStringBuilder(connectionString);
        }
        catch (ArgumentException exception)
        {
            throw new StartUpException($"ConnectionStrings:phoenixdb cannot be read: {Redact(exception, connectionString)}");
        }

        if (string.IsNullOrEmpty(builder.Host))
        {
            throw new StartUpException("ConnectionStrings:phoenixdb must name a host");
        }

        Default(builder, "Search Path", string.IsNullOrWhiteSpace(schema) ? "phoenix" : schema.Trim());
        Default(builder, "Application Name", "phoenix");
        Default(builder, "Timeout", "5");
        Default(builder, "Keepalive", "30");
        Default(builder, "Maximum Pool Size", MachineSize.Here.Connections(writers).ToString(CultureInfo.InvariantCulture));
        return builder.ConnectionString;
    }

    private static void Default(NpgsqlConnectionStringBuilder builder, string keyword, string value)
    {
        if (!builder.ContainsKey(keyword) || !builder.ShouldSerialize(keyword))
        {
            builder[keyword] = value;
        }
    }

    private static string Redact(ArgumentException exception, string connectionString) =>
        exception.Message.Contains(connectionString, StringComparison.Ordinal) || exception.ParamName is not { Length: > 0 } keyword
            ? "it is no Npgsql connection string"
            : $"keyword '{keyword}' is not valid";
}
