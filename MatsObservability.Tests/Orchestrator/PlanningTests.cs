using System.Text.Json;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Llm;
using Orchestrator.Agent.Planning;

namespace MatsObservability.Tests.Orchestrator;

public sealed class PlanningTests
{
    [Theory, Trait("Req", "M07")]
    [InlineData("the pod was OOM killed after a restart", "compute")]
    [InlineData("deadlock and slow query in postgres", "database")]
    [InlineData("502 from the load balancer", "networking")]
    [InlineData("403 permission denied for the service account", "iam_auth")]
    [InlineData("canary rollback of the docker image", "deployment")]
    [InlineData("upload to the bucket violates cors", "storage")]
    [InlineData("pagerduty notification: slo error budget", "monitoring_alerting")]
    [InlineData("timeout", "database")]
    [InlineData("something is odd", "compute")]
    [InlineData("the diameter of the flagship", "compute")]
    public void Classify_Text_GivesTheKindWithMostKeywords(string text, string type) => Assert.Equal(
        type, IssueTaxonomy.Classify(text).Name);

    [Theory, Trait("Req", "M07")]
    [InlineData("flag", "lag", false)]
    [InlineData("replica lag grows", "lag", true)]
    [InlineData("connections refused", "connection", true)]
    [InlineData("disconnection", "connection", false)]
    public void Contains_Keyword_AtTheStartOfAWordOnly(string text, string keyword, bool found) => Assert.Equal(
        found, IssueTaxonomy.Contains(text, keyword));

    [Theory, Trait("Req", "M07")]
    [InlineData("""{"plan_id":"p1","reasoning":"r","steps":[{"step_id":1,"assigned_lead":"sre","task":"look","ui_label":"x"}]}""", "p1")]
    [InlineData("""[{"tool_suggestion":"sre_agent","action":"look"}]""", "auto-generated")]
    [InlineData("""[{"plan_id":"p2","steps":[{"assigned_lead":"architect","task":"write"}]}]""", "p2")]
    [InlineData("```json\n{\"steps\":[{\"assigned_lead\":\"sre\",\"task\":\"look\"}]}\n```", "auto-generated")]
    public void Normalize_KnownForms_GiveAPlan(string answer, string planId) =>
        Assert.Equal(planId, PlanNormalizer.Normalize(JsonAnswer.Extract(answer), IssueTaxonomy.All[0])?.PlanId);

    [Theory, Trait("Req", "M07"), Trait("Req", "M08")]
    [InlineData("I would look at the logs")]
    [InlineData("""{"steps":[]}""")]
    [InlineData("""{"steps":"look"}""")]
    [InlineData("""{"steps":[{"assigned_lead":"database_specialist","task":"drop"}]}""")]
    [InlineData("""{"steps":[{"assigned_lead":7}]}""")]
    [InlineData("""{"steps": [{"assigned_lead":"sre" """)]
    public void Normalize_Unusable_IsNoPlan(string answer) => Assert.Null(
        PlanNormalizer.Normalize(JsonAnswer.Extract(answer), IssueTaxonomy.All[0]));

    [Theory, Trait("Req", "M17")]
    [InlineData("apply the fix", Intent.Remediate)]
    [InlineData("Please apply the recommended fix", Intent.Remediate)]
    [InlineData("fix it", Intent.Remediate)]
    [InlineData("The hotfix we deployed has no effect, users still see errors", Intent.Investigate)]
    [InlineData("Find a solution for the failing checkout", Intent.Investigate)]
    [InlineData("Why did the fix for the timeout not work?", Intent.Investigate)]
    [InlineData("fix the crash in the payment service", Intent.Investigate)]
    [InlineData("list projects", Intent.Operate)]
    [InlineData("show me all instances", Intent.Operate)]
    [InlineData("show why the service is slow", Intent.Investigate)]
    public void Of_Text_OnlyAPlainOrderRemediates(string text, object intent) => Assert.Equal((Intent)intent, Intents.Of(text));

    [Fact, Trait("Req", "M08")]
    public void Registries_HoldThirteenAndEighteenAgents_WithUniqueIds()
    {
        Assert.Equal(13, AgentRegistry.Planner.Count);
        Assert.Equal(18, AgentRegistry.Master.Select(agent => agent.AgentId).Distinct().Count());
        Assert.All(AgentRegistry.Planner, entry => Assert.NotEmpty(entry.AntiPatterns));
        Assert.All(AgentRegistry.Master, agent => Assert.NotEmpty(agent.Capabilities));
        Assert.False(AgentRegistry.Master.Single(agent => agent.AgentId == "browser_automation_specialist").IsAvailable);
        Assert.True(AgentRegistry.Master.Single(agent => agent.AgentId == "cloud_monitoring_specialist").IsAvailable);
    }

    [Fact, Trait("Req", "M08")]
    public void Registries_HoldExactlyTheAgentsOfTheContract_AndASpecialistWithoutAdapterNeverLeads()
    {
        string[] specialists =
        [
            "analytics_specialist", "brave_search_specialist", "browser_automation_specialist",
            "cloud_monitoring_specialist", "cloud_run_specialist",
            "code_execution_specialist", "database_specialist", "filesystem_specialist",
            "gcloud_infrastructure_specialist", "github_specialist",
            "google_search_specialist", "sequential_thinking_specialist", "storage_specialist",
        ];
        string[] own = ["mats-architect-agent", "mats-investigator-agent", "mats-orchestrator", "mats-remediation-agent", "mats-sre-agent"];

        Assert.Equal(specialists, AgentRegistry.Planner.Select(entry => entry.AgentId).Order(StringComparer.Ordinal));
        Assert.Equal(specialists.Concat(own).Order(StringComparer.Ordinal),
            AgentRegistry.Master.Select(agent => agent.AgentId).Order(StringComparer.Ordinal));
        Assert.All(AgentRegistry.Master, agent => Assert.Subset(agent.Capabilities.ToHashSet(), agent.Adapters.Keys.ToHashSet()));

        // Anti-patterns cannot be broken by a plan: no specialist is ever given a step, whatever a model plans.
        Assert.All(specialists.Concat(own), lead => Assert.Null(PlanNormalizer.Normalize(
            JsonAnswer.Extract($$"""{"steps":[{"step_id":1,"assigned_lead":"sre","task":"look"},{"step_id":2,"assigned_lead":"{{lead}}","task":"drop the table"}]}"""),
            IssueTaxonomy.All[0])));
    }

    [Theory, Trait("Req", "M02")]
    [InlineData("project id: my-shop-1", "my-shop-1")]
    [InlineData("the GCP project = shop", "shop")]
    [InlineData("project name: yes", null)]
    [InlineData("project: yes", null)]
    [InlineData("Continue", null)]
    public void ProjectId_Reply_IsTakenFromItsLine(string message, string? project) => Assert.Equal(project, UserReply.ProjectId(message));

    [Fact]
    public void Extract_TextWithoutJson_IsNull() => Assert.Null(JsonAnswer.Extract("no { json here"));

    [Fact]
    public void Extract_WrappedJson_IsFound() => Assert.Equal(JsonValueKind.Object, JsonAnswer.Extract("Here: {\"a\":1} done")?.ValueKind);
}
