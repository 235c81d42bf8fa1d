namespace Orchestrator.Agent.Agents;

/// <summary>The rules a report must keep at an agent's boundary; each answer names the first field that breaks one, null = valid.</summary>
internal static class ReportSchema
{
    private static readonly string[] s_sreStatuses = ["SUCCESS", "PARTIAL", "FAILURE", "WAITING_FOR_APPROVAL"];
    private static readonly string[] s_investigatorStatuses = ["ROOT_CAUSE_FOUND", "HYPOTHESIS", "INSUFFICIENT_DATA", "SKIPPED"];
    private static readonly string[] s_architectStatuses = ["SUCCESS", "PARTIAL", "FAILURE"];
    private static readonly string[] s_severities = ["P1", "P2", "P3", "P4"];

    public static string? Fault(SreReport report) =>
        OneOf("status", report.Status, s_sreStatuses)
        ?? Score("confidence", report.Confidence)
        ?? Required("evidence", report.Evidence)
        ?? Required("blockers", report.Blockers)
        ?? Required("hypotheses", report.Hypotheses)
        ?? report.Hypotheses.Select(cause => Score("hypotheses[].confidence", cause.Confidence)).FirstOrDefault(fault => fault is not null);

    public static string? Fault(InvestigatorReport report) =>
        OneOf("status", report.Status, s_investigatorStatuses)
        ?? Score("confidence", report.Confidence)
        ?? Required("blockers", report.Blockers)
        ?? (report.RootCause is { } cause
            ? OneOf("root_cause.defect_type", cause.DefectType, DefectTypes.All) ?? (
                cause.Line < 0 ? "root_cause.line must not be negative" : null)
            : report.Status == "ROOT_CAUSE_FOUND" ? "root_cause is required when status is ROOT_CAUSE_FOUND" : null);

    public static string? Fault(ArchitectReport report) =>
        OneOf("status", report.Status, s_architectStatuses)
        ?? Score("confidence", report.Confidence)
        ?? OneOf("severity", report.Severity, s_severities)
        ?? Required("limitations", report.Limitations);

    private static string? OneOf(string field, string? value, string[] allowed) =>
        value is not null && allowed.Contains(value, StringComparer.Ordinal)
            ? null : $"{field} must be one of {string.Join(", ", allowed)}, got '{value}'";

    private static string? Score(string field, double? value) =>
        value is null or (>= 0 and <= 1)
            ? null : $"{field} must be 0 to 1, got {value.Value.ToString(System.Globalization.CultureInfo.InvariantCulture)}";

    private static string? Required(string field, object? value) => value is null ? $"{field} is required" : null;
}
