using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Api;

/// <summary>
/// Which role may use which agent; default deny. Off unless <see cref="MatsOptions.EnforcePolicy"/> is set (local use has no roles).
/// </summary>
internal sealed class AccessPolicy(IOptions<MatsOptions> options)
{
    public const string Investigate = "mats-orchestrator";
    public const string Remediate = "mats-remediation-agent";
    public const string Operate = "gcloud_infrastructure_specialist";

    public static readonly string[] Roles = ["gcloud_admin", "observability_admin", "developer"];

    public static bool IsRole(string role) => Roles.Contains(role, StringComparer.Ordinal);

    /// <summary>Why the user may not use the agent; null when they may.</summary>
    public string? Refusal(string userEmail, string agent)
    {
        if (!options.Value.EnforcePolicy)
        {
            return null;
        }

        var role = options.Value.Roles.GetValueOrDefault(userEmail);
        var allowed = agent switch
        {
            Investigate => role is "observability_admin" or "developer",
            Remediate => role is "observability_admin",
            Operate => role is "gcloud_admin",
            _ => false,
        };
        return allowed ? null : role is null
            ? $"403 Unauthorized: {userEmail} has no role" : $"403 Unauthorized: role {role} may not use {agent}";
    }

    /// <summary>The answer to a refused request; null when it is allowed. With the policy on, a request must name its user.</summary>
    public IResult? Check(HttpContext context, string agent)
    {
        if (options.Value.EnforcePolicy && string.IsNullOrWhiteSpace(context.Request.Headers[RequestIdentity.UserHeader]))
        {
            return Answers.Json(
                new RouterError(true, $"Missing {RequestIdentity.UserHeader} header"), MatsJson.Web.RouterError,
                StatusCodes.Status400BadRequest);
        }

        var user = RequestIdentity.User(context);
        return Refusal(user, agent) is { } refusal
            ? Answers.Json(
                new RouterError(true, refusal) { UserEmail = user, TargetAgent = agent, Authorized = false }, MatsJson.Web.RouterError,
                StatusCodes.Status403Forbidden)
            : null;
    }
}

internal sealed record RouterError(bool Error, string Message)
{
    public string? UserEmail { get; init; }
    public string? TargetAgent { get; init; }
    public bool? Authorized { get; init; }
}
