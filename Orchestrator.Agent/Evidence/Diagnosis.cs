namespace Orchestrator.Agent.Evidence;

/// <summary>What the evidence says about a window: nothing wrong, or ranked root causes with the records that prove them.</summary>
/// <param name="Causes">Best first; empty when <see cref="Verdict"/> is not <see cref="Verdict.Incident"/>.</param>
/// <param name="OnsetNanos">When the first abnormal record was seen; null without an incident.</param>
/// <param name="Notes">Limits of this diagnosis in plain words: missing signals, thin baseline, gaps.</param>
public sealed record Diagnosis(
    Verdict Verdict, IReadOnlyList<RootCause> Causes, IReadOnlyList<Finding> Findings, long? OnsetNanos, IReadOnlyList<string> Notes);

/// <summary>The outcome of comparing a window with its baseline.</summary>
public enum Verdict
{
    /// <summary>The window behaves as its baseline does.</summary>
    Healthy,

    /// <summary>At least one root cause is claimed.</summary>
    Incident,

    /// <summary>Too little telemetry to say either.</summary>
    NoData,
}

/// <summary>A ranked hypothesis: which service, what kind of fault, where in it, and the records that show it.</summary>
/// <param name="FaultType">Such as <c>exception</c>, <c>return</c>, <c>cpu_contention</c>, <c>memory_exhaustion</c>, <c>network_delay</c>,
/// <c>bad_configuration</c>.</param>
/// <param name="Confidence">0..1, calibrated over the evaluation cases (docs/rca-method.md).</param>
public sealed record RootCause(
    string Service, string FaultType, FaultLocation Location, double Confidence, IReadOnlyList<Evidence> Evidence);

/// <summary>Where in the service the fault lies.</summary>
/// <param name="Kind"><c>code</c>, <c>cpu</c>, <c>memory</c>, <c>network</c>, <c>configuration</c>, <c>deployment</c>, <c>access</c>,
/// <c>scaling</c> or <c>dependency</c>.</param>
/// <param name="Detail">For code: operation and log statements (<c>Class#line</c>) around the fault; for a resource: metric and
/// instance.</param>
public sealed record FaultLocation(string Kind, string Detail);

/// <summary>An abnormality found on the way to the diagnosis, whether or not it is blamed.</summary>
public sealed record Finding(string Service, string What, double Score, IReadOnlyList<Evidence> Evidence);

/// <summary>One record of Phoenix.Service and the claim it proves. Which ids are set depends on <see cref="Kind"/>.</summary>
/// <param name="Kind"><c>span</c> (TraceId, SpanId), <c>log</c> (RecordId) or <c>metric</c> (SeriesId, TimeNanos).</param>
/// <param name="Claim">One sentence a person can check against the record.</param>
/// <param name="Value">The number the claim states, for the verifier to recompute from the record: a span's duration in ms, a metric's
/// value; null when the claim states none.</param>
/// <param name="Quote">Text the record's body or name must contain; null when the claim quotes none.</param>
public sealed record Evidence(
    string Kind, string Claim, string Service, string? TraceId = null, string? SpanId = null, long? RecordId = null, long? SeriesId = null,
    long? TimeNanos = null, string? Metric = null, double? Value = null, string? Quote = null);
