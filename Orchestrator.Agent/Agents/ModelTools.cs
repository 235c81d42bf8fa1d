using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace Orchestrator.Agent.Agents;

/// <summary>How an agent's own tools are shown to a model, and read back from its calls.</summary>
internal static class ModelTools
{
    /// <summary>A tool whose arguments are all texts, and all required.</summary>
    public static AITool Declare(string name, string description, params string[] arguments)
    {
        var schema = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject(arguments.Select(
                argument => KeyValuePair.Create(argument, (JsonNode?)new JsonObject { ["type"] = "string" }))),
            ["required"] = new JsonArray([.. arguments.Select(argument => (JsonNode?)argument)]),
            ["additionalProperties"] = false,
        };
        return AIFunctionFactory.CreateDeclaration(name, description, JsonElement.Parse(schema.ToJsonString()));
    }

    /// <summary>An argument as text; empty when the call has none of that name.</summary>
    public static string Argument(FunctionCallContent call, string name) =>
        call.Arguments is { } arguments && arguments.TryGetValue(name, out var value) ? value?.ToString() ?? "" : "";
}
