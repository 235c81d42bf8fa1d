using Npgsql;
using NpgsqlTypes;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Storage.Postgres.Accounts;

/// <summary>The table <c>users</c>. E-mail addresses are kept and looked up in lower case.</summary>
internal sealed class UserStore(NpgsqlDataSource dataSource)
{
    /// <summary>The owner of system keys, made by the migration.</summary>
    public const int SystemUserId = 1;

    private const string Columns = "id, email, username, role, password_hash, created_at, updated_at";

    /// <summary>The user, or null.</summary>
    public Task<UserRow?> FindByEmailAsync(string email, CancellationToken cancellationToken) =>
        OneAsync($"SELECT {Columns} FROM users WHERE email = lower($1)", command => command.Bind(email), cancellationToken);

    /// <summary>The user, or null.</summary>
    public Task<UserRow?> FindAsync(int id, CancellationToken cancellationToken) =>
        OneAsync($"SELECT {Columns} FROM users WHERE id = $1", command => command.Bind(id), cancellationToken);

    /// <summary>Users from <paramref name="from"/> downwards, newest first.</summary>
    public async Task<List<UserRow>> ListAsync(int from, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand($"SELECT {Columns} FROM users WHERE id <= $1 ORDER BY id DESC LIMIT $2");
        command.Bind(from);
        command.Bind(limit);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<UserRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(ToRow(reader));
        }

        return rows;
    }

    /// <summary>Whether somebody with the role ADMIN can log in.</summary>
    public async Task<bool> HasAdminAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            "SELECT EXISTS (SELECT FROM users WHERE role = 'ADMIN' AND password_hash IS NOT NULL)");
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>The new user, or null when e-mail address or name is taken. Durable when it returns.</summary>
    public Task<UserRow?> CreateAsync(string email, string username, string role, string? passwordHash,
        CancellationToken cancellationToken) => OneAsync(
        $"INSERT INTO users (email, username, role, password_hash) VALUES (lower($1), $2, $3, $4) ON CONFLICT DO NOTHING RETURNING {Columns}",
        command =>
        {
            command.Bind(email);
            command.Bind(username);
            command.Bind(role);
            command.BindNullable(passwordHash, NpgsqlDbType.Text);
        },
        cancellationToken);

    /// <summary>Sets the password and ends every session of the user, in one transaction; API keys stay.</summary>
    public async Task SetPasswordAsync(int id, string passwordHash, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var set = new NpgsqlCommand("UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1", connection, transaction);
        set.Bind(id);
        set.Bind(passwordHash);
        await set.ExecuteNonQueryAsync(cancellationToken);

        // A statement of its own: it sees the sessions that began while the first waited for the user's row.
        await using var end = new NpgsqlCommand(
            "DELETE FROM auth_tokens WHERE user_id = $1 AND kind <> 'ApiKey'", connection, transaction);
        end.Bind(id);
        await end.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Removes the user with all tokens; false when there is none.</summary>
    public async Task<bool> DeleteAsync(int id, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("DELETE FROM users WHERE id = $1");
        command.Bind(id);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    private async Task<UserRow?> OneAsync(string text, Action<NpgsqlCommand> bind, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(text);
        bind(command);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ToRow(reader) : null;
    }

    private static UserRow ToRow(NpgsqlDataReader reader) => new(
        reader.GetInt32(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), reader.TextOrNull(4),
        reader.GetFieldValue<DateTimeOffset>(5), reader.GetFieldValue<DateTimeOffset>(6));
}
