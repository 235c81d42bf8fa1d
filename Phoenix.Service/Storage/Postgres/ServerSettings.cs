using System.Globalization;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Compares a PostgreSQL server with the settings that suit telemetry. A managed server is started with them; of a server
/// that somebody else runs each one that is far off is logged once. It is used as it is: such settings cannot be changed from here, and
/// some only with a restart.
/// </summary>
internal sealed partial class ServerSettings(NpgsqlDataSource dataSource, ILogger<ServerSettings> logger)
{
    private const long Kilobyte = 1024;
    private const long Megabyte = 1024 * Kilobyte;

    /// <summary>Name and what suits, sizes in bytes; less than half of it is far off.</summary>
    private static readonly (string Name, long Suits)[] s_wanted =
    [
        ("shared_buffers", 512 * Megabyte),
        ("work_mem", 32 * Megabyte),
        ("maintenance_work_mem", 256 * Megabyte),
        ("effective_cache_size", 2048 * Megabyte),
        ("max_connections", 300),
        ("superuser_reserved_connections", 5),
        ("wal_buffers", 32 * Megabyte),
        ("max_wal_size", 2048 * Megabyte),
        ("min_wal_size", 160 * Megabyte),
        ("backend_flush_after", 512 * Kilobyte),
    ];

    /// <summary>What a commit that is acknowledged needs to outlive a crash.</summary>
    private static readonly string[] s_durable = ["fsync", "full_page_writes", "synchronous_commit"];

    /// <summary>Logs what is far off, and what makes acknowledged telemetry less than durable.</summary>
    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT name, setting, unit FROM pg_settings WHERE name = ANY($1)");
        command.Parameters.Add(
            new NpgsqlParameter<string[]> { TypedValue = [.. s_durable, .. s_wanted.Select(static wanted => wanted.Name)] });
        var found = new Dictionary<string, (string Value, string? Unit)>(StringComparer.Ordinal);
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                found[reader.GetString(0)] = (reader.GetString(1), reader.IsDBNull(2) ? null : reader.GetString(2));
            }
        }

        foreach (var name in s_durable.Where(name => found.GetValueOrDefault(name).Value == "off"))
        {
            Log.NotDurable(logger, name);
        }

        foreach (var (name, suits) in s_wanted)
        {
            if (found.TryGetValue(name, out var setting)
                && long.Parse(setting.Value, CultureInfo.InvariantCulture) * UnitBytes(setting.Unit) is var value && value < suits / 2)
            {
                Log.FarOff(logger, name, Text(value, suits), Text(suits, suits));
            }
        }
    }

    /// <summary>Bytes of a unit as pg_settings names it (kB, 8kB, MB, 16MB); 1 when there is none.</summary>
    private static long UnitBytes(string? unit)
    {
        var text = (unit ?? string.Empty).AsSpan();
        var digits = text.IndexOfAnyExceptInRange('0', '9');
        var count = digits > 0 ? long.Parse(text[..digits], CultureInfo.InvariantCulture) : 1;
        return count * (text.EndsWith("kB") ? Kilobyte : text.EndsWith("MB") ? Megabyte : 1);
    }

    private static string Text(long value, long suits) =>
        suits < Kilobyte ? value.ToString(CultureInfo.InvariantCulture)
        : value < Megabyte ? string.Create(CultureInfo.InvariantCulture, $"{value / Kilobyte}kB")
        : string.Create(CultureInfo.InvariantCulture, $"{value / Megabyte}MB");

    private static partial class Log
    {
        [LoggerMessage(260, LogLevel.Warning,
            "The PostgreSQL server's {Setting} is {Value}; {Suits} suits this service better (docs/operating.md).")]
        public static partial void FarOff(ILogger logger, string setting, string value, string suits);

        [LoggerMessage(261, LogLevel.Warning,
            "The PostgreSQL server's {Setting} is off: acknowledged telemetry can be lost when the server crashes (docs/operating.md).")]
        public static partial void NotDurable(ILogger logger, string setting);
    }
}
