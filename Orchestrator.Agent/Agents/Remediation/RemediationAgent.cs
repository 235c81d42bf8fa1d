using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>
/// Carries out the fix of an RCA, if it may.
/// </summary>
/// <remarks>
/// 1. PRE_VERIFY: the target must be allowed; a service that is already well ends it.
/// 2. APPROVE: the command, its dry run and its way back are shown; the job waits for an approval of exactly this command.
/// 3. APPLY_FIX: the approved vector runs once, without a shell.
/// 4. POST_VERIFY: the validation query must keep its threshold; else the rollback runs, and it counts as a failure.
/// 5. DOCUMENT: a report and an audit entry, always.
/// </remarks>
internal sealed class RemediationAgent(
    IOptions<RemediationOptions> options, Validation validation, RcaStore store, SessionStore sessions, NpgsqlDataSource database,
    IHttpClientFactory http)
{
    public const string Name = "mats-remediation-agent";

    /// <summary>The result of a remediation request: waiting for approval, done, or why not.</summary>
    public async Task<JobResult> RunAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("delegate_remediation", MatsTracing.Agent, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.role", "remediation");
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
        var result = run.State.Remediation is { } proposed && run.Job.Reply is { } reply
            ? await AnswerAsync(run, proposed, reply) : await ProposeAsync(run);
        MatsTracing.Output(span, result.Response ?? result.Status, "text/plain");
        return result;
    }

    private async Task<JobResult> ProposeAsync(InvestigationRun run)
    {
        var session = await sessions.FindAsync(run.Job.UserEmail, run.Job.SessionId, run.Stop);
        var spec = RemediationText.Parse(run.Job.Request.Text) ?? session?.ArchitectOutput?.RcaContent?.RemediationSpec;
        if (spec is null)
        {
            return Ended(run, "FAILURE", "No Active Investigation Found");
        }

        run.State.Project ??= run.Job.Request.Project ?? session?.Project;
        if (string.IsNullOrWhiteSpace(spec.RemediationCommand))
        {
            var plan = string.Join("\n", session?.ArchitectOutput?.Recommendations.Select(step => $"- {step}") ?? []);
            return Ended(run, "MANUAL_INTERVENTION", $"The RCA holds no command that could run. What a person should do:\n{plan}");
        }

        if (CommandLine.Permit(spec.RemediationCommand, options.Value) is not { } command)
        {
            return Ended(run, "MANUAL_INTERVENTION", $"The command is not on the allow-list and was not run: {spec.RemediationCommand}");
        }

        // 1. PRE_VERIFY
        if (spec.TargetUrl is { Length: > 0 } target && !options.Value.Targets.Any(allowed => IsUnder(target, allowed)))
        {
            return Ended(run, "FAILURE", $"The target {target} is not on the allow-list.");
        }

        var before = await MeasureAsync(run, spec);
        var state = new RemediationState(spec, command.Vector, command.Hash, command.Rollback, await DryRunAsync(run, command))
        {
            ExpiresAt = run.Now + options.Value.ApprovalLifetime,
        }.With("PRE_VERIFY", before.Holds == true ? "HEALTHY" : "REPRODUCED", before.Text, run.Now);
        run.State.Remediation = state;
        if (before.Holds == true)
        {
            return await DocumentAsync(
                run, "SUCCESS", "The problem is not reproducible: the service is already well. Nothing was changed.");
        }

        // 2. APPROVE
        await run.SaveAsync();
        var need = $"{RemediationState.ApprovalNeed}{command.Hash} until {state.ExpiresAt:yyyy-MM-ddTHH:mm:ssZ}";
        return JobResults.Waiting(
            run.State, run.Job,
            $"This command would run:\n\n    {string.Join(' ', command.Vector)}\n\nDry run: {state.DryRun}\n\nRollback: " +
            $"{(command.Rollback is null ? "none" : string.Join(' ', command.Rollback))}",
            [new(1, "Approve the command with command_hash", need)]) with
        {
            Remediation = state, Orchestrator = new(Name),
        };
    }

    /// <summary>
    /// From the user's answer to the report. A run that is taken up again goes on after the last phase it finished: no command runs twice.
    /// </summary>
    private async Task<JobResult> AnswerAsync(InvestigationRun run, RemediationState state, Reply reply)
    {
        if (state.Executing is { } interrupted)
        {
            return await DocumentAsync(
                run, "FAILURE", $"The service stopped while the command of {interrupted} ran. Its outcome is unknown, and it is not " +
                    $"run again.");
        }

        if (state.OutcomeOf("APPROVE") is null)
        {
            if (Refusal(state, reply) is { } refusal)
            {
                run.State.Remediation = state.With("APPROVE", reply.Action == Reply.Expire ? "EXPIRED" : "REFUSED", refusal, run.Now);
                return await DocumentAsync(run, "FAILURE", $"{refusal} Nothing was changed.");
            }

            state = (state with { ApprovedBy = reply.UserEmail }).With("APPROVE", "APPROVED", reply.UserEmail, run.Now);
        }

        // 3. APPLY_FIX
        if (state.OutcomeOf("APPLY_FIX") is null)
        {
            state = await ExecuteOnceAsync(run, state, "APPLY_FIX", "apply_fix", state.Command);
        }

        // 4. POST_VERIFY
        if (state.OutcomeOf("POST_VERIFY") is null)
        {
            var (holds, text) = state.OutcomeOf("APPLY_FIX") == "SUCCESS"
                ? await MeasureAsync(run, state.Spec) : (false, "the command failed");
            state = state.With("POST_VERIFY", holds == true ? "SUCCESS" : "FAILURE", text, run.Now);
            run.State.Remediation = state;
            await run.SaveAsync();
        }

        var after = state.Steps.Last(step => step.Phase == "POST_VERIFY");
        if (after.Outcome == "SUCCESS")
        {
            return await DocumentAsync(run, "SUCCESS", $"The fix was applied and verified: {after.Detail}.");
        }

        if (state.Rollback is not { } rollback)
        {
            return await DocumentAsync(run, "FAILURE", $"The fix did not help ({after.Detail}); this command has no rollback.");
        }

        if (state.OutcomeOf("ROLLBACK") is null)
        {
            state = await ExecuteOnceAsync(run, state, "ROLLBACK", "roll_back", rollback);
        }

        return await DocumentAsync(
            run, "FAILURE",
            $"The fix did not help ({after.Detail}); it was {(state.OutcomeOf("ROLLBACK") == "SUCCESS" ? "rolled back" : "NOT rolled back: the rollback failed")}.");
    }

    private static string? Refusal(RemediationState state, Reply reply) => reply switch
    {
        { Action: Reply.Expire } => $"The approval expired at {state.ExpiresAt:yyyy-MM-ddTHH:mm:ssZ}: nobody approved the command in time.",
        { Action: not "approve" } => "The command was not approved.",
        { CommandHash: var hash } when !string.Equals(hash, state.CommandHash, StringComparison.Ordinal) =>
            "The approval is not for this command: its command_hash differs.",
        { Time: var time } when time > state.ExpiresAt => "The approval came too late.",
        _ => null,
    };

    /// <summary>Runs the command of a phase, on record before and after.</summary>
    private async Task<RemediationState> ExecuteOnceAsync(
        InvestigationRun run, RemediationState state, string phase, string tool, IReadOnlyList<string> vector)
    {
        run.State.Remediation = state with { Executing = phase };
        await run.SaveAsync();
        var (exitCode, output) = await ExecuteAsync(run, tool, vector);
        run.State.Remediation = state.With(phase, exitCode == 0 ? "SUCCESS" : "FAILURE", $"exit code {exitCode}: {output}", run.Now);
        await run.SaveAsync();
        return run.State.Remediation;
    }

    /// <summary>Whether the service keeps its threshold now; null when nothing can be measured, which never counts as success.</summary>
    private async Task<(bool? Holds, string Text)> MeasureAsync(InvestigationRun run, RemediationSpec spec)
    {
        if (spec.TargetUrl is { Length: > 0 } target)
        {
            var answered = await ProbeAsync(run, target);
            if (spec.ValidationQuery is null or "")
            {
                return (answered, $"{target} {(answered ? "answers" : "does not answer")}");
            }
        }

        if (spec.ValidationQuery is not { Length: > 0 } query || spec.ValidationThreshold is not { Length: > 0 } threshold
            || run.State.Project is not { } project)
        {
            return (null, "nothing to measure by: validation query, threshold or project is missing");
        }

        var window = new TimeWindow(run.Now - options.Value.ValidationWindow, run.Now);
        var value = await run.CallToolAsync(
            "validate", "Evaluates the validation query over the last minutes.",
            JsonSerializer.Serialize(new ValidationCall(query, threshold), RemediationJson.Default.ValidationCall), Name,
            stop => validation.EvaluateAsync(project, query, window, stop),
            found => found is null ? "no value" : string.Create(CultureInfo.InvariantCulture, $"{query} = {found:0.####}"));
        return value is { } number
            ? (
                Validation.Holds(number, threshold),
                string.Create(CultureInfo.InvariantCulture, $"{query} = {number:0.####}, wanted {threshold}"))
            : (null, $"{query} has no value in the last {options.Value.ValidationWindow.TotalMinutes:0} minutes");
    }

    private Task<bool> ProbeAsync(InvestigationRun run, string target) => run.CallToolAsync(
        "probe", "Asks the target whether it answers.", JsonSerializer.Serialize(new ProbeCall(target), RemediationJson.Default.ProbeCall),
        Name,
        async stop =>
        {
            using var client = http.CreateClient("remediation-target");
            try
            {
                using var response = await client.GetAsync(new Uri(target), stop);
                return response.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        },
        answered => answered ? "it answers" : "it does not answer");

    private async Task<string> DryRunAsync(InvestigationRun run, PermittedCommand command) => command.DryRun is { } vector
        ? (await ExecuteAsync(run, "dry_run", vector)).Output
        : $"would run {string.Join(' ', command.Vector)}";

    private Task<(int ExitCode, string Output)> ExecuteAsync(InvestigationRun run, string tool, IReadOnlyList<string> vector) =>
        run.CallToolAsync(
            tool, "Runs a command of the allow-list without a shell.",
            JsonSerializer.Serialize(new CommandCall(vector), RemediationJson.Default.CommandCall), Name,
            stop => CommandLine.RunAsync(vector, options.Value.CommandTimeout, stop),
            result => $"exit code {result.ExitCode}: {result.Output}");

    private async Task<JobResult> DocumentAsync(InvestigationRun run, string status, string response)
    {
        var state = run.State.Remediation!;
        var report = new StringBuilder(
            $"# Remediation report\n\nStatus: {status}\n\n{response}\n\nCommand: `{string.Join(' ', state.Command)}`\n\nApproved by: " +
            $"{state.ApprovedBy ?? "nobody"}\n\n");
        foreach (var step in state.Steps)
        {
            report.AppendLine(
                CultureInfo.InvariantCulture,
                $"- {step.Timestamp:yyyy-MM-ddTHH:mm:ssZ} {step.Phase}: {step.Outcome} ({step.Detail.ReplaceLineEndings(" ")})");
        }

        var path = await store.PutReportAsync(run.Job.Id, run.Job.SessionId, report.ToString(), run.Stop);
        run.State.Remediation = state.With("DOCUMENT", "SUCCESS", path, run.Now) with { ReportUrl = await store.LinkAsync(path, run.Stop) };
        await using var audit = database.CreateCommand(
            "insert into mats.audit (time, job_id, actor, action, detail) values ($1, $2, $3, $4, $5)");
        audit.Parameters.AddWithValue(run.Now);
        audit.Parameters.AddWithValue(run.Job.Id);
        audit.Parameters.AddWithValue(state.ApprovedBy ?? run.Job.Reply?.UserEmail ?? run.Job.UserEmail);
        audit.Parameters.AddWithValue($"remediation {status}");
        audit.Parameters.Add(
            new() { Value = JsonSerializer.Serialize(run.State.Remediation, RemediationJson.Default.RemediationState),
                NpgsqlDbType = NpgsqlDbType.Jsonb });
        await audit.ExecuteNonQueryAsync(run.Stop);
        return Ended(run, status, response);
    }

    private static JobResult Ended(InvestigationRun run, string status, string response) => new(status)
    {
        SessionId = run.Job.SessionId,
        TraceId = run.Job.TraceId,
        Orchestrator = new(Name),
        Response = response,
        Error = status == "FAILURE" ? response : null,
        Remediation = run.State.Remediation,
        ExecutionTrace = [.. run.State.ExecutionTrace],
        Warnings = [.. run.State.Warnings],
    };

    // Scheme, host and port must be the same, and the path must lie under the allowed one: "http://good" does not allow "http://good.evil".
    private static bool IsUnder(string target, string allowed) =>
        Uri.TryCreate(target, UriKind.Absolute, out var wanted) && Uri.TryCreate(allowed, UriKind.Absolute, out var root)
        && wanted.Scheme == root.Scheme && wanted.Authority == root.Authority && wanted.UserInfo.Length == 0
        && (wanted.AbsolutePath + "/").StartsWith(root.AbsolutePath.TrimEnd('/') + "/", StringComparison.Ordinal);
}

internal sealed record ValidationCall(string Query, string Threshold);

internal sealed record ProbeCall(string TargetUrl);

internal sealed record CommandCall(IReadOnlyList<string> Vector);

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy =
    System.Text.Json.Serialization.JsonKnownNamingPolicy.SnakeCaseLower)]
[System.Text.Json.Serialization.JsonSerializable(typeof(ValidationCall))]
[System.Text.Json.Serialization.JsonSerializable(typeof(ProbeCall))]
[System.Text.Json.Serialization.JsonSerializable(typeof(CommandCall))]
[System.Text.Json.Serialization.JsonSerializable(typeof(RemediationState))]
internal sealed partial class RemediationJson : System.Text.Json.Serialization.JsonSerializerContext;
