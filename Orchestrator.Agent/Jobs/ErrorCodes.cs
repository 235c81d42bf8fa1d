namespace Orchestrator.Agent.Jobs;

/// <summary>A known way for an investigation to get stuck, and what is done about it.</summary>
/// <param name="RecoveryStrategy">The name of the recovery.</param>
/// <param name="Action">What the orchestrator does: retry_sre, escalate_to_user, continue_with_warning, add_limitation, flag_in_rca or
/// none.</param>
/// <param name="IsBlocker">True when the investigation cannot go on without it being solved.</param>
internal sealed record ErrorCode(
    string Code, string Name, string Description, string UserMessage, string RecoveryStrategy, string Action, bool IsBlocker)
{
    public static readonly ErrorCode Internal = new(
        "E000", "INTERNAL", "The orchestrator failed.", "The investigation failed inside the orchestrator.", "NONE", "none", true);

    public static readonly ErrorCode NoLogsFound = new(
        "E001", "NO_LOGS_FOUND", "The window holds no telemetry.", "No telemetry was found; a longer time is searched.",
        "EXPAND_TIME_WINDOW", "retry_sre", false);

    public static readonly ErrorCode PermissionDenied = new(
        "E002", "PERMISSION_DENIED", "Phoenix.Service refused the read.",
        "Reading telemetry was refused. The orchestrator needs the roles logs viewer and metrics viewer (an API key of Phoenix.Service).",
        "REQUEST_PERMISSION", "escalate_to_user", true);

    public static readonly ErrorCode RepoNotAccessible = new(
        "E003", "REPO_NOT_ACCESSIBLE", "The repository cannot be read.",
        "The repository cannot be read. Check repo_url; a private one needs a token with repository scope.", "VERIFY_PAT",
        "escalate_to_user", true);

    public static readonly ErrorCode StackTraceUnrecognized = new(
        "E004", "STACK_TRACE_UNRECOGNIZED", "A stack trace has an unknown form.", "A stack trace was read by pattern only.",
        "USE_REGEX_EXTRACTION",
        "continue_with_warning", false);

    public static readonly ErrorCode VersionShaNotFound = new(
        "E005", "VERSION_SHA_NOT_FOUND", "The telemetry names no version.",
        "Analysis based on 'main' branch. Production version unknown.", "FLAG_UNCERTAINTY", "add_limitation", false);

    public static readonly ErrorCode LowConfidence = new(
        "E006", "LOW_CONFIDENCE", "The conclusion is weak.", "The confidence is below 0.5: have a person look at it.",
        "SUGGEST_HUMAN_REVIEW", "flag_in_rca", false);

    /// <summary>All codes, by number.</summary>
    public static readonly ErrorCode[] All =
        [Internal, NoLogsFound, PermissionDenied, RepoNotAccessible, StackTraceUnrecognized, VersionShaNotFound, LowConfidence];

    /// <summary>
    /// Carries the recovery out on the state: blocker, limitation, warning or flag. Asking the user and reading again is the flow's part.
    /// </summary>
    public void Recover(InvestigationState state, string? detail = null)
    {
        var message = detail is null ? $"{Code}: {UserMessage}" : $"{Code}: {UserMessage} ({detail})";
        switch (Action)
        {
            case "add_limitation":
                state.Limit(UserMessage);
                break;
            case "continue_with_warning" or "retry_sre":
                state.Warn(message);
                break;
            case "flag_in_rca":
                state.Warn(message);
                state.Limit(message);
                break;
            default:
                state.Block(message);
                break;
        }
    }
}
