using Microsoft.Extensions.AI;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Llm;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Planning;

/// <summary>
/// From the request to a plan: classify by keywords, think in steps where a tool for it is configured, let the model plan where there is
/// one, else plan by the rules of the issue's kind. The model sees the request only, no telemetry, so nothing recorded can shape the plan.
/// </summary>
internal sealed class Planner(Model model, SequentialThinking thinking)
{
    private const string Task =
        "Plan the investigation of the user's problem as JSON: {\"plan_id\": text, \"reasoning\": text, \"steps\": [{\"step_id\": " +
        "number, \"assigned_lead\": " +
        "\"sre\" | \"investigator\" | \"architect\", \"task\": text, \"ui_label\": text of at most 30 characters, " +
        "\"expected_output\": text}]}. " +
        "Order: evidence (sre), code (investigator), synthesis (architect). Answer with the JSON alone.";

    public async Task<Plan> PlanAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("planning", MatsTracing.Chain, run.Job.SessionId, "mats-orchestrator");
        MatsTracing.Tag(span, "phase", "planning");
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
        var type = IssueTaxonomy.Classify(run.Job.Request.Text);
        await thinking.ThinkAsync(run, type);
        var plan = await AskAsync(run, type) ?? RulePlanner.Fallback(type, $"The request reads as a {type.Name} issue.");
        MatsTracing.Output(span, System.Text.Json.JsonSerializer.Serialize(plan, MatsJson.Default.Plan));
        await run.TellAsync(
            "PLAN", $"{plan.PlanId} ({plan.IssueType}): {string.Join(" -> ", plan.Steps.Select(step => step.UiLabel))}", "orchestrator");
        return plan;
    }

    private async Task<Plan?> AskAsync(InvestigationRun run, IssueType type)
    {
        var answer = await model.AskAsync(
            run, "planning",
            [
                new(ChatRole.System, Model.Rules + "\n" + Task + $"\nThe issue reads as: {type.Name}. Strategy: {type.Strategy}"),
                new(ChatRole.User, run.Job.Request.Text),
            ],
            json: true);
        if (answer is null)
        {
            return null;
        }

        var plan = PlanNormalizer.Normalize(JsonAnswer.Extract(answer.Text), type);
        if (plan is null)
        {
            run.State.Warn("The model's plan could not be used; the fallback plan was taken.");
        }

        return plan;
    }
}
