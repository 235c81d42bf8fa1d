using System.Text.Json;
using Npgsql;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>Who approved what, and what came of it; entries are only ever added.</summary>
internal sealed class AuditLog(NpgsqlDataSource database)
{
    /// <summary>The proposal as its user approved it, on record before its command can run: whatever ends the job afterwards.</summary>
    public async Task<RemediationState> ApproveAsync(
        Guid jobId, RemediationState proposal, string approver, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var approved = (proposal with { ApprovedBy = approver }).With("APPROVE", "APPROVED", approver, now);
        await WriteAsync(jobId, approver, "remediation APPROVED", approved, now, cancellationToken);
        return approved;
    }

    public async Task WriteAsync(
        Guid jobId, string actor, string action, RemediationState detail, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var insert = database.CreateCommand(
            "insert into mats.audit (time, job_id, actor, action, detail) values ($1, $2, $3, $4, $5)");
        insert.Parameters.AddWithValue(now);
        insert.Parameters.AddWithValue(jobId);
        insert.Parameters.AddWithValue(actor);
        insert.Parameters.AddWithValue(action);
        insert.Parameters.Add(JsonColumn.Of(JsonSerializer.Serialize(detail, RemediationJson.Default.RemediationState)));
        await insert.ExecuteNonQueryAsync(cancellationToken);
    }
}
