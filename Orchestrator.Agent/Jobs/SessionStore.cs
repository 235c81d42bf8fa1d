using System.Text.Json;
using Npgsql;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// What a user's session last came to, so that a follow-up finds the RCA. A session belongs to its user: the same id of another user is
/// another session.
/// </summary>
internal sealed class SessionStore(NpgsqlDataSource database)
{
    public async Task PutAsync(string userEmail, string sessionId, InvestigationState state, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            insert into mats.sessions (user_email, session_id, document) values ($1, $2, $3)
            on conflict (user_email, session_id) do update set document = excluded.document, updated_at = now()
            """);
        command.Parameters.AddWithValue(userEmail);
        command.Parameters.AddWithValue(sessionId);
        command.Parameters.Add(JsonColumn.Of(JsonSerializer.Serialize(state, MatsJson.Default.InvestigationState)));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The session's last state; null when the user has no such session.</summary>
    public async Task<InvestigationState?> FindAsync(string userEmail, string sessionId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select document from mats.sessions where user_email = $1 and session_id = $2");
        command.Parameters.AddWithValue(userEmail);
        command.Parameters.AddWithValue(sessionId);
        return await command.ExecuteScalarAsync(cancellationToken) is string document
            ? JsonSerializer.Deserialize(document, MatsJson.Default.InvestigationState)
            : null;
    }
}
