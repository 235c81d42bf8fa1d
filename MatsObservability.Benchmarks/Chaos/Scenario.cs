namespace MatsObservability.Benchmarks.Chaos;

/// <summary>The truth of a generated window.</summary>
/// <param name="Component">The service at fault; null for a control in which nothing is wrong.</param>
/// <param name="OnsetSeconds">Seconds from the start of the window to the first effect of the fault.</param>
/// <param name="Distractors">Services that must not be blamed.</param>
internal sealed record Scenario(string Id, string Name, string? Component, string FaultType, double OnsetSeconds,
    IReadOnlyList<string> Distractors)
{
    public const double Seconds = 180;

    /// <summary>The ten breaks of one service with their variants, and the controls.</summary>
    public static readonly IReadOnlyList<Scenario> All =
    [
        new("1", "Service Blackout", CalculatorSystem.App, "service_deleted", 60, [CalculatorSystem.Front]),
        new("2", "Auth Lockdown", CalculatorSystem.App, "access_revoked", 60, [CalculatorSystem.Front]),
        new("3", "Broken Deployment", CalculatorSystem.App, "failed_deployment", 75, [CalculatorSystem.Front]),
        new("4", "Traffic Void", CalculatorSystem.App, "traffic_misrouted", 60, [CalculatorSystem.Front]),
        new("5", "Resource Starvation", CalculatorSystem.App, "memory_exhaustion", 80, [CalculatorSystem.Front]),
        new("6", "Concurrency Freeze", CalculatorSystem.App, "concurrency_limit", 60, [CalculatorSystem.Front]),
        new("7", "Bad Environment", CalculatorSystem.App, "bad_configuration", 60, [CalculatorSystem.Front, CalculatorSystem.Rates]),
        new("8", "Network Isolation", CalculatorSystem.App, "ingress_restricted", 60, [CalculatorSystem.Front, CalculatorSystem.Worker]),
        new("9", "Cold Start Freeze", CalculatorSystem.App, "scaling_disabled", 60, [CalculatorSystem.Front]),
        new("10", "Region Failover", CalculatorSystem.App, "region_moved", 60, [CalculatorSystem.Front]),
        new("3a", "Broken Deployment, rollout blocked", CalculatorSystem.App, "failed_deployment", 75, [CalculatorSystem.Front]),
        new("9b", "Cold Start Freeze, one instance", CalculatorSystem.App, "scaling_disabled", 60, [CalculatorSystem.Front]),
        new("C1", "Control: steady load", null, "", 0, []),
        new("C2", "Control: harmless deployment", null, "", 0, []),
        new("C3", "Red herring: a policy change before a dependency fault", CalculatorSystem.Rates,
            "exception", 120, [CalculatorSystem.App]),
        new("C4", "Red herring: noisy warnings", null, "", 0, []),
    ];

    /// <summary>One of the ten, not a variant or control.</summary>
    public bool Counts => int.TryParse(Id, System.Globalization.CultureInfo.InvariantCulture, out _);
}
