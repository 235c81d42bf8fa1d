using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Planning;
using Orchestrator.Agent.Rca;

namespace Orchestrator.Agent;

/// <summary>The one spelling of JSON here: snake_case, no nulls written, unknown fields ignored, times in UTC with <c>Z</c>.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    PropertyNameCaseInsensitive = false, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    Converters = [typeof(UtcTimeConverter)])]
[JsonSerializable(typeof(TroubleshootRequest))]
[JsonSerializable(typeof(ReplyRequest))]
[JsonSerializable(typeof(Reply))]
[JsonSerializable(typeof(JobEventRequest))]
[JsonSerializable(typeof(InvestigationState))]
[JsonSerializable(typeof(JobResult))]
[JsonSerializable(typeof(JobDocument))]
[JsonSerializable(typeof(JobList))]
[JsonSerializable(typeof(JobAccepted))]
[JsonSerializable(typeof(ApiError))]
[JsonSerializable(typeof(StatusAnswer))]
[JsonSerializable(typeof(IReadOnlyList<PendingStep>))]
[JsonSerializable(typeof(IReadOnlyList<JobEvent>))]
[JsonSerializable(typeof(EventList))]
[JsonSerializable(typeof(RcaDocument))]
[JsonSerializable(typeof(SreReport))]
[JsonSerializable(typeof(InvestigatorReport))]
[JsonSerializable(typeof(ArchitectReport))]
[JsonSerializable(typeof(Synthesis))]
[JsonSerializable(typeof(Plan))]
[JsonSerializable(typeof(ServiceInfo))]
[JsonSerializable(typeof(VersionInfo))]
[JsonSerializable(typeof(Health))]
[JsonSerializable(typeof(RouterError))]
[JsonSerializable(typeof(EventEnvelope))]
[JsonSerializable(typeof(SessionRequest))]
[JsonSerializable(typeof(SessionAnswer))]
[JsonSerializable(typeof(AgentRequest))]
[JsonSerializable(typeof(Agents.Remote.AgentLine))]
[JsonSerializable(typeof(RemediationRequest))]
[JsonSerializable(typeof(OperationalRequest))]
[JsonSerializable(typeof(AgentManifest))]
[JsonSerializable(typeof(IReadOnlyList<AgentManifest>))]
[JsonSerializable(typeof(IReadOnlyList<PlannerEntry>))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class MatsJson : JsonSerializerContext
{
    private static readonly Lazy<MatsJson> s_web =
        new(() => new(new JsonSerializerOptions(Default!.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));

    /// <summary>
    /// This context with text left readable (no \u escapes for letters and quotes); answers are application/json, never HTML.
    /// </summary>
    public static MatsJson Web => s_web.Value;
}
