using System.Globalization;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>From what was found in code to the report; its confidence by how exact the place in the code is.</summary>
internal static class InvestigatorReportWriter
{
    public static InvestigatorReport Write(SreReport sre, CodeRegions regions, CodeFindings? found)
    {
        var cause = sre.Hypotheses.Count > 0 ? sre.Hypotheses[0] : null;
        if (cause is null)
        {
            return new("INSUFFICIENT_DATA", 0.1, null, [], null, null, ["The triage blames no service, so there is no code to read"], []);
        }

        var chain = sre.Hypotheses.Select(hypothesis => hypothesis.Service).Distinct().ToList();
        var defect = DefectType(cause.FaultType, sre.ErrorSignature);
        if (found is { Blocker: { } blocker })
        {
            return new("INSUFFICIENT_DATA", 0.2, null, chain, null, null, [blocker], [ErrorCode.RepoNotAccessible.UserMessage]);
        }

        if (found is { Matches: [var match, ..] })
        {
            var exact = match.Exact;
            var change = match.LastChange is { } last
                ? $"; last changed {last.Date} in {last.Commit[..Math.Min(10, last.Commit.Length)]} \"{last.Subject}\"" : "";
            var root = new CodeRootCause(
                match.File, match.Line, match.Function ?? cause.Location.Detail, defect, match.Snippet,
                $"{(exact ? "The evidence names this line" : "This line writes the log statement of the evidence")}{change}");
            return new(
                "ROOT_CAUSE_FOUND", exact ? 0.9 : 0.75, root, chain,
                $"{cause.FaultType} at {match.File}:{match.Line.ToString(CultureInfo.InvariantCulture)}",
                Fix(defect, match.File), [],
                [.. found.Matches.Skip(1).Take(4)
                    .Select(other => $"Also named by the evidence: {other.File}:{other.Line.ToString(CultureInfo.InvariantCulture)}")]);
        }

        var where = regions.Places.Count > 0 ? regions.Places[0].ToString() : cause.Location.Detail;
        return new(
            "HYPOTHESIS", regions.Places.Count > 0 ? 0.7 : 0.5, null, chain, $"{cause.FaultType} in {cause.Service} near {where}",
            Fix(defect, where), [],
            found is null ? ["Give repo_url to map the evidence to file, line and last change."] : ["The repository holds none of the " +
                "places that the evidence names."]);
    }

    /// <summary>The defect type that a fault type and an error text point at.</summary>
    public static string DefectType(string faultType, string? signature)
    {
        var text = $"{faultType} {signature}".Replace('_', ' ');
        return text switch
        {
            _ when Has("NullReference", "NullPointer", "NoneType", "null") => "null_check",
            _ when Has("timeout", "timed out", "deadline") => "timeout",
            _ when Has("race", "concurrent modification", "deadlock") => "race_condition",
            _ when Has("permission", "denied", "forbidden", "access revoked", "unauthorized") => "permission_error",
            _ when Has("configuration", "config") => "config_error",
            _ when Has("memory", "cpu", "exhaust", "limit", "disk") => "resource_exhaustion",
            _ when Has("deploy", "revision", "rollout") => "deployment_regression",
            _ when Has("dependency", "connection refused", "network", "unreachable") => "dependency_failure",
            _ => "logic_error",
        };

        bool Has(params string[] words) => words.Any(word => text.Contains(word, StringComparison.OrdinalIgnoreCase));
    }

    private static string Fix(string defect, string where) => defect switch
    {
        "null_check" => $"Handle the missing value at {where} before it is used.",
        "timeout" => $"Bound and retry the call at {where}; set its timeout below its caller's.",
        "race_condition" => $"Make the state at {where} owned by one thread or guarded; add a load test.",
        "permission_error" => $"Restore the permission used at {where}.",
        "config_error" => $"Check the settings read at {where} when the service starts.",
        "resource_exhaustion" => $"Bound what {where} holds or computes.",
        "deployment_regression" => $"Roll back the change at {where}.",
        "dependency_failure" => $"Let {where} degrade when its dependency fails.",
        _ => $"Correct the logic at {where}; add a test with the failing input.",
    };
}
