using System.Net.Sockets;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>Who is at fault when a statement fails, and so what to do next.</summary>
internal enum WriteFault
{
    /// <summary>The connection or the server is gone, or a conflict with another transaction: try again after a pause.</summary>
    Transient,

    /// <summary>A row is stored already: merge instead of copy.</summary>
    Duplicate,

    /// <summary>A partition appeared or went away: look again and retry.</summary>
    Partition,

    /// <summary>A value PostgreSQL refuses: isolate the row.</summary>
    Data,

    /// <summary>No space, or a read-only server: refuse now, retryable, until somebody mends it.</summary>
    Storage,
}

/// <summary>Sorts what Npgsql throws (PostgreSQL docs, appendix A: error codes).</summary>
internal static class PostgresErrors
{
    /// <summary>The fault of <paramref name="exception"/>, which came from Npgsql.</summary>
    public static WriteFault Classify(
        Exception exception) => exception is not PostgresException error ? WriteFault.Transient : error.SqlState switch
        {
            PostgresErrorCodes.UniqueViolation => WriteFault.Duplicate,
            PostgresErrorCodes.CheckViolation or PostgresErrorCodes.UndefinedTable => WriteFault.Partition,
            PostgresErrorCodes.DiskFull or PostgresErrorCodes.ReadOnlySqlTransaction
                or PostgresErrorCodes.ConfigurationLimitExceeded => WriteFault.Storage,
            PostgresErrorCodes.ProgramLimitExceeded or PostgresErrorCodes.NotNullViolation => WriteFault.Data,
            var state when state.StartsWith("22", StringComparison.Ordinal) => WriteFault.Data,
            _ => WriteFault.Transient,
        };

    /// <summary>Whether <paramref name="exception"/> comes from the database or the way to it, and not from a mistake of ours.</summary>
    public static bool IsDatabase(Exception exception) =>
        exception is NpgsqlException or SocketException or TimeoutException or IOException or OperationCanceledException;

    /// <summary>Whether a value of the caller holds what text cannot: the character NUL, or half of a surrogate pair.</summary>
    public static bool IsNoText(Exception exception) => exception is PostgresException
    {
        SqlState: PostgresErrorCodes.CharacterNotInRepertoire or PostgresErrorCodes.UntranslatableCharacter
    };

    /// <summary>A refusal that no waiting mends: wrong credentials, or a database that does not exist. Null for all others.</summary>
    public static string? Permanent(Exception exception) => exception is PostgresException
    {
        SqlState: PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification
            or PostgresErrorCodes.InvalidCatalogName
            or PostgresErrorCodes.InsufficientPrivilege
    } error
        ? $"PostgreSQL refuses the connection of ConnectionStrings:phoenixdb (PHOENIX_SQL_DATABASE_URL): {error.MessageText}"
        : null;

    /// <summary>What a sender whose records could not be written is told.</summary>
    public static string Explain(Exception exception) => Classify(exception) == WriteFault.Storage && exception is PostgresException error
        ? error.SqlState switch
        {
            PostgresErrorCodes.DiskFull =>
                "the database has no space left on its disk (SQLSTATE 53100); nothing was stored, send it again later",
            PostgresErrorCodes.ReadOnlySqlTransaction =>
                "the database is read-only (SQLSTATE 25006); nothing was stored, send it again later",
            _ => $"the database has reached a limit (SQLSTATE {error.SqlState}); nothing was stored, send it again later",
        }
        : "the database does not answer";

    /// <summary>One line about <paramref name="exception"/> that holds no row content.</summary>
    public static string Describe(Exception exception) =>
        exception is PostgresException error ? $"{error.SqlState} {error.MessageText}" : exception.Message;
}
