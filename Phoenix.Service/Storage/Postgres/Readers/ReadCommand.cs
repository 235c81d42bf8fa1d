using Npgsql;
using NpgsqlTypes;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>A command with numbered parameters, written as its text grows.</summary>
internal static class ReadCommand
{
    /// <summary>A command on a connection of its own, with the statement timeout set.</summary>
    public static NpgsqlCommand CreateRead(this NpgsqlDataSource dataSource, ReadLimits limits, string text)
    {
        var command = dataSource.CreateCommand(text);
        command.CommandTimeout = (int)Math.Ceiling(limits.StatementTimeout.TotalSeconds);
        return command;
    }

    /// <summary>Adds a parameter and returns its placeholder, <c>$n</c>.</summary>
    public static string Bind<T>(this NpgsqlCommand command, T value)
    {
        command.Parameters.Add(new NpgsqlParameter<T> { TypedValue = value });
        return $"${command.Parameters.Count}";
    }

    /// <summary>As <see cref="Bind{T}"/>, for a value that may be null and whose type must be said.</summary>
    public static string BindNullable(this NpgsqlCommand command, object? value, NpgsqlDbType type)
    {
        command.Parameters.Add(new NpgsqlParameter { Value = value ?? DBNull.Value, NpgsqlDbType = type });
        return $"${command.Parameters.Count}";
    }

    public static string? TextOrNull(this NpgsqlDataReader reader, int ordinal) =>
        reader.IsDBNull(ordinal) ? null : reader.GetString(ordinal);

    public static long? LongOrNull(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetInt64(ordinal);

    public static Guid? GuidOrNull(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetGuid(ordinal);

    public static double? DoubleOrNull(this NpgsqlDataReader reader, int ordinal) =>
        reader.IsDBNull(ordinal) ? null : reader.GetDouble(ordinal);

    public static short? ShortOrNull(this NpgsqlDataReader reader, int ordinal) =>
        reader.IsDBNull(ordinal) ? null : reader.GetInt16(ordinal);
}
