namespace Orchestrator.Agent.Planning;

/// <summary>The plan that needs no model: evidence, then code, then synthesis, with the strategy of the issue's kind.</summary>
internal static class RulePlanner
{
    public const string FallbackId = "fallback-001";

    /// <summary>The three steps every investigation can fall back to.</summary>
    public static Plan Fallback(IssueType type, string reasoning) => new(FallbackId, type.Name, reasoning,
    [
        new(
            1, "sre", Strategy(type), "Investigating Logs & Metrics", "Error signature, onset, ranked hypotheses with evidence", null,
            type.LogFilters),
        new(2, "investigator", "Map log statements, stack traces and operations of the blamed service to code; find the last change.",
            "Analyzing Code",
            "File, line and defect type, or the region of code", "The cause is not in code"),
        new(3, "architect", "Write the root-cause analysis; every claim cites a record.", "Generating RCA", "RCA in JSON and Markdown"),
    ]);

    private static string Strategy(IssueType type) =>
        type.Strategy + $" Metrics: {string.Join(", ", type.Metrics)}." +
        (type.LookForConfigurationChanges ? " Look for configuration changes before the onset." : "") +
        (type.LookForDeployments ? " Look for recent deployments." : "");
}
