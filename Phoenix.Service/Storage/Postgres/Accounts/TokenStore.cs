using Npgsql;
using NpgsqlTypes;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Storage.Postgres.Accounts;

/// <summary>
/// The table <c>auth_tokens</c>. Everything is durable when it returns; a removed token never comes back, and its id is never used again.
/// </summary>
internal sealed class TokenStore(NpgsqlDataSource dataSource)
{
    private const string KeyColumns = "t.id, t.user_id, u.email, u.username, t.name, t.description, t.created_at, t.expires_at";

    // Expired ones are kept for a day, so that their owner is told "expired" and not "revoked". What another session is just removing is
    // left to it. The user is locked before tokens are, as by a change of the password, which must find every session of the old one.
    private const string InsertPair = """
        WITH stale AS (DELETE FROM auth_tokens WHERE id IN (
            SELECT id FROM auth_tokens WHERE kind <> 'ApiKey' AND expires_at < $2 - interval '1 day' FOR UPDATE SKIP LOCKED)),
        owner AS (SELECT id FROM users WHERE id = $1 AND ($5 IS NULL OR password_hash = $5) FOR SHARE),
        refresh AS (INSERT INTO auth_tokens (kind, user_id, created_at, expires_at) SELECT 'RefreshToken', id, $2, $3 FROM owner RETURNING id)
        INSERT INTO auth_tokens (kind, user_id, refresh_id, created_at, expires_at) SELECT 'AccessToken', $1, id, $2, $4 FROM refresh RETURNING id, refresh_id
        """;

    /// <summary>The token, expired or not; null when it was revoked.</summary>
    public async Task<TokenRow?> FindAsync(long id, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            "SELECT t.id, t.kind, t.user_id, u.email, u.username, u.role, t.expires_at FROM auth_tokens t JOIN users u ON u.id = t.user_id WHERE t.id = $1");
        command.Bind(id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new TokenRow(
                reader.GetInt64(0), reader.GetString(1), reader.GetInt32(2), reader.GetString(3), reader.GetString(4),
                reader.GetString(5), TimeOrNull(reader, 6))
            : null;
    }

    /// <summary>
    /// The two tokens of a new session; null when <paramref name="passwordHash"/>, which was checked, is not the user's any more.
    /// </summary>
    public async Task<TokenPair?> CreatePairAsync(
        int userId, string passwordHash, DateTimeOffset now, DateTimeOffset refreshExpires, DateTimeOffset accessExpires,
        CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        return await InsertPairAsync(connection, userId, passwordHash, now, refreshExpires, accessExpires, cancellationToken);
    }

    /// <summary>
    /// Takes a refresh token, and the access token that went with it, for a new pair; null when it is expired, revoked or was taken before.
    /// </summary>
    public async Task<TokenPair?> RotateAsync(
        long refreshId, DateTimeOffset now, DateTimeOffset refreshExpires, DateTimeOffset accessExpires,
        CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var hold = new NpgsqlCommand(
            "SELECT FROM users WHERE id = (SELECT user_id FROM auth_tokens WHERE id = $1) FOR SHARE", connection, transaction);
        hold.Bind(refreshId);
        await hold.ExecuteNonQueryAsync(cancellationToken);
        await using var take = new NpgsqlCommand(
            "DELETE FROM auth_tokens WHERE id = $1 AND kind = 'RefreshToken' AND expires_at > $2 RETURNING user_id", connection,
            transaction);
        take.Bind(refreshId);
        take.Bind(now.UtcDateTime);
        if (await take.ExecuteScalarAsync(cancellationToken) is not int userId)
        {
            return null;
        }

        var pair = await InsertPairAsync(connection, userId, passwordHash: null, now, refreshExpires, accessExpires, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return pair;
    }

    /// <summary>Ends the session that <paramref name="id"/>, one of its two tokens, belongs to.</summary>
    public async Task EndSessionAsync(long id, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            "DELETE FROM auth_tokens WHERE kind <> 'ApiKey' AND id IN (SELECT coalesce(refresh_id, id) FROM auth_tokens WHERE id = $1)");
        command.Bind(id);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>A new API key.</summary>
    public async Task<ApiKeyRow> CreateKeyAsync(
        int userId, string name, string? description, DateTimeOffset now, DateTimeOffset? expires, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand($"""
            WITH t AS (INSERT INTO auth_tokens (kind, user_id, name, description, created_at, expires_at) VALUES ('ApiKey', $1, $2, $3, $4, $5) RETURNING *)
            SELECT {KeyColumns} FROM t JOIN users u ON u.id = t.user_id
            """);
        command.Bind(userId);
        command.Bind(name);
        command.BindNullable(description, NpgsqlDbType.Text);
        command.Bind(now.UtcDateTime);
        command.BindNullable(expires?.UtcDateTime, NpgsqlDbType.TimestampTz);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return ToKey(reader);
    }

    /// <summary>
    /// API keys from <paramref name="from"/> downwards, newest first: of <paramref name="userId"/>, or of everyone but the system when
    /// null.
    /// </summary>
    public async Task<List<ApiKeyRow>> ListKeysAsync(int? userId, long from, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand();
        command.CommandText = $"""
            SELECT {KeyColumns} FROM auth_tokens t JOIN users u ON u.id = t.user_id
            WHERE t.kind = 'ApiKey' AND t.id <= {command.Bind(from)} AND t.user_id {(userId is null ? "<>" : "=")} {command.Bind(userId ?? UserStore.SystemUserId)}
            ORDER BY t.id DESC LIMIT {command.Bind(limit)}
            """;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<ApiKeyRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(ToKey(reader));
        }

        return rows;
    }

    /// <summary>Revokes an API key of <paramref name="userId"/>, or of anyone but the system when null; false when there is none.</summary>
    public async Task<bool> DeleteKeyAsync(long id, int? userId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            $"DELETE FROM auth_tokens WHERE kind = 'ApiKey' AND id = $1 AND user_id {(userId is null ? "<>" : "=")} $2");
        command.Bind(id);
        command.Bind(userId ?? UserStore.SystemUserId);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    private static async Task<TokenPair?> InsertPairAsync(
        NpgsqlConnection connection, int userId, string? passwordHash, DateTimeOffset now, DateTimeOffset refreshExpires,
        DateTimeOffset accessExpires, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(InsertPair, connection);
        command.Bind(userId);
        command.Bind(now.UtcDateTime);
        command.Bind(refreshExpires.UtcDateTime);
        command.Bind(accessExpires.UtcDateTime);
        command.BindNullable(passwordHash, NpgsqlDbType.Text);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new TokenPair(reader.GetInt64(0), reader.GetInt64(1)) : null;
    }

    private static ApiKeyRow ToKey(NpgsqlDataReader reader) => new(
        reader.GetInt64(0), reader.GetInt32(1), reader.GetString(2), reader.GetString(3), reader.GetString(4), reader.TextOrNull(5),
        reader.GetFieldValue<DateTimeOffset>(6), TimeOrNull(reader, 7));

    private static DateTimeOffset? TimeOrNull(NpgsqlDataReader reader, int ordinal) =>
        reader.IsDBNull(ordinal) ? null : reader.GetFieldValue<DateTimeOffset>(ordinal);
}
