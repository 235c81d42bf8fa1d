using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Run.Endpoints;

namespace MatsObservability.Hosting.Run.Programs;

/// <summary>A variable of an instance; a secret is masked wherever people see it.</summary>
internal sealed record InstanceVariable(string Name, string Value, bool IsSecret);

/// <summary>Evaluates what the model says about the environment and the arguments of one instance.</summary>
internal sealed class ResourceEnvironment(RunContext context, EndpointAllocator endpoints)
{
    /// <summary>The variables in evaluation order; one whose value turns out to be null is left out.</summary>
    public async Task<IReadOnlyList<InstanceVariable>> VariablesAsync(
        IResource resource, string id, int instance, CancellationToken cancellationToken)
    {
        var collected = await ResolvedValues.CollectEnvironmentAsync(
            resource, context.Execution, context.Loggers.GetLogger(resource), cancellationToken);
        var variables = new List<InstanceVariable>();
        foreach (var (name, value) in collected)
        {
            if (await TextAsync(resource, id, instance, value, cancellationToken) is { } text)
            {
                variables.Add(new InstanceVariable(name, text, ResolvedValues.IsSecret(value)));
            }
        }

        return variables;
    }

    /// <summary>The command-line arguments.</summary>
    public async Task<IReadOnlyList<string>> ArgumentsAsync(
        IResource resource, string id, int instance, CancellationToken cancellationToken)
    {
        var arguments = new List<string>();
        foreach (var value in await ResolvedValues.CollectArgumentsAsync(
            resource, context.Execution, context.Loggers.GetLogger(resource), cancellationToken))
        {
            if (await TextAsync(resource, id, instance, value, cancellationToken) is { } text)
            {
                arguments.Add(text);
            }
        }

        return arguments;
    }

    private async Task<string?> TextAsync(IResource resource, string id, int instance, object value, CancellationToken cancellationToken)
    {
        var text = await ResolvedValues.ResolveAsync(value, resource, context.Execution, cancellationToken);
        return text is null ? null
            : endpoints.ForInstance(resource, instance, text)
                .Replace(OtlpConfigurationExtensions.InstanceIdToken, Instances.SuffixOf(id), StringComparison.Ordinal);
    }
}
