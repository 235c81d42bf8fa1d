using System.Collections.Frozen;
using System.Text.Json.Serialization;

namespace Orchestrator.Agent.Jobs;

/// <summary>The one status vocabulary of a job, as clients see it.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<JobStatus>))]
internal enum JobStatus
{
    [JsonStringEnumMemberName("RUNNING")]
    Running,
    [JsonStringEnumMemberName("WAITING_FOR_USER")]
    WaitingForUser,
    [JsonStringEnumMemberName("COMPLETED")]
    Completed,
    [JsonStringEnumMemberName("PARTIAL")]
    Partial,
    [JsonStringEnumMemberName("FAILED")]
    Failed,
    [JsonStringEnumMemberName("CANCELLED")]
    Cancelled,
}

/// <summary>Where an investigation stands; the order of a full run.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Phase>))]
internal enum Phase
{
    [JsonStringEnumMemberName("intake")]
    Intake,
    [JsonStringEnumMemberName("planning")]
    Planning,
    [JsonStringEnumMemberName("triage")]
    Triage,
    [JsonStringEnumMemberName("code_analysis")]
    CodeAnalysis,
    [JsonStringEnumMemberName("synthesis")]
    Synthesis,
    [JsonStringEnumMemberName("publish")]
    Publish,
    [JsonStringEnumMemberName("completed")]
    Completed,
    [JsonStringEnumMemberName("failed")]
    Failed,
}

/// <summary>A change of status or phase that the tables of <see cref="JobStates"/> do not hold: always a fault of this program.</summary>
internal sealed class IllegalTransitionException(string from, string to) : InvalidOperationException($"No transition from {from} to {to}.");

/// <summary>Which status may follow which, and which phase may follow which. Nothing changes either without asking here.</summary>
internal static class JobStates
{
    private static readonly FrozenSet<(JobStatus From, JobStatus To)> s_statuses = new (JobStatus, JobStatus)[]
    {
        (JobStatus.Running, JobStatus.WaitingForUser),
        (JobStatus.Running, JobStatus.Completed),
        (JobStatus.Running, JobStatus.Partial),
        (JobStatus.Running, JobStatus.Failed),
        (JobStatus.Running, JobStatus.Cancelled),
        (JobStatus.WaitingForUser, JobStatus.Running),
        (JobStatus.WaitingForUser, JobStatus.Cancelled),
    }.ToFrozenSet();

    private static readonly FrozenSet<(Phase From, Phase To)> s_phases = new (Phase, Phase)[]
    {
        (Phase.Intake, Phase.Planning),
        (Phase.Intake, Phase.Triage),
        (Phase.Intake, Phase.Completed),
        (Phase.Intake, Phase.Failed),
        (Phase.Planning, Phase.Triage),
        (Phase.Planning, Phase.Completed),
        (Phase.Planning, Phase.Failed),
        (Phase.Triage, Phase.Triage),
        (Phase.Triage, Phase.CodeAnalysis),
        (Phase.Triage, Phase.Synthesis),
        (Phase.Triage, Phase.Completed),
        (Phase.Triage, Phase.Failed),
        (Phase.CodeAnalysis, Phase.CodeAnalysis),
        (Phase.CodeAnalysis, Phase.Synthesis),
        (Phase.CodeAnalysis, Phase.Completed),
        (Phase.CodeAnalysis, Phase.Failed),
        (Phase.Synthesis, Phase.Synthesis),
        (Phase.Synthesis, Phase.Publish),
        (Phase.Synthesis, Phase.Completed),
        (Phase.Synthesis, Phase.Failed),
        (Phase.Publish, Phase.Completed),
        (Phase.Publish, Phase.Failed),
    }.ToFrozenSet();

    /// <summary>True when nothing may follow.</summary>
    public static bool IsTerminal(JobStatus status) => status is not (JobStatus.Running or JobStatus.WaitingForUser);

    /// <summary>True when no phase may follow.</summary>
    public static bool IsTerminal(Phase phase) => phase is Phase.Completed or Phase.Failed;

    /// <summary>Throws <see cref="IllegalTransitionException"/> unless the status table holds the pair.</summary>
    public static void Require(JobStatus from, JobStatus to)
    {
        if (!s_statuses.Contains((from, to)))
        {
            throw new IllegalTransitionException(from.Wire(), to.Wire());
        }
    }

    /// <summary>Throws <see cref="IllegalTransitionException"/> unless the phase table holds the pair.</summary>
    public static void Require(Phase from, Phase to)
    {
        if (!s_phases.Contains((from, to)))
        {
            throw new IllegalTransitionException(from.Wire(), to.Wire());
        }
    }

    /// <summary>The statuses from which <paramref name="to"/> may be reached.</summary>
    public static string[] Before(JobStatus to) => [.. s_statuses.Where(pair => pair.To == to).Select(pair => pair.From.Wire())];

    /// <summary>The status as clients and the database spell it.</summary>
    public static string Wire(this JobStatus status) => status switch
    {
        JobStatus.Running => "RUNNING",
        JobStatus.WaitingForUser => "WAITING_FOR_USER",
        JobStatus.Completed => "COMPLETED",
        JobStatus.Partial => "PARTIAL",
        JobStatus.Failed => "FAILED",
        _ => "CANCELLED",
    };

    /// <summary>The phase as clients and the database spell it.</summary>
    public static string Wire(this Phase phase) => phase switch
    {
        Phase.CodeAnalysis => "code_analysis",
        _ => phase.ToString().ToLowerInvariant(),
    };

    /// <summary>The status of that wire name; null for any other text.</summary>
    public static JobStatus? ParseStatus(string? wire) => Enum.GetValues<JobStatus>().Cast<JobStatus?>().FirstOrDefault(
        s => s!.Value.Wire() == wire);

    /// <summary>The phase of that wire name; null for any other text.</summary>
    public static Phase? ParsePhase(string? wire) => Enum.GetValues<Phase>().Cast<Phase?>().FirstOrDefault(p => p!.Value.Wire() == wire);

    /// <summary>How the session that a job belongs to names its outcome.</summary>
    public static string SessionStatus(JobStatus status) => status switch
    {
        JobStatus.Running or JobStatus.WaitingForUser => "IN_PROGRESS",
        JobStatus.Completed => "SUCCESS",
        JobStatus.Partial => "PARTIAL_SUCCESS",
        _ => "FAILURE",
    };

    /// <summary>The job status of a result's own status; anything unknown counts as a failure.</summary>
    public static JobStatus FromResult(string status) => status switch
    {
        "SUCCESS" or "MANUAL_INTERVENTION" => JobStatus.Completed,
        "WAITING_FOR_USER" => JobStatus.WaitingForUser,
        "PARTIAL" => JobStatus.Partial,
        _ => JobStatus.Failed,
    };
}
