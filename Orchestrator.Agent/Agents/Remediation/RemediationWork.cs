using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>What became of one part of a remediation.</summary>
/// <param name="Status">
/// WAITING_FOR_USER, SUCCESS, FAILURE, MANUAL_INTERVENTION, or PARTIAL when the budget ended it before anything was changed.
/// </param>
/// <param name="State">The proposal and its steps; null when nothing could be proposed.</param>
internal sealed record RemediationOutcome(string Status, string Response, RemediationState? State);

/// <summary>
/// The parts of a remediation that touch systems, in the process they run in: its allow-list alone says what may be probed and run. A
/// command begins only when the budget holds what ends it too: the looks at its effect, and its rollback.
/// </summary>
internal sealed class RemediationWork(
    IOptions<RemediationOptions> options, Validation validation, IHttpClientFactory http, TimeProvider time)
{
    /// <summary>Tool calls of one look at the service: the query or, without one, the probe.</summary>
    private const int CallsOfALook = 1;
    private const int CallsOfARollback = 1;
    private const int CallsOfAFix = 1 + CallsOfALook + CallsOfARollback;
    private const string NotRun = "NOT_RUN";
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(5);

    /// <summary>PRE_VERIFY: what would run, whether it is needed at all, and what its dry run says. Changes nothing.</summary>
    public async Task<RemediationOutcome> ProposeAsync(InvestigationRun run, RemediationSpec spec)
    {
        if (spec.RemediationCommand is not { } text || CommandLine.Permit(text, options.Value) is not { } command)
        {
            return new(
                "MANUAL_INTERVENTION", $"The command is not on the allow-list and was not run: {spec.RemediationCommand}", State: null);
        }

        if (spec.TargetUrl is { Length: > 0 } target && !options.Value.Targets.Any(allowed => IsUnder(target, allowed)))
        {
            return new("FAILURE", $"The target {target} is not on the allow-list.", State: null);
        }

        var state = new RemediationState(spec, command.Vector, command.Hash, command.Rollback, "");
        run.State.Remediation = state;
        var before = await MeasureAsync(run, spec, run.Now - options.Value.ValidationWindow, run.Stop);
        state = state.With(
            "PRE_VERIFY", before.Holds switch { true => "HEALTHY", false => "REPRODUCED", null => "UNKNOWN" }, before.Text, run.Now);
        run.State.Remediation = state;
        if (before.Holds == true)
        {
            return new("SUCCESS", "The problem is not reproducible: the service is already well. Nothing was changed.", state);
        }

        state = state with { DryRun = await DryRunAsync(run, command), ExpiresAt = run.Now + options.Value.ApprovalLifetime };
        if (run.Budget.Lack(CallsOfAFix) is { } lack)
        {
            run.State.Limit($"No approval was asked for: {lack}.");
            return new("PARTIAL", $"{lack}. Nothing was changed.", state.With("APPROVE", "NOT_ASKED", lack, run.Now));
        }

        return new("WAITING_FOR_USER", "The command waits for its approval.", state);
    }

    /// <summary>
    /// APPLY_FIX and POST_VERIFY of an approved proposal, and the rollback when it did not help. Goes on after the last phase that is
    /// done: no command runs twice. Leaves the proposal with its steps in the run's state.
    /// </summary>
    public async Task<RemediationOutcome> CarryOutAsync(InvestigationRun run, RemediationState state)
    {
        run.State.Remediation = state;

        // The list may have changed since the proposal.
        if (CommandLine.Permit([.. state.Command], options.Value)?.Hash != state.CommandHash)
        {
            return Ended("FAILURE", "The command is not on the allow-list any more. Nothing was changed.");
        }

        if (state.OutcomeOf("APPLY_FIX") is null)
        {
            state = await ExecuteOnceAsync(
                run, state, "APPLY_FIX", "apply_fix", state.Command, CallsOfAFix, run.Budget.Share(options.Value.CommandTimeout));
            if (state.OutcomeOf("APPLY_FIX") == NotRun)
            {
                return Ended("PARTIAL", $"{state.Steps[^1].Detail}. Nothing was changed.");
            }
        }

        if (state.OutcomeOf("POST_VERIFY") is null)
        {
            var applied = state.Steps.Last(step => step.Phase == "APPLY_FIX");
            var (holds, text) = applied.Outcome == "SUCCESS"
                ? await MeasureSinceAsync(run, state.Spec, applied.Timestamp) : (false, "the command failed");
            state = state.With("POST_VERIFY", holds == true ? "SUCCESS" : "FAILURE", text, run.Now);
            run.State.Remediation = state;
            await run.SaveAsync();
        }

        var after = state.Steps.Last(step => step.Phase == "POST_VERIFY");
        if (after.Outcome == "SUCCESS")
        {
            return Ended("SUCCESS", $"The fix was applied and verified: {after.Detail}.");
        }

        if (state.Rollback is not { } rollback)
        {
            return Ended("FAILURE", $"The fix did not help ({after.Detail}); this command has no rollback.");
        }

        if (state.OutcomeOf("ROLLBACK") is null)
        {
            state = await ExecuteOnceAsync(
                run, state, "ROLLBACK", "roll_back", rollback, CallsOfARollback, options.Value.CommandTimeout);
        }

        var back = state.Steps.Last(step => step.Phase == "ROLLBACK");
        return Ended(
            "FAILURE", $"The fix did not help ({after.Detail}); it was " +
                (back.Outcome == "SUCCESS" ? "rolled back." : $"NOT rolled back: the rollback failed ({back.Detail})."));

        RemediationOutcome Ended(string status, string response) => new(status, response, run.State.Remediation);
    }

    /// <summary>Runs the command of a phase, on record before and after; not when the budget lacks the calls it takes to end it.</summary>
    private static async Task<RemediationState> ExecuteOnceAsync(
        InvestigationRun run, RemediationState state, string phase, string tool, IReadOnlyList<string> vector, int calls, TimeSpan timeout)
    {
        if (run.Budget.Lack(calls) is { } lack)
        {
            run.State.Limit($"{phase} was not run: {lack}.");
            return run.State.Remediation = state.With(phase, NotRun, lack, run.Now);
        }

        run.State.Remediation = state with { Executing = phase };
        await run.SaveAsync();
        var (exitCode, output) = await ExecuteAsync(run, tool, vector, timeout);
        run.State.Remediation = state.With(phase, exitCode == 0 ? "SUCCESS" : "FAILURE", $"exit code {exitCode}: {output}", run.Now);
        await run.SaveAsync();
        return run.State.Remediation;
    }

    /// <summary>
    /// Measures what came after the fix, never what was broken before it, and looks again while the service recovers: until the threshold
    /// holds, the patience ends, or what is left of the budget is needed for the rollback.
    /// </summary>
    private async Task<(bool? Holds, string Text)> MeasureSinceAsync(InvestigationRun run, RemediationSpec spec, DateTimeOffset applied)
    {
        var patience = run.Budget.Share(options.Value.ValidationPatience);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(run.Stop);
        limit.CancelAfter(run.Budget.Share(TimeSpan.MaxValue));
        var started = time.GetTimestamp();
        (bool? Holds, string Text) measured = (null, "no measurement within the working time");
        try
        {
            while (true)
            {
                var latest = run.Now - options.Value.ValidationWindow;
                measured = await MeasureAsync(run, spec, applied > latest ? applied : latest, limit.Token);
                if (measured.Holds == true || time.GetElapsedTime(started) >= patience)
                {
                    return measured;
                }

                if (run.Budget.Lack(CallsOfALook + CallsOfARollback) is { } lack)
                {
                    run.State.Limit($"The service was not watched any longer after the fix: {lack}.");
                    return measured;
                }

                await Task.Delay(s_pause, time, limit.Token);
            }
        }
        catch (OperationCanceledException) when (!run.Lifetime.IsCancellationRequested)
        {
            run.State.Limit(
                "The service was not watched any longer after the fix: the working time that is left was kept for the rollback.");
            return measured;
        }
    }

    /// <summary>Whether the service keeps its threshold now; null when nothing can be measured, which never counts as success.</summary>
    private async Task<(bool? Holds, string Text)> MeasureAsync(
        InvestigationRun run, RemediationSpec spec, DateTimeOffset since, CancellationToken cancellationToken)
    {
        // Beside a query the target is left alone: its answer would decide nothing, and be one of the requests that the query measures.
        if (spec.TargetUrl is { Length: > 0 } target && spec.ValidationQuery is null or "")
        {
            var answered = await ProbeAsync(run, target, cancellationToken);
            return (answered, $"{target} {(answered ? "answers" : "does not answer")}");
        }

        if (spec.ValidationQuery is not { Length: > 0 } query || spec.ValidationThreshold is not { Length: > 0 } threshold
            || run.State.Project is not { } project)
        {
            return (null, "nothing to measure by: validation query, threshold or project is missing");
        }

        var window = new TimeWindow(since, run.Now);
        double? value;
        try
        {
            value = await run.CallToolAsync(
                "validate", "Evaluates the validation query over the last minutes.",
                JsonSerializer.Serialize(new ValidationCall(query, threshold), RemediationJson.Default.ValidationCall),
                RemediationAgent.Name, _ => validation.EvaluateAsync(project, query, window, cancellationToken),
                found => found is null ? "no value" : string.Create(CultureInfo.InvariantCulture, $"{query} = {found:0.####}"));
        }
        catch (PhoenixUnavailableException e)
        {
            return (null, $"{query} could not be evaluated: {e.Message}");
        }

        return value is { } number
            ? (
                Validation.Holds(number, threshold),
                string.Create(CultureInfo.InvariantCulture, $"{query} = {number:0.####}, wanted {threshold}"))
            : (null, $"{query} has no value since {since:HH:mm:ss}");
    }

    private Task<bool> ProbeAsync(InvestigationRun run, string target, CancellationToken cancellationToken) => run.CallToolAsync(
        "probe", "Asks the target whether it answers.", JsonSerializer.Serialize(new ProbeCall(target), RemediationJson.Default.ProbeCall),
        RemediationAgent.Name,
        async _ =>
        {
            using var client = http.CreateClient("remediation-target");
            try
            {
                using var response = await client.GetAsync(new Uri(target), cancellationToken);
                return response.IsSuccessStatusCode;
            }
            catch (Exception e) when (e is HttpRequestException
                || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                return false;
            }
        },
        answered => answered ? "it answers" : "it does not answer");

    private async Task<string> DryRunAsync(InvestigationRun run, PermittedCommand command) => command.DryRun is { } vector
        ? (await ExecuteAsync(run, "dry_run", vector, run.Budget.Share(options.Value.CommandTimeout))).Output
        : $"would run {string.Join(' ', command.Vector)}";

    private static Task<(int ExitCode, string Output)> ExecuteAsync(
        InvestigationRun run, string tool, IReadOnlyList<string> vector, TimeSpan timeout) => run.CallToolAsync(
            tool, "Runs a command of the allow-list without a shell.",
            JsonSerializer.Serialize(new CommandCall(vector), RemediationJson.Default.CommandCall), RemediationAgent.Name,
            stop => CommandLine.RunAsync(vector, timeout, stop),
            result => $"exit code {result.ExitCode}: {result.Output}");

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
[System.Text.Json.Serialization.JsonSerializable(typeof(RemediationOutcome))]
internal sealed partial class RemediationJson : System.Text.Json.Serialization.JsonSerializerContext;
