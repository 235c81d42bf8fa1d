using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Planning;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Everything an investigation knows, saved after each phase: a restarted service goes on from it, a later request of the same session
/// finds the RCA in it. Mutable on purpose; one run owns it at a time (the job's lease).
/// </summary>
internal sealed class InvestigationState
{
    public string SessionId { get; set; } = "";
    public string UserId { get; set; } = "unknown";
    public string? ProjectId { get; set; }
    public string? RepoUrl { get; set; }
    public Workflow Workflow { get; set; } = new();
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? CompletedAt { get; set; }

    /// <summary>The telemetry project the findings are about; evidence ids are looked up in it.</summary>
    public string? Project { get; set; }
    public string? BaselineProject { get; set; }
    public TimeWindow? Window { get; set; }
    public TimeWindow? Baseline { get; set; }

    public Plan? Plan { get; set; }
    public Diagnosis? Diagnosis { get; set; }
    public SreReport? SreFindings { get; set; }
    public InvestigatorReport? InvestigatorFindings { get; set; }
    public ArchitectReport? ArchitectOutput { get; set; }
    public RemediationState? Remediation { get; set; }

    public int TotalToolCalls { get; set; }
    public int FailedCalls { get; set; }

    /// <summary>Files of the repository read so far, and searches made in it, by rules or by a model.</summary>
    public int FileReads { get; set; }
    public int CodeSearches { get; set; }

    /// <summary>Time spent working, in seconds; waiting for the user does not count.</summary>
    public double ActiveSeconds { get; set; }

    /// <summary>How many times a replica took the job up; a job that takes its process down with it is given up after a few.</summary>
    public int Starts { get; set; }

    /// <summary>How many times the user answered; each answer is one more start.</summary>
    public int Replies { get; set; }

    /// <summary>How many times a replica that was stopped in order gave the job back; each is one more start.</summary>
    public int GivenBack { get; set; }

    /// <summary>The answer that was taken up last.</summary>
    public DateTimeOffset? AnsweredAt { get; set; }

    /// <summary>Codes of the questions the user was asked: none is asked twice.</summary>
    public List<string> Asked { get; set; } = [];
    public Dictionary<string, int> RetryAttempts { get; set; } = new(StringComparer.Ordinal);
    public Dictionary<string, double> ConfidenceScores { get; set; } = new(StringComparer.Ordinal);
    public List<string> Blockers { get; set; } = [];
    public List<string> Warnings { get; set; } = [];
    public List<string> Limitations { get; set; } = [];
    public List<TraceStep> ExecutionTrace { get; set; } = [];
    public ModelUse ModelUse { get; set; } = new();

    /// <summary>True once the model failed in this job: it is not asked again.</summary>
    public bool ModelFailed { get; set; }

    /// <summary>The spans of this run whose children may be stored before they are.</summary>
    public List<OpenSpan> OpenSpans { get; set; } = [];

    /// <summary>Such spans of runs that were killed, until they are closed.</summary>
    public List<OpenSpan> AbandonedSpans { get; set; } = [];
    public string? RcaUrl { get; set; }
    public string Status { get; set; } = "IN_PROGRESS";

    /// <summary>Takes over what an agent in another process added while it worked on a copy of this state.</summary>
    public void Take(InvestigationState worked)
    {
        Project = worked.Project;
        BaselineProject = worked.BaselineProject;
        Window = worked.Window;
        Baseline = worked.Baseline;
        Diagnosis = worked.Diagnosis;
        TotalToolCalls = Math.Max(TotalToolCalls, worked.TotalToolCalls);
        FailedCalls = Math.Max(FailedCalls, worked.FailedCalls);
        FileReads = Math.Max(FileReads, worked.FileReads);
        CodeSearches = Math.Max(CodeSearches, worked.CodeSearches);
        ModelUse = worked.ModelUse;
        ModelFailed |= worked.ModelFailed;
        Blockers = worked.Blockers;
        Warnings = worked.Warnings;
        Limitations = worked.Limitations;
        ExecutionTrace = worked.ExecutionTrace;
    }

    /// <summary>Adds a warning once.</summary>
    public void Warn(string text)
    {
        if (!Warnings.Contains(text, StringComparer.Ordinal))
        {
            Warnings.Add(text);
        }
    }

    /// <summary>Adds a blocker once.</summary>
    public void Block(string text)
    {
        if (!Blockers.Contains(text, StringComparer.Ordinal))
        {
            Blockers.Add(text);
        }
    }

    /// <summary>Adds a limitation of the conclusion once.</summary>
    public void Limit(string text)
    {
        if (!Limitations.Contains(text, StringComparer.Ordinal))
        {
            Limitations.Add(text);
        }
    }
}

/// <summary>The phase and how it was reached.</summary>
internal sealed class Workflow
{
    public Phase CurrentPhase { get; set; } = Phase.Intake;
    public List<PhaseTransition> PhaseTransitions { get; set; } = [];
}

internal sealed record PhaseTransition(Phase FromPhase, Phase ToPhase, DateTimeOffset Timestamp, string Reason);

/// <summary>What the language model cost so far; all zero without one.</summary>
internal sealed class ModelUse
{
    public long PromptTokens { get; set; }
    public long CompletionTokens { get; set; }
    public decimal CostUsd { get; set; }
    public int Calls { get; set; }
}
