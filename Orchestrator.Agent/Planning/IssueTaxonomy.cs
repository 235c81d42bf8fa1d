using System.Text.RegularExpressions;

namespace Orchestrator.Agent.Planning;

/// <summary>One kind of issue and how to triage it.</summary>
/// <param name="LookForConfigurationChanges">Configuration changes before the onset are worth a look.</param>
/// <param name="LookForDeployments">Recent deployments are worth a look.</param>
internal sealed record IssueType(
    string Name, bool LookForConfigurationChanges, bool LookForDeployments, string[] Keywords, string Strategy, string[] LogFilters,
    string[] Metrics);

/// <summary>The seven kinds and the keyword score that chooses one.</summary>
internal static partial class IssueTaxonomy
{
    private const int WholeWordChars = 3;

    /// <summary>In the order that breaks ties; the first is what a text without any keyword counts as.</summary>
    public static readonly IssueType[] All =
    [
        new("compute", true, true,
            ["cloud run", "gce", "vm", "instance", "container", "oom", "crash", "cold start", "memory", "cpu", "revision", "scaling",
                "startup", "readiness",
             "liveness", "probe", "restart", "kill"],
            "Look for crash loops, out-of-memory kills, probe failures and cold starts; match them to deployments.",
            ["severity >= ERROR", "OOMKilled", "CrashLoopBackOff", "ContainerKilled"],
            ["cpu", "memory utilisation", "startup latency", "instance count"]),
        new("database", true, false,
            ["cloud sql", "alloydb", "spanner", "postgres", "mysql", "timeout", "connection", "deadlock", "slow query", "replication",
                "lag", "pool",
             "max_connections", "lock", "transaction", "sql"],
            "Look for pool exhaustion, lock waits, deadlocks, replica lag, long transactions and schema or index changes.",
            ["severity >= WARNING", "deadlock", "timeout", "max_connections", "lock wait", "replication"],
            ["cpu", "memory", "connections", "replica lag", "disk"]),
        new("networking", true, false,
            ["load balancer", "dns", "ssl", "certificate", "502", "503", "504", "timeout", "latency", "vpc", "firewall", "ingress",
                "egress", "http", "https",
             "backend", "health check", "neg", "cdn"],
            "502 points at the backend's health, 504 at its latency against the timeout; look at certificate expiry and firewall changes.",
            ["http status >= 500", "connection not allowed"],
            ["backend latency", "total latency", "request counts"]),
        new("iam_auth", true, false,
            ["permission", "denied", "403", "iam", "role", "service account", "oauth", "token", "unauthorized", "access", "policy",
                "binding", "impersonate",
             "workload identity", "credentials"],
            "Look at recent policy changes, at the denied principal against its bindings, at key expiry and rotation.",
            ["severity >= WARNING", "status code 7", "policy set", "account created"],
            ["authentication events"]),
        new("deployment", false, true,
            ["deploy", "build", "cloud build", "rollback", "revision", "canary", "traffic split", "artifact registry", "docker", "image",
                "tag", "pipeline",
             "ci/cd", "failed build"],
            "Look for build failures, traffic on a bad revision and image pull errors; compare the onset with the time of the deployment.",
            ["severity >= ERROR", "ImagePullBackOff", "ErrImagePull", "build failed"],
            ["instance count", "build count"]),
        new("storage", true, false,
            ["gcs", "bucket", "storage", "upload", "download", "signed url", "cors", "object", "blob", "lifecycle", "retention"],
            "Look for denials, bucket policy, CORS, lifecycle deletions and the signing account.",
            ["severity >= WARNING", "status != 0"],
            ["requests", "received bytes"]),
        new("monitoring_alerting", false, false,
            ["alert", "uptime", "slo", "sli", "error budget", "notification", "incident", "pagerduty", "opsgenie", "monitoring", "metric"],
            "Find which policy fired, and whether the breach is real or a gap in collection.",
            ["severity >= ERROR"],
            ["uptime check passed"]),
    ];

    /// <summary>
    /// The kind with most keywords in the text. A keyword counts at the start of a word, one of up to three characters only as a whole
    /// word, so that "lag" is not found in "flag" nor "iam" in "diameter".
    /// </summary>
    public static IssueType Classify(string text)
    {
        var best = All[0];
        var most = 0;
        foreach (var type in All)
        {
            var score = type.Keywords.Count(keyword => Contains(text, keyword));
            if (score > most)
            {
                (best, most) = (type, score);
            }
        }

        return best;
    }

    /// <summary>True when the text holds the keyword by the rule of <see cref="Classify"/>.</summary>
    public static bool Contains(string text, string keyword)
    {
        for (var at = text.IndexOf(keyword, StringComparison.OrdinalIgnoreCase); at >= 0;
             at = text.IndexOf(keyword, at + 1, StringComparison.OrdinalIgnoreCase))
        {
            var end = at + keyword.Length;
            var startsWord = at == 0 || !char.IsLetterOrDigit(text[at - 1]);
            var endsWord = end == text.Length || !char.IsLetterOrDigit(text[end]);
            if (startsWord && (keyword.Length > WholeWordChars || endsWord))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>True when any of the words stands in the text as a whole word.</summary>
    public static bool HasWord(string text, params string[] words) =>
        Words().Matches(text).Any(word => words.Contains(word.Value, StringComparer.OrdinalIgnoreCase));

    [GeneratedRegex(@"[\p{L}\p{N}_]+", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Words();
}
