using System.Text.Json;
using Npgsql;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>What a claim found: the proposal to carry out, the outcome of the one time it was, or why neither.</summary>
internal readonly record struct ProposalClaim(RemediationState? Proposal, RemediationOutcome? Outcome, string? Refusal);

/// <summary>
/// The proposals this process made for orchestrators in other processes. What is carried out is what was proposed from here, never what a
/// caller sends, and once: the first claim takes it, whatever becomes of the process afterwards.
/// </summary>
internal sealed class ProposalStore(NpgsqlDataSource database)
{
    /// <summary>Keeps a proposal; one that was not carried out yet is replaced.</summary>
    public async Task KeepAsync(Guid jobId, RemediationState proposal, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            insert into mats.proposals (job_id, command_hash, expires_at, state) values ($1, $2, $3, $4)
            on conflict (job_id) do update set command_hash = $2, expires_at = $3, state = $4 where mats.proposals.approved_by is null
            """);
        command.Parameters.AddWithValue(jobId);
        command.Parameters.AddWithValue(proposal.CommandHash);
        command.Parameters.AddWithValue(proposal.ExpiresAt);
        command.Parameters.Add(State(proposal));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Takes a proposal to carry it out, if it is this command's, in time, and for the first time.</summary>
    public async Task<ProposalClaim> ClaimAsync(
        Guid jobId, string? commandHash, string approver, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var claim = database.CreateCommand(
            """
            update mats.proposals set approved_by = $3
            where job_id = $1 and command_hash = $2 and approved_by is null and expires_at >= $4 returning state
            """);
        claim.Parameters.AddWithValue(jobId);
        claim.Parameters.AddWithValue(commandHash ?? "");
        claim.Parameters.AddWithValue(approver);
        claim.Parameters.AddWithValue(now);
        if (await claim.ExecuteScalarAsync(cancellationToken) is string state)
        {
            return new(JsonSerializer.Deserialize(state, RemediationJson.Default.RemediationState), null, null);
        }

        await using var look = database.CreateCommand("select command_hash, approved_by, outcome from mats.proposals where job_id = $1");
        look.Parameters.AddWithValue(jobId);
        await using var reader = await look.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return Refused("This agent proposed no command for that job. Nothing was changed.");
        }

        if (reader.GetString(0) != commandHash)
        {
            return Refused("The approval is not for this command: its command_hash differs. Nothing was changed.");
        }

        return reader.IsDBNull(1) ? Refused("The approval came too late. Nothing was changed.")
            : reader.IsDBNull(2) ? Refused("The command was begun before, and its outcome is unknown; it is not run again.")
            : new(null, JsonSerializer.Deserialize(reader.GetString(2), RemediationJson.Default.RemediationOutcome), null);

        static ProposalClaim Refused(string reason) => new(null, null, reason);
    }

    /// <summary>Saves how far a proposal got.</summary>
    public async Task SaveAsync(Guid jobId, RemediationState state, RemediationOutcome? outcome, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update mats.proposals set state = $2, outcome = $3 where job_id = $1");
        command.Parameters.AddWithValue(jobId);
        command.Parameters.Add(State(state));
        command.Parameters.Add(JsonColumn.Of(
            outcome is null ? null : JsonSerializer.Serialize(outcome, RemediationJson.Default.RemediationOutcome)));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static NpgsqlParameter State(RemediationState state) =>
        JsonColumn.Of(JsonSerializer.Serialize(state, RemediationJson.Default.RemediationState));
}
