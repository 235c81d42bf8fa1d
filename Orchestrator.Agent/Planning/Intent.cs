using System.Text.RegularExpressions;

namespace Orchestrator.Agent.Planning;

internal enum Intent
{
    /// <summary>Find out what is wrong: what every unclear request is.</summary>
    Investigate,

    /// <summary>Carry out the fix of an RCA.</summary>
    Remediate,

    /// <summary>A plain question about a resource.</summary>
    Operate,
}

/// <summary>
/// What a request asks for. Only a request that is nothing but an order to apply a fix counts as remediation: a text that tells of an
/// incident and happens to hold "fix" or "solution" is investigated.
/// </summary>
internal static partial class Intents
{
    private const int MostOrderWords = 14;

    public static Intent Of(string text)
    {
        if (text.Contains("REMEDIATION_COMMAND:", StringComparison.Ordinal) && text.Contains("TARGET_URL:", StringComparison.Ordinal))
        {
            return Intent.Remediate;
        }

        var words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length;
        if (words > MostOrderWords || Incident().IsMatch(text))
        {
            return Intent.Investigate;
        }

        return Order().IsMatch(text) ? Intent.Remediate : Question().IsMatch(text) ? Intent.Operate : Intent.Investigate;
    }

    [GeneratedRegex(
        @"^\s*(yes,?\s+)?(please\s+)?((apply|execute|run|perform|carry out)\s+(the\s+|this\s+|that\s+|your\s+)?(recommended\s+|proposed\s+|suggested\s+)?(fix|remediation|solution|hotfix)|remediate\b|(fix|solve)\s+(it|this|that|the\s+(issue|bug|problem))\s*(now|please)?\s*[.!]?\s*$)",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Order();

    [GeneratedRegex(
        @"^\s*(please\s+)?((list|show|get|create|delete|describe)\s+(me\s+)?(all\s+|the\s+|my\s+)*(\w+\s+)?(vms?|instances?|buckets?|services?|projects?|resources?)\b|gcloud\s)",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Question();

    [GeneratedRegex(@"\b(why|error|errors|fail|fails|failed|failing|failure|slow|slowness|timeout|crash|crashes|crashed|down|500|502|503|504|root cause|investigate|diagnose|troubleshoot)\b", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Incident();
}
