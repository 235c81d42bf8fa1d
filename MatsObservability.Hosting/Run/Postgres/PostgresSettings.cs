using System.Globalization;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>Server settings for this machine; the memory settings assume at most half of it is PostgreSQL's.</summary>
internal static class PostgresSettings
{
    private const long Megabyte = 1024 * 1024;

    /// <summary>The settings of a server on loopback, before those of the options.</summary>
    /// <param name="memoryBytes">Memory this process may use, so also right inside a container with a limit.</param>
    /// <param name="freeDiskBytes">Free space where the data are.</param>
    /// <param name="hasLibrary">Tells whether the server can preload a library.</param>
    public static Dictionary<string, string> Defaults(long memoryBytes, long freeDiskBytes, Func<string, bool> hasLibrary)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["listen_addresses"] = "localhost",
            ["unix_socket_directories"] = "",
            ["password_encryption"] = "scram-sha-256",
            ["timezone"] = "UTC",
            ["log_timezone"] = "UTC",
            ["max_connections"] = "300",
            ["superuser_reserved_connections"] = "5",
            ["shared_buffers"] = Size(Math.Clamp(memoryBytes / 16, Math.Min(memoryBytes / 4, 512 * Megabyte), 4096 * Megabyte)),
            ["effective_cache_size"] = Size(memoryBytes / 2),
            ["work_mem"] = Size(Math.Clamp(memoryBytes / 256, 4 * Megabyte, 32 * Megabyte)),
            ["maintenance_work_mem"] = Size(Math.Clamp(memoryBytes / 32, 64 * Megabyte, 256 * Megabyte)),
            ["wal_buffers"] = Size(32 * Megabyte),
            // A checkpoint forced by a small limit halves the ingest rate; kept segments are reused instead of made anew.
            ["max_wal_size"] = Size(Math.Clamp(freeDiskBytes / 10, 512 * Megabyte, 8192 * Megabyte)),
            ["min_wal_size"] = Size(Math.Clamp(freeDiskBytes / 40, 160 * Megabyte, 1024 * Megabyte)),
            ["checkpoint_timeout"] = "15min",
            ["checkpoint_completion_target"] = "0.9",
            // Pages that the writers push out go to the disk at once. Left to the system, gigabytes of them go together, and commits wait behind.
            ["backend_flush_after"] = "512kB",
            ["wal_level"] = "replica",
            ["max_wal_senders"] = "3",
            ["max_replication_slots"] = "3",
            ["random_page_cost"] = "1.1",
            ["autovacuum_naptime"] = "30s",
            ["autovacuum_vacuum_scale_factor"] = "0.1",
            ["autovacuum_analyze_scale_factor"] = "0.05",
            ["log_min_duration_statement"] = "500ms",
            ["log_checkpoints"] = "on",
            ["log_lock_waits"] = "on",
        };
        string[] libraries = [.. new[] { "pg_stat_statements", "auto_explain" }.Where(hasLibrary)];
        if (libraries.Length > 0)
        {
            settings["shared_preload_libraries"] = string.Join(',', libraries);
        }

        if (libraries.Contains("pg_stat_statements"))
        {
            settings["pg_stat_statements.max"] = "10000";
            settings["pg_stat_statements.track"] = "all";
        }

        if (libraries.Contains("auto_explain"))
        {
            settings["auto_explain.log_min_duration"] = "5000ms";
        }

        return settings;
    }

    /// <summary>The settings as arguments of the server program.</summary>
    public static IEnumerable<string> Arguments(IEnumerable<KeyValuePair<string, string>> settings) =>
        settings.SelectMany(setting => new[] { "-c", $"{setting.Key}={setting.Value}" });

    private static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / Megabyte}MB");
}
