namespace Orchestrator.Agent.Evidence;

/// <summary>A possible root cause with what speaks for it.</summary>
/// <param name="Score">In nats, after <see cref="Surprise.Compress"/>.</param>
/// <param name="FirstNanos">The earliest record that shows it.</param>
internal sealed record Hypothesis(string Service, string FaultType, FaultLocation Location, double Score, List<Evidence> Evidence,
    long FirstNanos);
