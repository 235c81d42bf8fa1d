using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Api;

/// <summary>What this service is and whether it is well.</summary>
internal static class InfoEndpoints
{
    private const string Name = "mats-orchestrator";

    public static void MapInfo(this IEndpointRouteBuilder app)
    {
        app.MapGet("/health", () => Answers.Json(new Health("healthy", Name), MatsJson.Web.Health));
        app.MapGet("/version", () => Answers.Json(new VersionInfo(Name, "1.0.0"), MatsJson.Web.VersionInfo));
        app.MapGet("/info", Info);
    }

    private static IResult Info(IOptions<MatsOptions> options, Llm.Model model) => Answers.Json(
        new ServiceInfo(
            Name,
            "Takes a troubleshooting request, reads the telemetry in Phoenix.Service, and returns a root-cause analysis in which " +
            "every claim names its record.",
            model.Name,
            ["troubleshoot", "debug", "root_cause_analysis", "investigate_failure"],
            ["mats-sre-agent", "mats-investigator-agent", "mats-architect-agent", "mats-remediation-agent"],
            options.Value.EnforcePolicy ? "Mats:Roles" : "off"),
        MatsJson.Web.ServiceInfo);
}
