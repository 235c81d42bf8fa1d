using System.Text.Json;

namespace Orchestrator.Agent.Planning;

/// <summary>
/// Brings a model's plan into the one form: an object with steps, a bare list of steps, or a list around such an object; older field names
/// are understood. Anything else, or a step for an unknown or unavailable lead, is no plan (the caller falls back).
/// </summary>
internal static class PlanNormalizer
{
    private const int MaxLabelChars = 30;
    private const int MaxSteps = 12;
    private static readonly string[] s_leads = ["sre", "investigator", "architect"];

    /// <summary>The plan; null when the answer holds none that can be used.</summary>
    public static Plan? Normalize(JsonElement? answer, IssueType type)
    {
        try
        {
            return answer switch
            {
                { ValueKind: JsonValueKind.Object } plan when plan.TryGetProperty("steps", out var steps) => From(plan, steps, type),
                { ValueKind: JsonValueKind.Array } list when list.GetArrayLength() > 0 && list[0].ValueKind == JsonValueKind.Object =>
                    list[0].TryGetProperty("steps", out var inner) ? From(list[0], inner, type) : From(null, list, type),
                _ => null,
            };
        }
        catch (InvalidOperationException)
        {
            // A field of another JSON type than the plan's.
            return null;
        }
    }

    private static Plan? From(JsonElement? plan, JsonElement steps, IssueType type)
    {
        if (steps.ValueKind != JsonValueKind.Array || steps.GetArrayLength() is 0 or > MaxSteps)
        {
            return null;
        }

        var normal = new List<PlanStep>();
        foreach (var step in steps.EnumerateArray())
        {
            var lead = (Text(step, "assigned_lead") ?? Text(step, "tool_suggestion"))?.ToLowerInvariant().Replace(
                "_agent", "", StringComparison.Ordinal);
            if (lead is null || !s_leads.Contains(lead))
            {
                return null;
            }

            var task = Text(step, "task") ?? Text(step, "action") ?? "";
            var label = Text(step, "ui_label") ?? task;
            normal.Add(new(
                step.TryGetProperty("step_id", out var id) && id.TryGetInt32(out var number) ? number : normal.Count + 1, lead, task,
                label.Length <= MaxLabelChars ? label : label[..MaxLabelChars], Text(step, "expected_output") ?? "",
                Text(step, "skip_condition"),
                step.TryGetProperty("suggested_filters", out var filters) && filters.ValueKind == JsonValueKind.Array
                    ? [.. filters.EnumerateArray().Where(f => f.ValueKind == JsonValueKind.String).Select(f => f.GetString()!)]
                    : null));
        }

        return new(
            plan is { } p ? Text(p, "plan_id") ?? "auto-generated" : "auto-generated", type.Name,
            plan is { } q ? Text(q, "reasoning") ?? "" : "", normal);
    }

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString() : null;
}
