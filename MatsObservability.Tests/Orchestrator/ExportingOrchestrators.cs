namespace MatsObservability.Tests.Orchestrator;

/// <summary>
/// Tests whose orchestrator runs in this process and sends its own spans. They take turns: a span belongs to the first orchestrator that
/// takes it (LiveTraces), and the sources of all in one process are the same.
/// </summary>
[CollectionDefinition(Name)]
public sealed class ExportingOrchestrators
{
    public const string Name = "orchestrators that send their spans";
}
