using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>
/// Lets a test take part while an AppHost's entry point, called on a thread of its own, makes and builds its application.
/// </summary>
/// <remarks>Flows with the execution context, so parallel tests do not see each other's builders.</remarks>
internal sealed class BuilderHooks
{
    private static readonly AsyncLocal<BuilderHooks?> s_current = new();

    public static BuilderHooks? Current
    {
        get => s_current.Value;
        set => s_current.Value = value;
    }

    public Action<DistributedApplicationOptions, HostApplicationBuilderSettings>? Constructing { get; init; }

    public Action<DistributedApplicationBuilder>? Constructed { get; init; }

    public Action<DistributedApplicationBuilder>? Building { get; init; }

    public Action<DistributedApplication>? Built { get; init; }
}
