using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Metrics;

/// <summary>
/// The database server's own statistics, so that no exporter is needed beside the service.
/// </summary>
internal sealed class PostgresMetrics(PostgresStatistics statistics) : IMetricSource
{
    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Pg;

    /// <inheritdoc/>
    public async ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        var read = await statistics.ReadAsync(cancellationToken);
        writer.Gauge("pg_up", "1 when the database answers.", read is null ? 0 : 1);
        if (read is null)
        {
            return;
        }

        writer.Gauge("pg_settings_max_connections", "Most connections the server accepts.", read.MaxConnections);
        writer.Family("pg_stat_activity_count", MetricType.Gauge, "Connections by database and state.");
        foreach (var (database, state, count) in read.Connections)
        {
            writer.Sample("pg_stat_activity_count", PrometheusWriter.Labels(("datname", database), ("state", state)), count);
        }

        WriteDatabases(writer, read, "pg_database_size_bytes", MetricType.Gauge, "Size of the database.", static row => row.SizeBytes);
        WriteDatabases(writer, read, "pg_stat_database_xact_commit", MetricType.Counter,
            "Transactions committed.", static row => row.Commits);
        WriteDatabases(writer, read, "pg_stat_database_xact_rollback", MetricType.Counter,
            "Transactions rolled back.", static row => row.Rollbacks);
        WriteDatabases(writer, read, "pg_stat_database_blks_hit", MetricType.Counter,
            "Blocks found in the buffer cache.", static row => row.BlocksHit);
        WriteDatabases(writer, read, "pg_stat_database_blks_read", MetricType.Counter, "Blocks read from disk.",
            static row => row.BlocksRead);
        if (read.Statements.Count > 0)
        {
            writer.Family("pg_stat_statements_mean_time_ms", MetricType.Gauge,
                "Mean execution time of the ten slowest statements with at least five calls.");
            foreach (var (database, queryId, mean) in read.Statements)
            {
                writer.Sample("pg_stat_statements_mean_time_ms",
                    PrometheusWriter.Labels(("datname", database), ("queryid", queryId)), mean);
            }
        }
    }

    private static void WriteDatabases(
        PrometheusWriter writer, PostgresStatisticsSnapshot read, string name, MetricType type, string help,
        Func<DatabaseStatistics, double> value)
    {
        writer.Family(name, type, help);
        foreach (var row in read.Databases)
        {
            writer.Sample(name, PrometheusWriter.Labels(("datname", row.Name)), value(row));
        }
    }
}
