using System.Diagnostics;
using MatsObservability.Tests.Support;
using YamlDotNet.Serialization;

namespace MatsObservability.Tests.AgentObservability;

/// <summary>The optional alerts of an LLM gateway: those that were asked for, whole, and as Prometheus understands them.</summary>
[Trait("Req", "M20")]
public sealed class GatewayRulesTests
{
    private const string Name = "litellm-gateway.rules.yml";

    /// <summary>Alert, how long it must hold, severity, and the threshold its expression ends in or holds.</summary>
    public static TheoryData<string, string, string, string> Expected => new()
    {
        { "LiteLLMGatewayDown", "1m", "critical", "up{job=\"agentstack-litellm\"} == 0" },
        { "LiteLLMHighErrorRate", "2m", "warning", "litellm_error_count[5m])) > 0.1" },
        { "LiteLLMHighLatency", "5m", "warning", "litellm_request_duration_seconds_bucket[5m]))) > 30" },
        { "LiteLLMVeryHighLatency", "2m", "critical", "litellm_request_duration_seconds_bucket[5m]))) > 60" },
        { "LiteLLMLowRequestVolume", "10m", "info", "litellm_request_count[5m])) < 0.5" },
        { "LiteLLMSuddenRequestSpike", "2m", "warning", "litellm_request_count[5m])) > 100" },
        { "LiteLLMModelSpecificHighErrorRate", "3m", "warning", "by (model) (rate(litellm_error_count[5m])) > 0.2" },
        { "LiteLLMBudgetWarning", "0m", "warning", "litellm_spend_percentage >= 0.8" },
        { "LiteLLMBudgetCritical", "0m", "critical", "litellm_spend_percentage >= 0.9" },
        { "LiteLLMBudgetExhausted", "0m", "critical", "litellm_spend_percentage >= 1.0" },
        { "LiteLLMHighCostPerRequest", "5m", "warning", "litellm_request_count[5m])) > 0.50" },
        { "LiteLLMHighTokenUsage", "5m", "warning", "litellm_tokens_total[5m])) > 1000000" },
        { "LiteLLMModelHighTokenUsage", "3m", "info", "by (model) (rate(litellm_tokens_total[5m])) > 500000" },
        { "LiteLLMLowCacheHitRate", "10m", "warning", "litellm_cache_misses_total[5m]))) < 0.3" },
        { "LiteLLMCacheDown", "1m", "critical", "up{job=\"agentstack-redis\"} == 0" },
        { "LiteLLMHighCacheMemoryUsage", "5m", "warning", "> 0.9" },
        { "LiteLLMDatabaseDown", "1m", "critical", "up{job=\"agentstack-litellm-postgres\"} == 0" },
        { "LiteLLMDatabaseHighConnections", "5m", "warning", "> 400" },
        { "LiteLLMDatabaseSlowQueries", "5m", "warning", "> 0.1" },
        { "LiteLLMProviderHighErrorRate", "3m", "warning", "by (provider) (rate(litellm_error_count[5m])) > 0.2" },
        { "LiteLLMProviderDown", "5m", "critical", "by (provider) (rate(litellm_request_count[5m])) == 0" },
        { "LiteLLMHighRateLimitHits", "2m", "warning", "litellm_rate_limit_hits_total[5m])) > 10" },
        { "LiteLLMUserRateLimited", "1m", "info", "increase(litellm_user_rate_limit_hits_total[5m])) > 50" },
        { "LiteLLMUnhealthyModelInstance", "2m", "warning", "litellm_model_healthy == 0" },
        { "LiteLLMLoadBalancingSkewed", "10m", "info", "> 0.8" },
        { "LiteLLMHighFailedAuthAttempts", "2m", "warning", "litellm_auth_failures_total[5m])) > 5" },
        { "LiteLLMSuspiciousUserActivity", "1m", "warning", "by (user) (rate(litellm_request_count[5m])) > 100" },
        { "LiteLLMLargeRequestSize", "0m", "warning", "litellm_request_size_bytes > 10485760" },
    };

    private static string Folder => Path.Combine(Repository.Root, "agent-observability", "prometheus");

    [Theory]
    [MemberData(nameof(Expected))]
    public void Rule_OfTheContract_IsThereAsAskedFor(string alert, string holds, string severity, string threshold)
    {
        var rule = Assert.Single(Rules(), rule => rule.Alert == alert);

        Assert.Equal(holds, rule.For);
        Assert.Equal(severity, rule.Labels["severity"]);
        Assert.Contains(threshold, rule.Expr);
    }

    [Fact]
    public void Rules_Are28_EachWithItsOwnNameAndFullyDescribed()
    {
        var rules = Rules();

        Assert.Equal(28, rules.Count);
        Assert.Equal(28, rules.Select(rule => rule.Alert).Distinct().Count());
        Assert.All(rules, rule =>
        {
            Assert.StartsWith("LiteLLM", rule.Alert);
            Assert.All(["severity", "service", "category"], label => Assert.NotEmpty(rule.Labels[label]));
            Assert.All(["summary", "description"], annotation => Assert.NotEmpty(rule.Annotations[annotation]));
        });
    }

    [Fact]
    public void Runbook_OfEveryRule_IsASectionOfOurDocs()
    {
        var headings = File.ReadAllLines(Path.Combine(Repository.Root, "docs", "operating.md"))
            .Where(line => line.StartsWith('#')).Select(line => line.TrimStart('#', ' ').ToLowerInvariant().Replace(' ', '-'));

        Assert.All(
            Rules().Select(rule => rule.Annotations["runbook_url"]).Distinct(),
            url => Assert.Contains(url["docs/operating.md#".Length..], headings));
    }

    [Fact]
    public void Rules_AreOff_UntilSomebodyNamesTheirFile()
    {
        var naming = Directory.EnumerateFiles(Path.Combine(Repository.Root, "agent-observability"), "*.yml", SearchOption.AllDirectories)
            .Where(file => File.ReadAllText(file).Contains(Name, StringComparison.Ordinal)).Select(Path.GetFileName)
            .Except(["litellm-gateway.tests.yml", Name]);

        Assert.Empty(naming);
    }

    [PromtoolTheory]
    [InlineData("check", "litellm-gateway.rules.yml")]
    [InlineData("test", "litellm-gateway.tests.yml")]
    public async Task Promtool_OverTheFile_FindsNoFault(string command, string file)
    {
        using var promtool = Process.Start(new ProcessStartInfo("promtool", [command, "rules", file])
        {
            WorkingDirectory = Folder, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var output = await promtool.StandardOutput.ReadToEndAsync() + await promtool.StandardError.ReadToEndAsync();
        await promtool.WaitForExitAsync();

        Assert.True(promtool.ExitCode == 0, output);
        Assert.Contains("SUCCESS", output);
    }

    private static List<AlertRule> Rules() => new DeserializerBuilder().IgnoreUnmatchedProperties().Build()
        .Deserialize<RuleFile>(File.ReadAllText(Path.Combine(Folder, Name))).Groups.SelectMany(group => group.Rules).ToList();
}

public sealed class RuleFile
{
    [YamlMember(Alias = "groups")]
    public List<RuleGroup> Groups { get; set; } = [];
}

public sealed class RuleGroup
{
    [YamlMember(Alias = "rules")]
    public List<AlertRule> Rules { get; set; } = [];
}

public sealed class AlertRule
{
    [YamlMember(Alias = "alert")]
    public string Alert { get; set; } = "";

    [YamlMember(Alias = "expr")]
    public string Expr { get; set; } = "";

    [YamlMember(Alias = "for")]
    public string For { get; set; } = "";

    [YamlMember(Alias = "labels")]
    public Dictionary<string, string> Labels { get; set; } = [];

    [YamlMember(Alias = "annotations")]
    public Dictionary<string, string> Annotations { get; set; } = [];
}

/// <summary>
/// A theory that needs Prometheus's own tool (Debian: package <c>prometheus</c>); skipped with that reason where it is not installed.
/// </summary>
internal sealed class PromtoolTheoryAttribute : TheoryAttribute
{
    public PromtoolTheoryAttribute()
    {
        var found = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Any(folder => File.Exists(Path.Combine(folder, OperatingSystem.IsWindows() ? "promtool.exe" : "promtool")));
        Skip = found ? null : "promtool is not on the PATH";
    }
}
